"""What the trainer minimises: a model's loss on a global batch, computed in one process or in shares by many."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parallel import DistributedDataParallel

from genexp.data.base import Batch
from genexp.errors import UserError
from genexp.machine.distributed import World, mean_over_ranks, on_main, world
from genexp.models.base import GenerativeModel, Terms

Loss = Callable[[Batch], Terms]


class Objective:
    """The loss of a batch, in a single process: `loss` itself."""

    def __init__(self, loss: Loss) -> None:
        self.loss = loss

    def __call__(self, batch: Batch) -> Terms:
        return self.loss(batch)

    def after_step(self) -> None:
        """Make one of what the processes have learnt outside of the gradients."""


class SharedObjective(Objective):
    """The loss of each process's share of a batch; in the backward pass the gradients become their mean over all processes.

    Of a loss that is a mean over examples that is the gradient in one process, up to rounding. Buffers that a step has changed
    (running statistics) are averaged as well. Noise inside the loss is drawn by each process for its own share.
    """

    def __init__(self, model: GenerativeModel, loss: Loss) -> None:
        here = world()
        model.load_state_dict(on_main(lambda: {name: value.cpu() for name, value in model.state_dict().items()}))
        super().__init__(DistributedDataParallel(Share(model, loss, here), find_unused_parameters=True))
        self.model = model
        self._known = self._versions()
        self._statistics = {  # which torch changes without counting it as a new version
            f"{path}.{name}" if path else name
            for path, module in model.named_modules()
            if isinstance(module, _NormBase)
            for name, _ in module.named_buffers(recurse=False)
        }

    @torch.no_grad()
    def after_step(self) -> None:
        now = self._versions()
        for name, buffer in self.model.named_buffers():
            changed = now[name] != self._known.get(name) or name in self._statistics
            if changed and buffer.is_floating_point():
                buffer.copy_(mean_over_ranks(buffer))
        self._known = self._versions()

    def _versions(self) -> dict[str, tuple[int, int]]:
        """What tells a buffer that was changed, in place or by another, from one that was not."""
        return {name: (id(buffer), buffer._version) for name, buffer in self.model.named_buffers()}


class Share(nn.Module):
    """The loss of one process's share of a batch: contiguous, as large as the others' or by one larger.

    It is weighted by its size, so that the mean over processes is the mean over examples.
    """

    def __init__(self, model: GenerativeModel, loss: Loss, here: World) -> None:
        super().__init__()
        self.trained = nn.ParameterList(weights for weights in model.parameters() if weights.requires_grad)
        self.loss, self.here = loss, here

    def forward(self, batch: Batch) -> Terms:
        n, rank, size = len(batch.x), self.here.rank, self.here.size
        if n < size:
            raise UserError(f"a batch of {n} examples is too small for {size} processes", hint="a larger trainer.batch_size")
        share = batch[n * rank // size : n * (rank + 1) // size]
        terms = self.loss(share)
        weight = len(share.x) * size / n
        return terms if weight == 1 else {name: weight * value for name, value in terms.items()}


def make_objective(model: GenerativeModel, loss: Loss) -> Objective:
    """`loss`, of `model`, for as many processes as there are."""
    return Objective(loss) if world().size == 1 else SharedObjective(model, loss)
