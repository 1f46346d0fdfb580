"""Models: one module each. A module registers its model by name when it is imported."""
