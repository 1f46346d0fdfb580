"""A run on disk: what writes its folder, and what reads it."""
