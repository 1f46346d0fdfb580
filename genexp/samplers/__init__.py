"""Algorithms that draw: sources of random bits, what turns their numbers into a distribution, and solvers along a velocity."""
