"""`dataset=codes`: the pictures of another run as the symbols that its model makes of them."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from genexp.capabilities import Known
from genexp.context import Context
from genexp.data.images import ImageSet
from genexp.data.points import PointData, PointSet
from genexp.errors import UserError
from genexp.registry import datasets

NO_RUNS = Context()
PART = 512  # pictures at a time


@datasets.register("codes")
class Codes(PointData):
    """k(x) of every picture x that the run was trained, validated and tested on, row by row: for any model of symbols.

    What that model gives −ln P(k), with −ln p(x|k) of the run's own decoder, bounds −ln p(x): a prior of the codes.
    Source: van den Oord, Vinyals & Kavukcuoglu, Neural Discrete Representation Learning (2017).

    Args:
        data_dir: not used: the pictures lie where the run found them.
        context: opens the run; the digest of its weights is kept, and is asked for again by whoever goes on.
        run: whose model makes the symbols, by its folder, its id, or `latest`.

    Raises:
        UserError: no such run; its model makes no symbols; its pictures are gone.
    """

    what, draw = "codes", ""
    knows: frozenset[Known] = frozenset({"examples", "decoder"})

    def __init__(self, data_dir: Path, context: Context = NO_RUNS, *, run: str | None = None) -> None:
        coder = context.run("dataset.run", run)
        if "codes" not in coder.model.can:
            raise UserError(f"dataset.run={run}: its model makes no symbols of pictures", hint="a run of a VQ-VAE")
        self.made_of = context.asked[str(run)].get("weights")
        self.model, self.grid = coder.model, coder.model.grid
        pictures = datasets.build(coder.settings.dataset, Path(coder.settings.data_dir), context)
        self.pictures: ImageSet = pictures.test
        if "binarised" in pictures.knows:  # what is said of the pictures in nats depends on it
            self.knows, self.draw = self.knows | {"binarised"}, pictures.draw
        parts = [PointSet(self.encoded(part)) for part in (pictures.train, pictures.validation, pictures.test)]
        self.parts(parts[0], parts[1], parts[2], kind="tokens")
        self.spec = replace(self.spec, levels=coder.model.symbols)
        self.remarks = (f"symbols that {coder.path} makes of its pictures",)

    @torch.no_grad()
    def encoded(self, pictures: ImageSet) -> Tensor:
        """k(x), (n, height·width), on the CPU."""
        parts = (pictures[start : start + PART].to(self.model.device).batch().x for start in range(0, len(pictures), PART))
        return torch.cat([self.model.codes(x).flatten(1).cpu() for x in parts])

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """E[x|k] of codes (n, height·width), pictures on the CPU."""
        parts = (part.to(self.model.device).unflatten(1, self.grid) for part in codes.split(PART))
        return torch.cat([self.model.decode_codes(part).cpu() for part in parts])

    @torch.no_grad()
    def reconstruction(self, count: int) -> Tensor:
        """−ln p(x|k) of the first so many test pictures, (n,), in nats, float64, on the CPU."""
        found = []
        for start in range(0, min(count, len(self.pictures)), PART):
            x = self.pictures[start : min(start + PART, count)].to(self.model.device).batch().x
            found.append(-self.model.log_likelihood(x, self.model.codes(x)).double().cpu())
        return torch.cat(found)
