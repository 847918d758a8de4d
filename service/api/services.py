"""What every route needs, made once by `create_app`: settings, encoders, store, and threads for what takes long."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, ParamSpec, TypeVar

from anyio import CapacityLimiter, to_process, to_thread
from fastapi import Depends, Request
from starlette.types import Scope

from analysis.errors import UnknownModel
from analysis.types import Encoder, Occurrence, Sentences, Usages
from service.batching import Shared
from service.dictionary import Shelf
from service.fair import Fair, FairEncoders
from service.metrics import Metrics
from service.settings import Settings
from service.store import Store
from service.tickets import CURRENT, LINK, QueueFull, Ticket, current
from service.turns import Turns

P = ParamSpec("P")
T = TypeVar("T")
# Requests in threads at once. Their forward passes take turns; more threads would only hold more arrays at a time.
AT_ONCE = 8
LONGEST_WAIT = 60.0


@dataclass(eq=False)
class _Load:
    """Requests that wait for the model or have it, and how long each takes of late (seconds)."""

    requests: int = 0
    seconds: float = 0.0

    def done(self, seconds: float) -> None:
        self.requests -= 1
        self.seconds += 0.1 * (seconds - self.seconds)


@dataclass(frozen=True, eq=False)
class Services:
    """`encoders` take turns (service/batching.py); `plain` are the same without, for what must not wait in line."""

    settings: Settings
    encoders: FairEncoders
    store: Store
    shared: Shared
    metrics: Metrics
    shelf: Shelf
    let_go: Callable[[], None]
    inference: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(AT_ONCE))
    probe: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(1))
    drawing: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(1))
    load: _Load = field(default_factory=_Load)

    @classmethod
    def wire(
        cls,
        settings: Settings,
        encoders: Mapping[str, Encoder],
        store: Store,
        jobs: Callable[[], Mapping[str, int]] = dict,
        beside: int = 0,
        narrow: Callable[[], None] = lambda: None,
        tidy: Callable[[], None] = lambda: None,
        let_go: Callable[[], None] = lambda: None,
    ) -> Services:
        """The services over these parts; `jobs` tells how many there are of each status, `let_go` is called by each
        thread that has used a model, and the rest is of `Shared`."""
        metrics = Metrics()
        turns = Turns(metrics.spent, let_go)
        fair = FairEncoders(encoders, turns, metrics.read)
        shared = Shared(turns, metrics.read, beside, narrow, tidy)
        made = cls(settings, fair, store, shared, metrics, Shelf(settings.home), let_go)
        metrics.watch(lambda: made.load.requests, jobs)
        return made

    @property
    def plain(self) -> Mapping[str, Encoder]:
        return self.encoders.encoders

    def begin(self, scope: Scope) -> None:
        """Write the ticket of the request at hand."""
        caller = scope.get("caller") or (scope["client"][0] if scope.get("client") else "")
        CURRENT.set(Ticket(caller, self.settings.deadline_seconds, scope.get("state", {}).get(LINK)))

    def check_model(self, name: str | None) -> str:
        """The model's name, the default for None; loads nothing. Raises UnknownModel, which lists the names."""
        chosen = self.settings.model if name is None else name
        if chosen not in self.encoders:
            known = ", ".join(self.encoders)
            raise UnknownModel(f"there is no model {chosen!r} here", remedy=f"choose from {known}", where=("model",))
        return chosen

    async def infer(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what uses a model in a thread; what it reads takes turns with what others read.

        Raises QueueFull, ClientGone, DeadlinePassed, ShuttingDown.
        """
        ticket = current()

        def begun() -> T:
            ticket.check()  # it may have waited for the thread
            return work(*args, **kwargs)

        with self._admitted():
            return await ticket.wait_for(to_thread.run_sync(begun, limiter=self.inference))

    async def encoder(self, model: str) -> Fair:
        """The model, which its first use loads in a thread. Raises ModelUnavailable."""
        if self.encoders.info(model) is None:
            return await self.infer(self.encoders.__getitem__, model)
        return self.encoders[model]

    async def read(self, encoder: Fair, readings: Sequence[Occurrence], layers: Sequence[int]) -> Usages:
        """A few readings, in one batch with those of other clients. Raises as `infer`."""
        with self._admitted():
            return await self.shared.encode(encoder, readings, layers)

    async def read_sentences(self, encoder: Fair, texts: Sequence[str]) -> Sentences:
        """A few sentences, in one batch with those of other clients. Raises as `infer`."""
        with self._admitted():
            return await self.shared.sentences(encoder, texts)

    async def off_loop(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what takes a while without a model (searching, rendering, the database) in a thread."""
        return await to_thread.run_sync(partial(work, *args, **kwargs))

    async def draw(self, work: Callable[..., T], *args: object) -> T:
        """Run what renders charts in a process of its own, which lives on for the next one.

        In a thread it would stop the event loop: the renderer keeps the interpreter's lock for up to seconds.
        """
        return await to_process.run_sync(work, *args, limiter=self.drawing)

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        load, most = self.load, self.settings.queue_size
        if load.requests >= most:
            wait = min(LONGEST_WAIT, load.requests * load.seconds / AT_ONCE)
            raise QueueFull(
                f"{most} requests wait for the model, as many as may",
                remedy=f"try again in {max(1, math.ceil(wait))} s",
                retry_after=wait,
            )
        load.requests += 1
        since = time.monotonic()
        try:
            yield
        finally:
            load.done(time.monotonic() - since)


async def wired(request: Request) -> Services:
    """The services, after the request's ticket is written; a route has them as `Wired`."""
    services: Services = request.app.state.services
    services.begin(request.scope)
    return services


Wired = Annotated[Services, Depends(wired)]
