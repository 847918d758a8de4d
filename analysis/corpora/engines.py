"""Where the model's work on a corpus is done. `Local` does it here; `ray_engine.Ray` on many machines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

from analysis.pipeline import Watch
from analysis.types import Encoder

Task = TypeVar("Task")
Result = TypeVar("Result")
Load = Callable[[], Encoder]
# A function of a module, so that another machine can be told which; the watch is told of readings as they are done.
Work = Callable[[Encoder, Task, Watch], Result]


class Engine(Protocol):
    def run(self, work: Work[Task, Result], tasks: Iterable[Task], watch: Watch) -> Iterator[Result]:
        """The result of each task, in any order; only some of the tasks are held at once.

        An error of the work ends it. An engine elsewhere leaves the watch alone.
        """
        ...


class Local:
    """In this process, one task after the other. The model is loaded when there is a first task."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._encoder: Encoder | None = None

    def run(self, work: Work[Task, Result], tasks: Iterable[Task], watch: Watch) -> Iterator[Result]:
        for task in tasks:
            if self._encoder is None:
                self._encoder = self._load()
            yield work(self._encoder, task, watch)
