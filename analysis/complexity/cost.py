"""What attention costs on this machine: time against a recurrent layer, and time and memory against cheaper kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from analysis.complexity.attentions import SelfAttention, dense, linear, sliding_window
from analysis.complexity.clock import exponent, machine, peak_bytes, point, rounds, slope
from analysis.lesson import Cost, Exponent, Method, Parallel, Point, Series

WIDTH = 64
WINDOW = 32
LENGTHS = (16, 32, 64, 128, 256, 512, 1024)
SIZES = (64, 128, 256, 512, 1024, 2048)
QUICK = (16, 32, 64)
REPEATS, QUICK_REPEATS = 15, 3
LARGE = 3  # the exponent is of the largest sizes: at small ones the cost of a call hides that of the work


def parallel(*, quick: bool = False, seed: int = 0) -> Parallel:
    """One layer over texts of growing length: recurrent, attention, and the same attention a word at a time."""
    lengths, repeats = (QUICK, QUICK_REPEATS) if quick else (LENGTHS, REPEATS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        rnn, attention = torch.nn.RNN(WIDTH, WIDTH), SelfAttention(WIDTH)
        texts = {n: torch.randn(n, WIDTH) for n in lengths}
    layers: dict[Method, Callable[[Tensor], object]] = {
        "rnn": rnn,
        "dense": attention,
        "stepwise": attention.one_at_a_time,
    }
    tasks = {(method, n): partial(layer, texts[n]) for n in lengths for method, layer in layers.items()}
    seconds = rounds(tasks, repeats)
    time = _series(layers, lengths, seconds)
    by_method = {series.method: series for series in time}
    overtaken = [n for n in lengths if by_method["rnn"].at(n).median < by_method["dense"].at(n).median]
    return Parallel(machine(torch.float32), seed, _rounds(seconds), WIDTH, time, min(overtaken, default=None))


def cost(*, quick: bool = False, seed: int = 0) -> Cost:
    """One head over n words: dense, sliding-window and linear attention, which do n², n and n pieces of work."""
    sizes, repeats, window = (QUICK, QUICK_REPEATS, 4) if quick else (SIZES, REPEATS, WINDOW)
    texts = {n: torch.randn(3, n, WIDTH, generator=torch.Generator().manual_seed(seed + n)) for n in sizes}
    kinds: dict[Method, Callable[..., Tensor]] = {
        "dense": dense,
        "sparse": partial(sliding_window, window=window),
        "linear": linear,
    }
    tasks = {(method, n): partial(kind, *texts[n]) for n in sizes for method, kind in kinds.items()}
    seconds = rounds(tasks, repeats)
    memory = {key: peak_bytes(task) for key, task in tasks.items()}
    large = sizes[-LARGE:]
    return Cost(
        machine=machine(torch.float32),
        seed=seed,
        repeats=_rounds(seconds),
        width=WIDTH,
        window=window,
        time=_series(kinds, sizes, seconds),
        memory=_series(kinds, sizes, {key: [most] for key, most in memory.items()}),
        matrix=Series("dense", tuple(_exactly(n, dense(texts[n][0], texts[n][1], torch.eye(n)).nbytes) for n in sizes)),
        exponents=(
            *(exponent(m, large, [seconds[m, n] for n in large], seed=seed) for m in kinds),
            *(_memory_exponent(m, large, [memory[m, n] for n in large]) for m in kinds),
        ),
    )


def _series(
    methods: Iterable[Method], sizes: Sequence[int], samples: Mapping[tuple[Method, int], Sequence[float]]
) -> tuple[Series, ...]:
    return tuple(Series(m, tuple(point(n, samples[m, n]) for n in sizes)) for m in methods)


def _rounds(samples: Mapping[tuple[Method, int], Sequence[float]]) -> int:
    return len(next(iter(samples.values())))


def _exactly(n: int, number: float) -> Point:
    return Point(n, number, number, number)


def _memory_exponent(method: Method, sizes: Sequence[int], memory: Sequence[int]) -> Exponent:
    """Memory is the same in every run: there is nothing to be unsure of."""
    value = float(slope(sizes, np.log(memory)[:, None])[0])
    return Exponent(method, "memory", value, value, value, min(sizes), max(sizes))
