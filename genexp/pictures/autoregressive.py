"""Pictures of autoregressive models."""

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from genexp.data.text import words
from genexp.figures import autoregressive, images
from genexp.measures.record import Film, film, picture
from genexp.pictures.latent import array, spread
from genexp.subject import Subject

SHOWN, ROWS, DRAWN = 6, 5, 10  # test pictures with their costs; completed ones; completions of each
PASSAGE = 1_200  # characters of the coloured text
LOOKED = 32  # characters of the attention picture
OWN = {"autoregressive", "discrete"}


@picture(
    "pixel_nats", "What each pixel costs, given those before it", lead=3, model={"autoregressive"}, data={"pictures", "examples"}
)
def pixel_nats(subject: Subject) -> Figure:
    test = subject.test_part
    cost = _places(subject, torch.cat([subject.model.nats(part) for part in test[:2048].batch().x.split(256)]))
    few = spread(test, SHOWN)
    chosen = _places(subject, subject.model.nats(test[few].batch().x))
    return autoregressive.pixel_costs(array(test[few].batch().x), array(chosen), array(cost.mean(0)))


def _places(subject: Subject, nats: Tensor) -> Tensor:
    """Costs in order, (n, dim), at their places, channels added up: (n, height, width)."""
    return subject.model.in_place(nats).sum(1)  # type: ignore[no-any-return]


@picture("completions", "One half is given, the other is drawn", lead=2, model=OWN, data={"pictures", "examples"})
def completions(subject: Subject) -> Figure:
    """The numbers before the middle of the order stay: of rows from above, the upper half."""
    model, test = subject.model, subject.test_part
    x = test[spread(test, ROWS)].batch().x
    known = model.dim // 2
    given = torch.full_like(x, 0.5).flatten(1)
    given[:, model.order[:known]] = x.flatten(1)[:, model.order[:known]]
    drawn = model.complete(x.repeat_interleave(DRAWN, 0), known).unflatten(0, (len(x), DRAWN))
    table = {
        "given": given.view_as(x),
        "its own other half": x,
        **{"drawn" if index == DRAWN // 2 else " " * index: drawn[:, index] for index in range(DRAWN)},
    }
    stacked = np.stack([array(each) for each in table.values()], axis=1)  # a row of the figure is a test picture
    named = {f"picture {index + 1}": row for index, row in enumerate(stacked)}
    return images.rows(named, f"given; the test picture itself; {DRAWN} completions by the model")


@film("writing", "A picture is written, pixel by pixel", lead=1, model=OWN, data={"pictures"})
def writing(subject: Subject) -> Film:
    model, figures = subject.model, subject.settings.figures
    x = subject.samples[:1].to(subject.device)
    flat = x.flatten(1)[:, model.order]
    height, width = model.shape[-2:]
    frames = []
    shown = np.unique(np.linspace(0, model.dim - 1, min(model.dim, figures.gif_frames)).round().astype(int))
    for i in shown.tolist():
        done = torch.zeros(model.dim, dtype=torch.bool)
        done[model.order[:i].cpu()] = True
        done = done.view(model.shape).all(0)
        at = divmod(int(model.order[i]) % (height * width), width)
        p = array(model.head.log_table(model.told(flat, i))[0].softmax(-1))
        frames.append(autoregressive.written(array(x[0]), done.numpy(), p, at).quantize(128))
    whole = autoregressive.written(array(x[0]), np.ones((height, width), bool), p, at)
    return Film([*frames, whole.quantize(128)], 8)


@picture(
    "receptive_field", "What the pixel in the middle depends on", lead=5, model={"autoregressive"}, data={"pictures", "examples"}
)
def receptive_field(subject: Subject) -> Figure:
    """By gradients, averaged over test pictures; of a pixel in the lower half, so that there is room above it."""
    height, width = subject.model.shape[-2:]
    at = (3 * height // 4, width // 2)
    place = int((subject.model.order == at[0] * width + at[1]).nonzero()[0, 0])
    found = subject.model.influence(subject.test_part[:16].batch().x, place)
    return autoregressive.influences({name: array(values.sum(0)) for name, values in found.items()}, at)


@picture("attention", "Where each place looks", lead=6, model={"attention"}, data={"text", "examples"})
def attention_to_text(subject: Subject) -> Figure:
    x = subject.test.x[:1]
    maps = subject.model.attention(x)[:, 0, :, :LOOKED, :LOOKED]
    names = ["○", *words(subject.data.spec, x)[0].replace("\n", "↵").replace("$", r"\$")][:LOOKED]
    return autoregressive.attention_maps(array(maps), names)


@picture("attention", "Where a pixel looks", lead=6, model={"attention"}, data={"pictures", "examples"})
def attention_to_pictures(subject: Subject) -> Figure:
    """The mean of the heads, of three pixels of one test picture."""
    model = subject.model
    x = subject.test_part[spread(subject.test_part, 4)[3:]].batch().x
    maps = model.attention(x)[:, 0].mean(1)
    inputs = torch.cat([maps[:, :, 1:], torch.zeros_like(maps[:, :, :1])], dim=2)  # input j + 1 is the number at place j
    height, width = model.shape[-2:]
    at = [(height // 4, width // 2), (height // 2, width // 2), (3 * height // 4, width // 3)]
    places = [int((model.order == row * width + column).nonzero()[0, 0]) for row, column in at]
    seen = torch.stack([model.in_place(inputs[:, place]).sum(1) for place in places])
    return autoregressive.attention_over_picture(array(x[0]), array(seen), at)


@picture("text_nats", "What each character of the test text costs", lead=2, model=OWN, data={"text", "examples"})
def text_costs(subject: Subject) -> Figure:
    from genexp.measures.autoregressive import text_nats

    cost = text_nats(subject)
    first = min(subject.data.length // 2, max(0, len(cost) - PASSAGE))
    text = words(subject.data.spec, subject.data.test_text[None, first : first + PASSAGE])[0]
    chosen = cost[first : first + len(text)].numpy()
    bits = float(cost.mean()) / np.log(2)
    return autoregressive.coloured_text(text[: len(chosen)], chosen, f"test text; {bits:.3f} bits per character over all of it")


@picture("written_text", "Passages that the model has written", lead=1, model=OWN, data={"text"})
def written_text(subject: Subject) -> Figure:
    """Coloured by what each character costs the model itself."""
    x = subject.samples[:5].to(subject.device)
    text = "\n\n".join(words(subject.data.spec, x))
    nats = subject.model.nats(x).float().cpu().numpy()
    cost = np.concatenate([part for row in nats for part in (row, [0.0, 0.0])])[:-2]
    return autoregressive.coloured_text(text, cost, "five samples")
