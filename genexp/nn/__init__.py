"""Layers with no probability in them."""
