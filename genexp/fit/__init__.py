"""Fitters: how a model comes to its weights."""
