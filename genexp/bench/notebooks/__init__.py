"""The article's case studies as the author of a notebook would write them: the yardstick of `genexp bench`.

Nothing of genexp's models or trainer is used. Each module has `train(data, gate)`, which trains until the gate stops it.
"""
