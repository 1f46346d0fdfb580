"""Which pictures and films a run makes: one record each, with its caption, what it needs, and from what it is drawn.

The drawing itself is a pure function of arrays (`genexp.figures`). Whatever's needs are met is drawn. A new one is a function
from the subject under examination to a matplotlib figure, a Pillow image or a `Film`, in a file of this folder or in a plugin:

    @picture("radii", "How far samples lie from the origin", data={"points"})
    def radii(subject: Subject) -> Figure: …
"""
