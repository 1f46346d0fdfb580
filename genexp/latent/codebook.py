"""A codebook: vectors that replace what is nearest to them, learnt as running means of it."""

import torch
from torch import Tensor, nn

ROUNDS = 10  # of k-means on the first examples
DEAD = 0.05  # share of an even use below which a code is restarted


class Codebook(nn.Module):
    """K vectors e_k of `dim` numbers. h → the nearest e_k; and in training e_k = s_k/n_k with

        n_k ← γ n_k + (1 − γ) |{h near e_k}|,   s_k ← γ s_k + (1 − γ) Σ {h near e_k},

    which is k-means with a memory of 1/(1 − γ) batches. It begins as the k-means of the first examples, with the counts that
    belong to these vectors: with others the first batches would undo it. A code that hardly anything is near to is put
    where the codes are far: at an h drawn with a probability that grows as the square of its distance to the nearest. (One drawn
    evenly would be background, where most of a picture's places are and a code is already.)

    Sources: van den Oord et al., Neural Discrete Representation Learning (2017), appendix; Razavi et al., VQ-VAE-2 (2019);
    Dhariwal et al., Jukebox (2020), for the restarts.
    """

    vectors: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(self, size: int, dim: int, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("vectors", torch.randn(size, dim))
        self.register_buffer("counts", torch.ones(size))
        self.register_buffer("sums", self.vectors.clone())

    def nearest(self, h: Tensor) -> Tensor:
        """The number of the code nearest to each h (n, dim), (n,)."""
        return (self.vectors.square().sum(1) - 2 * h @ self.vectors.T).argmin(1)

    @torch.no_grad()
    def begin(self, h: Tensor) -> None:
        """K-means on h (n, dim), from K of them that are far from each other; the counts are those of these h."""
        chosen = h[torch.randint(len(h), (1,), device=h.device)]
        while len(chosen) < len(self.vectors):
            chosen = torch.cat([chosen, far(h, chosen, min(len(chosen), len(self.vectors) - len(chosen)))])
        self.vectors.copy_(chosen)
        for _ in range(ROUNDS):
            counts, sums = self._tally(h, self.nearest(h))
            self.counts.copy_(counts)
            self.sums.copy_(sums)
            self._settle(h)

    @torch.no_grad()
    def learn(self, h: Tensor, index: Tensor) -> None:
        """One step from h (n, dim), nearest to the codes number `index` (n,)."""
        counts, sums = self._tally(h, index)
        self.counts.lerp_(counts, 1 - self.decay)
        self.sums.lerp_(sums, 1 - self.decay)
        self._settle(h)

    def _tally(self, h: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """How many of h are near to each code, (K,), and their sums, (K, dim)."""
        counts = torch.bincount(index, minlength=len(self.vectors)).to(h.dtype)
        return counts, torch.zeros_like(self.vectors).index_add_(0, index, h)

    def _settle(self, h: Tensor) -> None:
        """Put dead codes where the codes are far, with so little weight that what is near moves them; every code at its mean."""
        least = DEAD * len(h) / len(self.vectors)
        dead = self.counts < least
        if bool(dead.any()):
            self.sums[dead] = 2 * least * far(h, self.vectors, int(dead.sum()))
            self.counts[dead] = 2 * least
        self.vectors.copy_(self.sums / self.counts[:, None])


def far(h: Tensor, vectors: Tensor, count: int) -> Tensor:
    """So many of h (n, dim), each drawn with a probability ∝ its squared distance to the nearest of the vectors (k, dim).

    Source: Arthur & Vassilvitskii, k-means++ (2007).
    """
    squares = h.square().sum(1) + (vectors.square().sum(1) - 2 * h @ vectors.T).amin(1)
    return h[torch.multinomial(squares.clamp(min=0) + 1e-12, count, replacement=True)]
