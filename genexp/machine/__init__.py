"""What a run may depend on besides its configuration: device, memory, processes, libraries."""
