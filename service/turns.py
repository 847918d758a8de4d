"""Who may use the model next. One at a time, since torch uses every core for one pass already."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Lock

from service.tickets import Ticket, stopping


class Turns:
    """A fair lock: callers in turn, and of one caller its requests in turn (round robin, twice).

    A long request lets go after each of its batches and waits again, at the end of its caller's line.
    `spent` is told the seconds of each turn.
    """

    def __init__(self, spent: Callable[[float], None] = lambda _: None) -> None:
        self._spent = spent
        self._lock = Lock()
        self._lines: OrderedDict[str, deque[Ticket]] = OrderedDict()
        self._holder: Ticket | None = None
        self._since = 0.0
        self._closed = False

    @contextmanager
    def turn(self, ticket: Ticket) -> Iterator[Callable[[], None]]:
        """Hold the model; what it yields lets others go first. Raises ClientGone, DeadlinePassed, ShuttingDown."""
        held = False

        def take() -> None:
            nonlocal held
            self._take(ticket)
            held = True

        def step_aside() -> None:
            nonlocal held
            held = False
            self._give()
            take()

        take()
        try:
            yield step_aside
        finally:
            if held:
                self._give()

    def close(self) -> None:
        """Whoever waits, or comes later, is told that the service stops."""
        with self._lock:
            self._closed = True
            for line in self._lines.values():
                for ticket in line:
                    _wake(ticket)
            self._lines.clear()

    def waiting(self) -> int:
        """How many wait for a turn."""
        with self._lock:
            return sum(map(len, self._lines.values()))

    def _take(self, ticket: Ticket) -> None:
        wake = ticket.wake = Event()  # before it is looked at: a cancel from now on wakes the wait
        with self._lock:
            self._look(ticket)
            if self._holder is None:
                self._begin(ticket)
                return
            self._lines.setdefault(ticket.caller, deque()).append(ticket)
        wake.wait(ticket.left())
        with self._lock:
            try:
                self._look(ticket)
            except BaseException:
                if self._holder is ticket:
                    self._next()
                else:
                    self._leave(ticket)
                raise

    def _look(self, ticket: Ticket) -> None:
        if self._closed:
            raise stopping()
        ticket.check()

    def _give(self) -> None:
        with self._lock:
            self._spent(time.monotonic() - self._since)
            self._next()

    def _begin(self, ticket: Ticket) -> None:
        self._holder, self._since = ticket, time.monotonic()

    def _next(self) -> None:
        self._holder = None
        if not self._lines:
            return
        caller, line = self._lines.popitem(last=False)
        ticket = line.popleft()
        if line:
            self._lines[caller] = line
        self._begin(ticket)
        _wake(ticket)

    def _leave(self, ticket: Ticket) -> None:
        line = self._lines.get(ticket.caller)
        if line is not None and ticket in line:
            line.remove(ticket)
            if not line:
                del self._lines[ticket.caller]


def _wake(ticket: Ticket) -> None:
    if ticket.wake is not None:
        ticket.wake.set()
