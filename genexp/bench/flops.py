"""The floating-point operations of a training step."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from genexp.bench.gate import Described


def describe(model: nn.Module, batch_size: int, loss: Callable[[], Tensor]) -> Described:
    """Count one forward and backward pass: its matrix products and convolutions, nearly all there is but for feature grids."""
    with FlopCounterMode(display=False) as counter:
        loss().backward()
    model.zero_grad(set_to_none=True)
    trained = [weights for weights in model.parameters() if weights.requires_grad]
    return Described(sum(weights.numel() for weights in trained), batch_size, counter.get_total_flops())
