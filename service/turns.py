"""Who may use the model next. One at a time, since torch uses every core for one pass already; but shared batches,
which share the cores, may go beside each other."""

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
    `spent` is told the seconds of each turn; `let_go` is called by whoever had it, before the next one has.
    """

    def __init__(
        self, spent: Callable[[float], None] = lambda _: None, let_go: Callable[[], None] = lambda: None
    ) -> None:
        self._spent, self._let_go = spent, let_go
        self._lock = Lock()
        self._lines: OrderedDict[str, deque[Ticket]] = OrderedDict()
        self._holders: dict[Ticket, float] = {}  # and since when
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
            self._give(ticket)
            take()

        take()
        try:
            yield step_aside
        finally:
            if held:
                self._give(ticket)

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
            if not self._lines and self._fits(ticket):
                self._holders[ticket] = time.monotonic()
                return
            self._lines.setdefault(ticket.caller, deque()).append(ticket)
        wake.wait(ticket.left())
        with self._lock:
            try:
                self._look(ticket)
            except BaseException:
                if self._holders.pop(ticket, None) is None:
                    self._leave(ticket)
                self._next()
                raise

    def _look(self, ticket: Ticket) -> None:
        if self._closed:
            raise stopping()
        ticket.check()

    def _give(self, ticket: Ticket) -> None:
        try:
            self._let_go()
        finally:
            with self._lock:
                self._spent(time.monotonic() - self._holders.pop(ticket))
                self._next()

    def _fits(self, ticket: Ticket) -> bool:
        return all(ticket.beside and holder.beside for holder in self._holders)

    def _next(self) -> None:
        while self._lines:
            caller, line = next(iter(self._lines.items()))
            if not self._fits(line[0]):
                return
            ticket = line.popleft()
            del self._lines[caller]
            if line:
                self._lines[caller] = line
            self._holders[ticket] = time.monotonic()
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
