"""A decoder of a latent plane, packed so that the page can decode by itself.

The forward pass is a few lines of arithmetic: z, cos and sin of 2πBz, the class one-hot → linear layers with an activation
between, some added to what they were given → mean of p(x|z). Weights travel as float16, biases and frequencies as float32;
`agreement` says what that costs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from genexp.latent.likelihoods import Bernoulli
from genexp.nn.mlp import Added
from genexp.nn.perceptrons import MLPDecoder
from genexp.report.folder import Folder
from genexp.report.packing import packed, quantised, unpacked

ACTIVATIONS = {nn.SiLU: "silu", nn.ReLU: "relu", nn.GELU: "gelu", nn.Tanh: "tanh"}
MOST_WEIGHTS = 4_000_000  # 11 MB of page
MOST_POINTS = 10_000  # of the scatter
CHECKED = 256  # latent points at which page and checkpoint are compared


@dataclass(frozen=True)
class Explorer:
    """What the page needs to decode, and the largest difference of a pixel (of 0 … 1) from the model's own decoding."""

    data: dict[str, Any]
    agreement: float
    checked: int = CHECKED


def has_plane(model: Any) -> bool:
    """Whether the page can decode for this model: two latent dimensions, a fully connected decoder, few enough weights."""
    decoder = dict(model.named_children()).get("decoder") if "plane" in model.can else None
    if not isinstance(decoder, MLPDecoder) or decoder.shape[0] not in (1, 3):
        return False
    return len(decoder.shape) == 3 and sum(weights.numel() for weights in decoder.parameters()) <= MOST_WEIGHTS


@torch.no_grad()
def pack(model: Any, classes: Sequence[str], folder: Folder) -> Explorer:
    """The decoder of a model that `has_plane`, and the test pictures' latent points where the run kept them."""
    decoder: MLPDecoder = model.decoder
    linear = [layer for layer in decoder.net.modules() if isinstance(layer, nn.Linear)]
    added = {layer[0] for layer in decoder.net if isinstance(layer, Added)}
    conditions = len(classes) if "classes" in model.can else 0
    data: dict[str, Any] = {
        "layers": [
            {
                "inputs": layer.in_features,
                "outputs": layer.out_features,
                "weights": _packed(layer.weight, "f2"),
                "bias": _packed(layer.bias, "f4"),
                "added": layer in added,
            }
            for layer in linear
        ],
        "activation": next((ACTIVATIONS[type(layer)] for layer in decoder.net.modules() if type(layer) in ACTIVATIONS), "relu"),
        "frequencies": "" if decoder.waves is None else _packed(decoder.waves.frequencies, "f4"),
        "output": "sigmoid" if isinstance(model.likelihood, Bernoulli) else "grey",
        "shape": list(decoder.shape),
        "classes": list(classes),
        "conditions": conditions,
    }
    z = 1.5 * torch.randn(CHECKED, 2, generator=torch.Generator().manual_seed(0))
    label = torch.arange(CHECKED) % conditions if conditions else None
    device = next(decoder.parameters()).device
    own = model.decode(z.to(device), None if label is None else label.to(device)).float().cpu().numpy()
    twin = decode(data, z.numpy(), None if label is None else label.numpy())
    agreement = float(np.abs(twin - own.clip(0, 1)).max())
    data |= latent_points(folder)
    return Explorer(data, agreement)


def decode(data: dict[str, Any], z: np.ndarray, label: np.ndarray | None = None) -> np.ndarray:
    """What the page's script computes, in numpy: z (n, 2) → pictures (n, *shape) in [0, 1]."""
    h: np.ndarray = z.astype(np.float32)
    if data["frequencies"]:
        phase = 2 * np.pi * (z.astype(np.float64) @ unpacked(data["frequencies"], "f4").reshape(2, -1))
        h = np.concatenate([h, np.cos(phase), np.sin(phase)], axis=1).astype(np.float32)
    if data["conditions"]:
        chosen = np.zeros(len(z), int) if label is None else label
        h = np.concatenate([h, np.eye(data["conditions"], dtype=np.float32)[chosen]], axis=1)
    for number, layer in enumerate(data["layers"], 1):
        weights = unpacked(layer["weights"], "f2").astype(np.float32).reshape(layer["outputs"], layer["inputs"])
        before, h = h, h @ weights.T + unpacked(layer["bias"], "f4")
        if number < len(data["layers"]):
            h = _ACTIVATED[data["activation"]](h)
        if layer["added"]:
            h = h + before
    h = 1 / (1 + np.exp(-h)) if data["output"] == "sigmoid" else h.clip(0, 1)
    return h.reshape(len(z), *data["shape"])


def latent_points(folder: Folder) -> dict[str, Any]:
    """The test pictures' latent points, and their classes, as the run kept them in samples.npz."""
    arrays = folder.arrays("latent", "latent_label")
    z = arrays.get("latent")
    if z is None or z.ndim != 2 or z.shape[1] != 2 or not len(z) or not np.isfinite(z).all():
        return {"points": "", "unit": 1.0, "labels": "", "extent": 3.0}
    step = -(-len(z) // MOST_POINTS)
    z, label = z[::step], arrays.get("latent_label")
    points, unit = quantised(z)
    labelled = label is not None and label.shape == arrays["latent"].shape[:1] and label.dtype.kind in "iu"
    labels = packed(np.clip(label[::step], 0, 255), "u1") if labelled and label is not None else ""
    extent = min(1e6, max(2.5, 1.08 * float(np.quantile(np.abs(z), 0.999))))
    return {"points": points, "unit": unit, "labels": labels, "extent": extent}


def _packed(weights: torch.Tensor, kind: str) -> str:
    return packed(weights.detach().float().cpu().numpy(), kind)


def _gelu(h: np.ndarray) -> np.ndarray:
    from scipy.special import erf

    return 0.5 * h * (1 + erf(h / np.sqrt(2)))


_ACTIVATED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "relu": lambda h: np.maximum(h, 0),
    "silu": lambda h: h / (1 + np.exp(-h)),
    "tanh": np.tanh,
    "gelu": _gelu,
}
