"""LaTeX → MathML, by the library latex2mathml."""

import re
from functools import cache

FUNCTION = re.compile(r"\\(ln|log|exp|det|sin|cos|tanh)(?=(?:'|_\w|_\{[^}]*\})?\s+[^\s([{_^'])")


@cache
def mathml(latex: str) -> str:
    """A <math> element on a line of its own. ValueError where the text is no equation.

    LaTeX sets a thin space between `\\ln` and a letter, which the library leaves to the writer.
    """
    from latex2mathml.converter import convert  # of a report alone: starting up takes no longer

    try:
        return convert(FUNCTION.sub(r"\\\1\\,", latex), display="block")
    except Exception as failure:  # its own have no class in common
        raise ValueError(f"no equation: {latex}") from failure
