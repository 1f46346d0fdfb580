"""The divergence of a field of velocities."""

import torch
from torch import Tensor


def divergence(velocity: Tensor, x: Tensor, probe: Tensor | None) -> Tensor:
    """div v = Σ_i ∂v_i/∂x_i at every point, (n,): exact, or with `probe` ε (n, dim) the estimate εᵀ(∂v/∂x)ε.

    Exactly, it costs `dim` backward passes; the estimate costs one, and its mean over E[εεᵀ] = I is the divergence.
    Source: Hutchinson, A Stochastic Estimator of the Trace of the Influence Matrix (1990).

    Args:
        velocity: v at the points, (n, dim), each row a function of its own point alone.
        x: the points, (n, dim), with a graph from them to `velocity`.
        probe: one ε for each point, such as ±1 at random.
    """
    if probe is not None:
        (product,) = torch.autograd.grad(velocity, x, probe)
        return (product * probe).sum(1)
    rows = [torch.autograd.grad(velocity[:, i].sum(), x, retain_graph=True)[0][:, i] for i in range(x.shape[1])]
    return torch.stack(rows).sum(0)
