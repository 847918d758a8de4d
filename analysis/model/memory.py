"""Memory for a stream of any length.

What a stream holds at once stays the same, but the heap of the C library keeps the pages between the pieces in use, and
there are more of them with every batch. So large arrays have pages of their own, and the free ones of the heap go back.
"""

from __future__ import annotations

import ctypes
import math
import mmap

import numpy as np

from analysis.types import FloatArray

LARGE = 2**18  # bytes from which an array has pages of its own


def zeros(*shape: int) -> FloatArray:
    """f32 zeros. A large array's pages go back to the system with it, and are taken when they are first written to."""
    size = 4 * math.prod(shape)
    if size < LARGE:
        return np.zeros(shape, dtype=np.float32)
    # A child process that is forked gets a copy of them, as of all other memory.
    private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_ANONYMOUS") else {}
    return np.frombuffer(mmap.mmap(-1, size, **private), dtype=np.float32).reshape(shape)


def give_back() -> None:
    """Give the heap's free pages back, where the C library can be asked to (glibc). It takes about a millisecond."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, TypeError, AttributeError):  # another C library, or another system
        return
    trim(ctypes.c_size_t(0))
