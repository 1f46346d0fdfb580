"""Bijections between data and noise, and what they are made of. A module registers its members when it is imported."""
