"""The parts of a model that learns the velocity of a path from noise to data."""
