"""Mixtures of Gaussians: where their fitting begins, and the covariances of their components."""
