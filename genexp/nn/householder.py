"""Orthogonal matrices by reflections."""

import torch
from torch import Tensor


def householder(vectors: Tensor) -> Tensor:
    """H_1 … H_k with H_i = I − 2 v_i v_iᵀ/‖v_i‖²: vectors (k, dim) → an orthogonal matrix, (dim, dim).

    Source: Tomczak & Welling, Improving Variational Auto-Encoders using Householder Flow (2016).
    """
    product = torch.eye(vectors.shape[1], device=vectors.device, dtype=vectors.dtype)
    for v in vectors / torch.linalg.vector_norm(vectors, dim=1, keepdim=True):
        product = product - 2 * torch.outer(product @ v, v)
    return product
