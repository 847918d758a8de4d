"""How much of what a word said reaches a later word: gradients through a recurrent network and through attention.

The gradient d(output at the last word)/d(input at the first) says how much a small change of the first word would
change what the network makes of the last. Learning follows it: where it is nothing, nothing can be learnt (Bengio et
al. 1994). All networks are as PyTorch starts them, before any training.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from analysis.complexity.attentions import SelfAttention
from analysis.complexity.clock import machine, point
from analysis.lesson import Method, Paths, Point, Series

WIDTH = 32
DISTANCES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
QUICK_DISTANCES = (1, 2, 4, 16)
Network = Callable[[Tensor], Tensor]  # (batch, n, width) -> (batch, n, width)


def paths(*, quick: bool = False, seed: int = 0) -> Paths:
    """Gradients at distances 1 to 256, over several seeds; in float64, since float32 ends at 1e-45."""
    distances, repeats = (QUICK_DISTANCES, 2) if quick else (DISTANCES, 5)
    found: dict[Method, list[Tensor]] = {"rnn": [], "lstm": [], "dense": []}
    for turn in range(repeats):
        generator = torch.Generator().manual_seed(seed + turn)
        text = torch.randn(max(distances) + 1, WIDTH, dtype=torch.float64, generator=generator)
        for method, network in _networks(seed + turn).items():
            found[method].append(torch.stack([_ends(network, text[-1 - far :]) for far in distances]))

    def series(method: Method, number: Callable[[Tensor], Tensor]) -> Series:
        by_distance = torch.stack([number(norms) for norms in found[method]], dim=1)
        points = (point(n, row) for n, row in zip(distances, by_distance.tolist(), strict=True))
        return Series(method, tuple(points))

    return Paths(
        machine=machine(torch.float64),
        seed=seed,
        repeats=repeats,
        width=WIDTH,
        gradient=tuple(series(method, lambda norms: norms[:, 0]) for method in found),
        ratio=tuple(series(method, lambda norms: norms[:, 0] / norms[:, 1]) for method in found),
        steps=(
            Series("rnn", tuple(Point(n, n, n, n) for n in distances)),
            Series("dense", tuple(Point(n, 1, 1, 1) for n in distances)),
        ),
    )


def gradient_norms(network: Network, text: Tensor) -> Tensor:
    """(n) for each word of a text (n, width): the Frobenius norm of d(last output)/d(that word's input).

    A copy of the text for each number of the last output: one pass back then gives every row of the Jacobian.
    """
    width = text.shape[1]
    copies = text.expand(width, -1, -1).clone().requires_grad_()
    last = network(copies)[:, -1]
    (jacobian,) = torch.autograd.grad(last.diagonal().sum(), copies)
    return jacobian.square().sum((0, 2)).sqrt()


def _ends(network: Network, text: Tensor) -> Tensor:
    """(2) the norms for the first word and for the last one's neighbour."""
    norms = gradient_norms(network, text)
    return torch.stack([norms[0], norms[-2]])


def _networks(seed: int) -> dict[Method, Network]:
    """One layer each, with PyTorch's own start; the random numbers of the rest of the process stay as they were."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        rnn = torch.nn.RNN(WIDTH, WIDTH, batch_first=True).double()
        lstm = torch.nn.LSTM(WIDTH, WIDTH, batch_first=True).double()
        attention = SelfAttention(WIDTH).double()
    return {"rnn": partial(_states, rnn), "lstm": partial(_states, lstm), "dense": attention}


def _states(layer: torch.nn.RNNBase, x: Tensor) -> Tensor:
    states: Tensor = layer(x)[0]
    return states
