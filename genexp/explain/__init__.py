"""What a run's model is, in an equation and a sentence, as the docstrings of the model and of its parts have them.

sections    the sections of a docstring that are for readers of a report: In short, Equation, Objective
equations   LaTeX → MathML, which every browser draws without a network
model       what the model of a configuration is, and what it is trained by
"""
