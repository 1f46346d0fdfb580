"""What a run is, from YAML and the command line to typed settings."""
