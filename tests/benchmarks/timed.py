"""An encoder that says how long it was at work."""

from __future__ import annotations

import time
from typing import Any


class Timed:
    """Any `Encoder`, whose calls are timed: `spent` seconds of all of them together."""

    def __init__(self, encoder: Any) -> None:
        self._encoder, self.spent = encoder, 0.0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._encoder, name)
        if not callable(found):
            return found

        def timed(*arguments: Any, **named: Any) -> Any:
            since = time.perf_counter()
            try:
                return found(*arguments, **named)
            finally:
                self.spent += time.perf_counter() - since

        return timed
