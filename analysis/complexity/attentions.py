"""Three kinds of attention over queries q (n, d), keys k (n, d) and values v (n, e); each gives outputs (n, e).

    dense           softmax(q k^T / sqrt(d)) v            every word looks at every other: n x n numbers
    sliding_window  the same, but only near words          n x (2 window + 1) numbers
    linear          phi(q) (phi(k)^T v), normalised        a d x e summary of all words: no number for a pair

With the identity as values the outputs are the weights themselves: row i says how much word i takes of each other.
Sources: Vaswani et al. 2017 (dense), Beltagy et al. 2020 (window), Katharopoulos et al. 2020 (linear).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import elu, pad


def dense(q: Tensor, k: Tensor, v: Tensor, *, causal: bool = False) -> Tensor:
    """Every pair of words has a score; softmax makes each row's scores into shares of 1. Takes (..., n, d) too.

    `causal`: what comes later gets the score minus infinity, and so no share.
    """
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    if causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        scores = scores.masked_fill(later, -math.inf)
    return torch.softmax(scores, dim=-1) @ v


def sliding_window(q: Tensor, k: Tensor, v: Tensor, window: int) -> Tensor:
    """A word looks at itself and at `window` words on each side.

    The text is cut into blocks as long as the window, so that a word's near ones are in its own block and in the two
    beside it: three blocks of keys a block of queries, however long the text is.
    """
    n, d = q.shape
    block = max(1, min(window, n))
    blocks = math.ceil(n / block)
    missing = blocks * block - n
    queries = pad(q, (0, 0, 0, missing)).view(blocks, block, d)
    keys, values = (pad(x, (0, 0, block, block + missing)).unfold(0, 3 * block, block) for x in (k, v))

    own, near = torch.arange(block)[:, None], torch.arange(3 * block) - block
    position = block * torch.arange(blocks)[:, None] + near
    inside = (position >= 0) & (position < n)
    seen = ((near - own).abs() <= window) & inside[:, None]

    scores = (queries @ keys / math.sqrt(d)).masked_fill(~seen, -math.inf)
    return (torch.softmax(scores, dim=-1) @ values.mT).reshape(blocks * block, -1)[:n]


def linear(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Weights phi(q)·phi(k) in place of exp(q·k): a product, so that the sum over all words is made once, not n times.

    phi is elu + 1, which is positive. The brackets are the whole trick: phi(q) (phi(k)^T v), not (phi(q) phi(k)^T) v.
    """
    asked, known = elu(q) + 1, elu(k) + 1
    summary = known.mT @ v
    total = asked @ known.sum(0)
    return asked @ summary / total[:, None]


def linear_quadratic(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Linear attention with the brackets the other way: the same numbers at the old price, n x n weights."""
    weights = (elu(q) + 1) @ (elu(k) + 1).mT
    return weights / weights.sum(-1, keepdim=True) @ v


class SelfAttention(torch.nn.Module):
    """One head between four linear maps (queries, keys, values, output), as PyTorch starts them: (..., n, width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.q, self.k, self.v, self.out = (torch.nn.Linear(width, width) for _ in range(4))

    def forward(self, x: Tensor, *, causal: bool = False) -> Tensor:
        out: Tensor = self.out(dense(self.q(x), self.k(x), self.v(x), causal=causal))
        return out

    def one_at_a_time(self, x: Tensor) -> Tensor:
        """The same numbers, each word after the one before it, as a recurrent network must; x is (n, width)."""
        q, k, v = self.q(x), self.k(x), self.v(x)
        out: Tensor = self.out(torch.cat([dense(q[i : i + 1], k, v) for i in range(len(x))]))
        return out

    def weights(self, x: Tensor, *, causal: bool = False) -> Tensor:
        """(n, n), each row sums to 1."""
        return dense(self.q(x), self.k(x), torch.eye(len(x), dtype=x.dtype), causal=causal)
