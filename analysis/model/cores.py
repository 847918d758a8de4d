"""How many of the cores torch uses, and for whom."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from threading import Lock, Thread

import torch
from threadpoolctl import threadpool_info

_LOCK = Lock()
_SOFT = 1  # omp_pause_soft


def share(parts: int) -> None:
    """From now on torch uses one of so many parts of the cores for what this thread asks; others have all still."""
    with _LOCK:
        every = torch.get_num_threads()
        torch.set_num_threads(max(1, every // parts))
        # That also sets what any thread begins with that asks for the first time; from another one it is set back.
        other = Thread(target=torch.set_num_threads, args=(every,))
        other.start()
        other.join()


def let_go() -> None:
    """End the threads that help this one; what it asks of torch next begins new ones, which takes 0.1 ms.

    GNU's OpenMP keeps helpers for each thread that ever asked. Once all of them are more than the cores, none waits
    awake for the next operation any more, and a short pass takes a fifth longer.
    """
    for pause in _pauses():
        pause(_SOFT)


@cache
def _pauses() -> tuple[Callable[[int], int], ...]:
    """OpenMP 5.0's `omp_pause_resource_all`, where it is GNU's, which ends the helpers of the thread that calls it."""
    paths = [library["filepath"] for library in threadpool_info() if library["prefix"] == "libgomp"]
    found = (getattr(ctypes.CDLL(path), "omp_pause_resource_all", None) for path in paths)
    return tuple(pause for pause in found if pause is not None)
