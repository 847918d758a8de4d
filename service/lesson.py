"""The lesson's parts, each measured once in the service's life, one at a time, however many ask."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from anyio import CapacityLimiter, to_thread

from analysis.lesson import MODEL, Heads, PartName
from analysis.types import Encoder
from service.store import NotFound


class Lesson:
    """`measure` gives a part by its name; it is called in a thread, and again only where it failed."""

    def __init__(self, measure: Callable[[PartName], Any]) -> None:
        self._measure = measure
        self._asked: dict[PartName, asyncio.Task[Any]] = {}
        self._one = CapacityLimiter(1)  # two measurements at once would measure each other

    def measured(self, name: PartName) -> bool:
        """Whether the part can be had at once."""
        task = self._asked.get(name)
        return task is not None and task.done() and not _failed(task)

    async def part(self, name: PartName) -> Any:
        """The part. The measuring goes on for others when the one who asked first goes away."""
        task = self._asked.get(name)
        if task is None or (task.done() and _failed(task)):
            task = self._asked[name] = asyncio.create_task(self._run(name))
            task.add_done_callback(_failed)  # an error that nobody waits for any more has been seen
        return await asyncio.shield(task)

    async def _run(self, name: PartName) -> Any:
        return await to_thread.run_sync(self._measure, name, limiter=self._one)


def _failed(task: asyncio.Task[Any]) -> bool:
    return task.cancelled() or task.exception() is not None


def shown_model(encoders: Mapping[str, Encoder]) -> Heads:
    """The model whose queries and keys are shown, loaded if need be. Raises NotFound."""
    encoder = encoders.get(MODEL)
    if not isinstance(encoder, Heads):
        raise NotFound(
            f"the lesson shows the attention of the model {MODEL!r}, which this service has not",
            remedy=f"whoever runs the service can add {MODEL} to POLYSEME_MODELS",
        )
    return encoder
