"""A request's claim on the model: whose it is, until when it is worth anything, and whether anybody still waits.

The ticket of the request at hand travels in a context variable, so that code which knows only an `Encoder` (all of
`analysis`) is still charged to the right caller, and stopped with its request.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
from threading import Event
from typing import Any, TypeVar

from analysis.errors import PolysemeError

T = TypeVar("T")
LINK = "polyseme.link"  # in a request's state: its Link


class Refused(PolysemeError):
    """Not now: the caller can try again after `retry_after` seconds."""

    def __init__(self, what: str, *, remedy: str, retry_after: float = 1.0) -> None:
        super().__init__(what, remedy=remedy)
        self.retry_after = max(1, math.ceil(retry_after))


class QueueFull(Refused):
    """As many requests wait for the model as may."""


class DeadlinePassed(Refused):
    """The request took longer than it may; what was left of it was dropped."""


class ShuttingDown(Refused):
    """The service is about to stop."""


def stopping() -> ShuttingDown:
    """The error of all that still waits when the service stops."""
    return ShuttingDown("the service is about to stop", remedy="try again in a moment", retry_after=5)


class ClientGone(Exception):
    """The client hung up: what was left of its request was dropped."""


class Link:
    """A client's connection: whether it is lost, and whom to tell when it is. Only for its event loop's thread."""

    def __init__(self) -> None:
        self.lost = False
        self.watchers: set[Callable[[], None]] = set()

    def lose(self) -> None:
        """The client hung up."""
        self.lost = True
        for tell in tuple(self.watchers):
            tell()


class Ticket:
    """`caller` is who shares turns with the others; `seconds` from now until the work is dropped (None: never).

    `link`: what the request came by, where its server says so.

    Tickets that are `beside` have their turns together with others that are.
    """

    def __init__(
        self, caller: str = "", seconds: float | None = None, link: Link | None = None, *, beside: bool = False
    ) -> None:
        self.caller = caller
        self.beside = beside
        self.wake: Event | None = None  # of whoever waits with this ticket: set when it must look again
        self._until = math.inf if seconds is None else time.monotonic() + seconds
        self._link = link or Link()
        self._gone = False

    def check(self) -> None:
        """Raises ClientGone, DeadlinePassed: before any work is begun for this ticket."""
        if self._gone or self._link.lost:
            raise ClientGone
        if time.monotonic() >= self._until:
            raise DeadlinePassed(
                "the request took longer than the service allows", remedy="ask for less at a time, or try again later"
            )

    def left(self) -> float | None:
        """Seconds until the deadline, not below 0; None where there is none."""
        return None if self._until == math.inf else max(0.0, self._until - time.monotonic())

    def cancel(self) -> None:
        """Nobody waits for the answer any more. Safe from any thread."""
        self._gone = True
        if self.wake is not None:
            self.wake.set()

    async def wait_for(self, work: Awaitable[T]) -> T:
        """What the work gives. Raises ClientGone, DeadlinePassed, ShuttingDown as soon as that is known; the work,
        told by `check`, then ends by itself."""
        task = asyncio.ensure_future(work)
        first: asyncio.Future[None] = task.get_loop().create_future()

        def tell(_: object = None) -> None:
            if not first.done():
                first.set_result(None)

        def hung_up() -> None:
            self.cancel()
            tell()

        def late() -> None:
            self._until = time.monotonic()  # the loop's clock may be a little before this one
            tell()

        left = self.left()
        timer = None if left is None else task.get_loop().call_later(left, late)
        task.add_done_callback(tell)
        self._link.watchers.add(hung_up)
        try:
            if not self._link.lost:
                await first
            if task.done():
                return task.result()
            self.check()
            raise AssertionError("a wait ends with an answer, a hang-up or the deadline")
        except asyncio.CancelledError:  # by the server, when its time to drain is over: the caller is still to be told
            raise stopping() from None
        finally:
            self._link.watchers.discard(hung_up)
            if timer is not None:
                timer.cancel()
            if not task.done():
                self.cancel()
                task.add_done_callback(_forget)


CURRENT: ContextVar[Ticket | None] = ContextVar("ticket", default=None)


def current() -> Ticket:
    """The ticket of the request at hand; outside of requests one that nobody cancels and that lasts."""
    return CURRENT.get() or Ticket()


def _forget(task: asyncio.Future[Any]) -> None:
    with suppress(BaseException):  # asked for, so that asyncio does not warn that nobody did
        task.exception()
