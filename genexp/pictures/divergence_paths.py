"""Pictures of every divergence between a density and an altered one; and of what samples tell of them."""

from matplotlib.figure import Figure

from genexp.divergences.base import ALONE, KNOWN, divergences
from genexp.figures import divergence_paths as figures
from genexp.figures.style import as_image
from genexp.measures.divergence_estimates import estimates, shown
from genexp.measures.divergence_paths import DATA, MODEL, ways
from genexp.measures.record import Film, film, picture
from genexp.subject import Subject, once

CAPTION = (
    "Grey: the data's density p. In colour: q, which slides, widens, loses a mode. Below: every divergence between them; "
    "what saturates has no gradient left, and what does not see the lost mode would not miss it"
)


def altered(subject: Subject) -> list[figures.Altered]:
    return [
        figures.Altered(
            way.alteration.title,
            way.alteration.axis,
            way.alteration.logarithmic,
            way.amounts,
            way.x,
            way.p,
            way.q,
            {each.symbol: way.found[each.name] for each in divergences()},
        )
        for way in ways(subject)
    ]


@picture("altered", CAPTION, lead=0, model=MODEL, data=DATA)
def altered_picture(subject: Subject) -> Figure:
    return figures.altered(altered(subject))


@film("altered", CAPTION, model=MODEL, data=DATA)
def as_film(subject: Subject) -> Film:
    """A frame for each amount, of all ways at once."""
    found = altered(subject)
    count = min(subject.settings.figures.gif_frames, len(found[0].amounts))
    last = len(found[0].amounts) - 1
    frames = [round(index * last / (count - 1)) for index in range(count)]
    return Film(
        [as_image(figures.altered(found, [frame] * len(found))) for frame in frames],
        max(1, subject.settings.figures.gif_fps // 3),
    )


@once
def estimated(subject: Subject) -> list[figures.Estimated]:
    """Each divergence, with what all its estimators give, as shares of the exact value."""
    found = []
    for divergence in divergences():
        own = {each.given: each for each in estimates(subject) if each.divergence is divergence}
        alone = own[ALONE]
        few = shown(alone.dimensions)
        found.append(
            figures.Estimated(
                divergence.symbol,
                alone.sizes,
                [alone.dimensions[d] for d in few],
                [(alone.values[d].mean(1) / alone.exact[d], alone.spread[d] / alone.exact[d]) for d in few],
                alone.dimensions,
                {
                    given: (each.values[:, -1].mean(1) / each.exact, each.spread[:, -1] / each.exact)
                    for given, each in own.items()
                },
                alone.equal[:, -1].mean(1) / alone.exact,
                alone.reach,
            )
        )
    return found


@picture(
    "estimates_by_size",
    "What samples of two Gaussians a step apart tell of each divergence, over its exact value, against their number. Bands: one "
    "standard deviation of one estimate; grey: within half of the exact value",
    lead=2,
    model=MODEL,
)
def estimates_by_size(subject: Subject) -> Figure:
    return figures.by_size(estimated(subject))


@picture(
    "estimates_by_dimension",
    "The same against the dimension, from the most samples: from them alone, and where the densities are known. Dashed: what two "
    "clouds that are alike get. Shaded: where the error is more than half of the exact value",
    lead=1,
    model=MODEL,
)
def estimates_by_dimension(subject: Subject) -> Figure:
    return figures.by_dimension(estimated(subject), estimates(subject)[0].sizes[-1], (ALONE, KNOWN))
