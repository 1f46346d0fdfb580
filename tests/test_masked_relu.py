"""ReLU may overwrite what a linear layer gives it: values and gradients stay what they are."""

import pytest
import torch
from torch import Tensor, nn

from genexp.nn.autoregressive import MaskedMLP
from genexp.nn.mlp import mlp


@pytest.mark.parametrize("network", [MaskedMLP(3, 2, 8, 2, "relu"), mlp([3, 8, 8, 2], "relu", layer_norm=True, residual=True)])
def test_relu_in_place_has_the_gradients_of_relu(network: nn.Module) -> None:
    for weights in network.parameters():
        nn.init.normal_(weights)
    x = torch.randn(5, 3)

    def gradients() -> list[Tensor]:
        return [*torch.autograd.grad(network(x).square().sum(), [*network.parameters()])]

    ours = gradients()
    layers = [layer for layer in network.modules() if isinstance(layer, nn.ReLU)]
    assert all(layer.inplace for layer in layers)
    assert layers
    for layer in layers:
        layer.inplace = False
    for one, another in zip(ours, gradients(), strict=True):
        assert torch.equal(one, another)
