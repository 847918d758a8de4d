"""How many of the cores torch uses."""

from __future__ import annotations

from threading import Lock, Thread

import torch

_LOCK = Lock()


def share(parts: int) -> None:
    """From now on torch uses one of so many parts of the cores for what this thread asks; others have all still."""
    with _LOCK:
        every = torch.get_num_threads()
        torch.set_num_threads(max(1, every // parts))
        # That also sets what any thread begins with that asks for the first time; from another one it is set back.
        other = Thread(target=torch.set_num_threads, args=(every,))
        other.start()
        other.join()
