"""How the lesson measures: time in interleaved rounds, memory by what is alive, growth as an exponent.

Time is that of the processor, on one thread: where the machine has nothing else to do it is the time on the clock, and
where it has, it is still what this work took.
"""

from __future__ import annotations

import math
import platform
import statistics
import weakref
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, thread_time
from typing import Any, TypeVar

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from analysis.lesson import Exponent, Machine, Method, Point
from analysis.types import FloatArray

Key = TypeVar("Key", bound=Hashable)
Task = Callable[[], object]
LEAST_SAMPLE = 0.001  # seconds: a shorter task is run several times for one sample, for the clock's sake
LONGEST = 8.0  # seconds on the clock for all rounds: a busy machine gets fewer of them
LEAST_ROUNDS = 3
RESAMPLES = 1000


def rounds(tasks: Mapping[Key, Task], repeats: int) -> dict[Key, list[float]]:
    """Seconds a run of each task, one sample a round; at most `repeats` rounds.

    Each round times every task once, so that a machine that slows down for a while slows all of them alike. A task
    runs once before the clock starts, and as often for a sample as fill LEAST_SAMPLE.
    """
    begun = monotonic()
    with torch.inference_mode():
        runs = {key: _runs(task) for key, task in tasks.items()}
        samples: dict[Key, list[float]] = {key: [] for key in tasks}
        for done in range(repeats):
            if done >= LEAST_ROUNDS and monotonic() - begun > LONGEST:
                break
            for key, task in tasks.items():
                samples[key].append(_seconds(task, runs[key]))
    return samples


def _runs(task: Task) -> int:
    task()
    return max(1, math.ceil(LEAST_SAMPLE / max(_seconds(task, 1), 1e-7)))


def _seconds(task: Task, runs: int) -> float:
    since = thread_time()
    for _ in range(runs):
        task()
    return (thread_time() - since) / runs


def point(n: int, samples: Sequence[float]) -> Point:
    """Median, least and greatest."""
    return Point(n, statistics.median(samples), min(samples), max(samples))


def exponent(method: Method, sizes: Sequence[int], samples: Sequence[Sequence[float]], *, seed: int) -> Exponent:
    """The slope of log median time over log size by least squares; `samples` are rounds of seconds for each size.

    The interval is a percentile bootstrap over the rounds, which are drawn whole: a slow round is slow at every size.
    """
    times = np.log(np.asarray(samples, dtype=np.float64))
    drawn = np.random.default_rng(seed).integers(0, times.shape[1], (RESAMPLES, times.shape[1]))
    slopes = slope(sizes, np.median(times[:, drawn], axis=-1))
    low, high = np.percentile(slopes, (2.5, 97.5))
    own = slope(sizes, np.median(times, axis=1)[:, None])[0]
    return Exponent(method, "time", float(own), float(low), float(high), min(sizes), max(sizes))


def slope(sizes: Sequence[int], logs: Any) -> FloatArray:
    """(B) least-squares slopes of `logs` (S, B) over the logarithm of the S sizes."""
    x = np.log(np.asarray(sizes, dtype=np.float64))
    x -= x.mean()
    slopes: FloatArray = x @ logs / (x @ x)
    return slopes


def peak_bytes(task: Task) -> int:
    """The most bytes of tensors that are alive at once while the task runs, beyond those it was given."""
    with torch.inference_mode(), _Alive() as alive:
        task()
    most: int = alive.most
    return most


class _Alive(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts each tensor's memory when an operation makes it, and no longer when it is freed.

    What an operation allocates and frees within itself is not seen: none of those used here does, as a test shows.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.most = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = operation(*args, **(kwargs or {}))
        given = {t.untyped_storage()._cdata for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)}
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                memory = tensor.untyped_storage()
                if memory._cdata not in given | self._known:  # else it is a view of what was there
                    self._made(memory)
        return result

    def _made(self, memory: torch.UntypedStorage) -> None:
        key, size = memory._cdata, memory.nbytes()
        self._known.add(key)
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(memory, self._freed, key, size)

    def _freed(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def machine(dtype: torch.dtype) -> Machine:
    """This machine, now, and what it computes with."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Machine(_processor(), torch.get_num_threads(), torch.__version__, str(dtype).removeprefix("torch."), now)


def _processor() -> str:
    """The processor's own name where the system tells it (Linux), else its kind."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
