"""Numbers: one record each, with what it means, what it needs and how it is found. Whatever's needs are met is taken.

A new one is a function from the subject under examination to a `Value`, in a file of this folder or in a plugin:

    @measure("median_radius", "how far half the samples lie from the origin", better="exact", headline=5, data={"points"})
    def median_radius(subject: Subject) -> Value:
        return Value(float(subject.samples.norm(dim=1).median()), floor=…, exact=…)

What several numbers share is a function of the subject under `@once`.
"""
