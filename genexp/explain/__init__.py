"""What a run's model and its numbers are, as the docstrings of the model and of its parts, and the records of its measures say.

sections    the sections of a docstring that are for readers of a report: In short, Equation, Objective
equations   LaTeX → MathML, which every browser draws without a network
model       what the model of a configuration is, and what it is trained by
numbers     unit, direction and blind spot of a number
"""
