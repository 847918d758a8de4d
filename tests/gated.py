"""Encoders that wait until a test lets them go on, and note what they read."""

from __future__ import annotations

import time
from threading import Event
from typing import Any

from analysis.types import Occurrence, Usages
from tests.fake import FakeEncoder


def use(text: str) -> Occurrence:
    start = text.index("bank")
    return Occurrence(text, "bank", start, start + 4, "1")


class Gated(FakeEncoder):
    """Reads two texts a batch, as the real one reads a few; each reading waits for `gate`, and is noted in `seen`."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.begun = Event(), Event()
        self.seen: list[list[str]] = []

    def encode(self, readings: Any, *, progress: Any = lambda _: None, **kwargs: Any) -> Usages:
        for start in range(0, len(readings), 2):
            batch = readings[start : start + 2]
            self.seen.append([reading.text for reading in batch])
            self.begun.set()
            assert self.gate.wait(10)
            progress(len(batch))
        return super().encode(readings, **kwargs)


class Together(Gated):
    """Notes whole calls, not batches."""

    def encode(self, readings: Any, **kwargs: Any) -> Usages:
        self.seen.append([reading.text for reading in readings])
        self.begun.set()
        assert self.gate.wait(10)
        return FakeEncoder.encode(self, readings, **kwargs)


def wait_until(what: Any) -> None:
    until = time.monotonic() + 10
    while not what():
        assert time.monotonic() < until
        time.sleep(0.001)
