"""Pictures of autoregressive models."""

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from genexp.data.text import words
from genexp.figures import autoregressive
from genexp.measures.record import Film, film, picture
from genexp.pictures.latent import array, spread
from genexp.subject import Subject

SHOWN, ROWS, DRAWN = 6, 5, 10  # test pictures with their costs; completed ones; completions of each
PASSAGE = 1_200  # characters of the coloured text
LOOKED = 36  # characters of the attention picture
WRITTEN = 4  # samples of a text
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
    drawn = model.complete(x.repeat_interleave(DRAWN, 0), known).unflatten(0, (len(x), DRAWN))
    given = torch.zeros(model.dim, dtype=torch.bool)
    given[model.order[:known].cpu()] = True
    return autoregressive.completed(array(x), given.view(model.shape).all(0).numpy(), array(drawn))


@film("writing", "A picture is written, pixel by pixel", lead=1, model=OWN, data={"pictures"})
def writing(subject: Subject) -> Film:
    model, figures = subject.model, subject.settings.figures
    x = subject.samples[:1].to(subject.device)
    flat = x.flatten(1)[:, model.order]
    height, width = model.shape[-2:]
    numbers = model.head.number(flat)[0].tolist()
    frames = []
    for i in moments(model.nats(x)[0].double().cpu().numpy(), figures.gif_frames):
        done = torch.zeros(model.dim, dtype=torch.bool)
        done[model.order[:i].cpu()] = True
        done = done.view(model.shape).all(0)
        at = divmod(int(model.order[i]) % (height * width), width)
        p = array(model.head.log_table(model.told(flat, i))[0].softmax(-1))
        frames.append(autoregressive.written(array(x[0]), done.numpy(), p, at, numbers[i]).quantize(128))
    whole = autoregressive.written(array(x[0]), np.ones((height, width), bool), p, None, numbers[i])
    return Film([*frames, whole.quantize(128)], 8)


def moments(nats: np.ndarray, count: int) -> list[int]:
    """At which numbers, (dim,), a film of so many frames stops: half of its time is even, half passes where most is decided."""
    time = np.cumsum(nats / max(float(nats.sum()), 1e-30) + 1 / len(nats)) / 2
    at = np.searchsorted(time, np.linspace(0, 1, min(len(nats), count) + 1)[1:] - 1e-9)
    return np.unique(np.concatenate([[0], at, [len(nats) - 1]]).clip(max=len(nats) - 1)).tolist()  # type: ignore[no-any-return]


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
    """Of each layer the head that looks at fewest places, in the middle of a passage."""
    x = subject.test.x[:1]
    first = max(0, (x.shape[1] - LOOKED) // 2)
    maps = subject.model.attention(x)[:, 0, :, first : first + LOOKED, first : first + LOOKED]
    entropy = -torch.xlogy(maps, maps).sum(-1).mean(-1)
    chosen = {f"layer {layer + 1}, head {int(k) + 1}": array(maps[layer, k]) for layer, k in enumerate(entropy.argmin(1))}
    names = [*("○" + words(subject.data.spec, x)[0])[first : first + maps.shape[-1]]]
    seen = ["↵" if name == "\n" else "␣" if name == " " else name.replace("$", r"\$") for name in names]
    return autoregressive.attention_maps(chosen, seen)


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
    title = f"test text: {bits:.3f} bits per character over all of it"
    return autoregressive.coloured_text([(text[: len(chosen)], chosen)], title)


@picture("text_terms", "Where the tables of counts know the next character", lead=4, model={"terms"}, data={"text", "examples"})
def text_terms(subject: Subject) -> Figure:
    x = subject.test.x[1 : 1 + max(1, round(PASSAGE / subject.data.length))]
    shares = torch.cat([subject.model.shares(part) for part in x.split(8)])
    by_tables = 1 - shares[..., 0].float().cpu().numpy()
    title = f"test text: the tables gave {100 * by_tables.mean():.0f} % of the probability, the network the rest"
    text = "".join(words(subject.data.spec, x))
    return autoregressive.coloured_text([(text, by_tables.flatten())], title, autoregressive.SHARES)


@picture("written_text", "Passages that the model has written", lead=1, model=OWN, data={"text"})
def written_text(subject: Subject) -> Figure:
    """Coloured by what each character costs the model itself."""
    x = subject.samples[:WRITTEN].to(subject.device)
    nats = subject.model.nats(x).float().cpu().numpy()
    return autoregressive.coloured_text([*zip(words(subject.data.spec, x), nats, strict=True)], f"{len(x)} samples")
