"""Descent along gradients: Adam, and how its rate goes with the progress of a run."""
