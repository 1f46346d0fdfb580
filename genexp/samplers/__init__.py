"""Samplers: algorithms that draw from something else. Free functions of what they need."""
