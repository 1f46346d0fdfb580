"""Densities known up to their integral, p(x) = exp(−E(x)) / Z, and what their energy is learnt by."""
