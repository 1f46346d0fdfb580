"""How far one density is from another: one file for each divergence, with its closed form, its integral and its estimators.

base         the record of a divergence, and what it is found of: Gaussians, a line, two clouds of points
alterations  what is done to a density: it slides, widens, or loses a mode

A new one is a file of this folder that adds a `Divergence`: it is then integrated, estimated, measured and drawn like the others.
"""
