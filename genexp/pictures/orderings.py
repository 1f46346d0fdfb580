"""Pictures of one model in many orders."""

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from genexp.figures import images, orderings
from genexp.measures.likelihood import standard_error
from genexp.measures.orderings import in_orders, log_prob_in, mixture
from genexp.measures.record import picture
from genexp.pictures.latent import array, spread
from genexp.subject import Subject

AVERAGED = 512  # test pictures
COMPLETED = 10  # completions of each part


def walks(shape: tuple[int, ...]) -> dict[str, Tensor]:
    """Orders with a name, (dim,) each, of pictures (channels, height, width); the channels of a pixel follow one another."""
    channels, height, width = shape
    pixels = torch.arange(height * width)
    rows = pixels.view(height, width)
    down, across = (2 * (pixels // width) - height + 1).double(), (2 * (pixels % width) - width + 1).double()
    ring = torch.maximum(down.abs(), across.abs())
    turn = torch.atan2(down, across) / 7  # less than half a ring
    found = {
        "rows": pixels,
        "columns": rows.T.flatten(),
        "from below": pixels.flip(0),
        "from the middle": (ring + turn).argsort(),
    }
    return {name: (order[:, None] + height * width * torch.arange(channels)).flatten() for name, order in found.items()}


@picture("orderings", "One model in many orders of the pixels", lead=1, model={"orderings"}, data={"pictures", "examples"})
@torch.no_grad()
def in_many_orders(subject: Subject) -> Figure:
    """Likelihoods in orders that it was trained in and in new ones; below, what each pixel costs in some of these."""
    model, found = subject.model, in_orders(subject)
    named = {name: order.to(subject.device) for name, order in walks(model.shape).items()}
    called = next((f": {name}" for name, order in named.items() if torch.equal(order, model.order)), "")
    new = {name: order for name, order in named.items() if not torch.equal(order, model.order)}
    mixed = mixture(found.trained)

    def line(name: str, log_p: Tensor, kind: str) -> orderings.Line:
        return orderings.Line(name, -float(log_p.mean()), standard_error(log_p - mixed), kind)

    lines = [line(f"trained {k + 1}{'' if k else called}", each, "trained") for k, each in enumerate(found.trained)]
    lines += [line(f"random, new {k + 1}", each, "new") for k, each in enumerate(found.unseen)]
    lines += [line(name, log_prob_in(subject, order), "named") for name, order in new.items()]
    lines.append(line(f"mixture of {len(found.trained)} trained ones", mixed, "mixture"))
    shown = {"trained": model.ordering(model.orderings - 1), "random, new": model.ordering(model.orderings), **named}
    x = subject.test.x[:AVERAGED]
    maps = []
    for name, order in shown.items():
        other = model.in_ordering(order)
        place = torch.empty_like(order)
        place[order] = torch.arange(len(order), device=order.device)
        cost = torch.cat([other.in_place(other.nats(part)) for part in x.split(256)])
        maps.append(orderings.Walk(name, array(place.view(model.shape)[0]), array(cost.mean(0).sum(0))))
    return orderings.forest(lines, maps)


def known_parts(height: int, width: int) -> dict[str, Tensor]:
    """Name → which pixels of a picture are known, (height, width)."""
    down, across = torch.arange(height)[:, None], torch.arange(width)
    middle = ((down - (height - 1) / 2).abs() < height / 4) & ((across - (width - 1) / 2).abs() < width / 4)
    upper, left = (down < height // 2) & (across >= 0), (across < width // 2) & (down >= 0)
    return {
        "upper half": upper,
        "left half": left,
        "middle": middle,
        "border": ~middle,
        "every other pixel": (down + across) % 2 == 0,
    }


@picture("any_part", "Whatever part is given, the others are drawn", lead=2, model={"orderings"}, data={"pictures", "examples"})
@torch.no_grad()
def any_part(subject: Subject) -> Figure:
    """In the order that has the known pixels of one test picture first, and then the others row by row."""
    model, test = subject.model, subject.test_part
    channels, height, width = model.shape
    x = test[spread(test, 3)[2:]].batch().x
    rows = {}
    for name, known in known_parts(height, width).items():
        there = known.expand(channels, height, width).flatten().to(subject.device)
        order = (~there).int().argsort(stable=True)
        drawn = model.in_ordering(order).complete(x.expand(COMPLETED, *model.shape), int(there.sum()))
        given = torch.where(there.view(model.shape), x, torch.full_like(x, 0.5))
        rows[name] = np.concatenate([array(each) for each in (given, x, drawn)])
    return images.rows(rows, f"given; the test picture itself; {COMPLETED} completions by the same weights")
