"""Numbers from samples and models."""
