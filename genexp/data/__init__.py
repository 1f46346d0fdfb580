"""Data sets: one module each. A module registers its data set by name when it is imported."""
