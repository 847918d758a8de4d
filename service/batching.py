"""Many requests, one model. Short requests of different clients are read in one batch; long ones take turns.

    POST /v1/embeddings, a sentence  --Shared-->  one batch for all who wait  --+
    POST /v1/senses, thousands       --Fair---->  a turn for each of its batches --+--Turns-->  the encoder

What is read in `Shared` has neighbours, which change a number by less than 1e-5; what is in `Fair` has none.

A batch has all cores until enough wait for another one beside it. Batches on a core each, side by side, take less time
than one after the other on all cores, and while the answers of one are written the other is read. Where both end at
once, the first to ask again is not read alone on all cores: the others are about to come.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from threading import Condition, Lock, Thread
from typing import Any, Generic, TypeVar

from analysis.types import Occurrence, Sentences, Usages
from service.fair import Fair
from service.tickets import ClientGone, Refused, Ticket, current, stopping
from service.turns import Turns

R = TypeVar("R", Usages, Sentences)
MOST_TOGETHER = 32  # readings in one shared batch: the encoder sorts them by length into passes of its own
TIDIED = 16  # batches, about a second of work, after which the heap's free pages are given back
LEAST_BESIDE = 16  # readings for which a batch is begun beside another: of fewer, each would cost more
SOON = 0.02  # seconds in which those who were answered beside many others are likely to ask again


@dataclass(eq=False)
class _Item(Generic[R]):
    """What one client wants read in a shared batch, and where to put it."""

    inputs: Sequence[Any]
    ticket: Ticket
    answer: asyncio.Future[R]
    outcome: R | BaseException | None = None


@dataclass
class _Line:
    """Those who want the same done (one model, the same layers), by caller."""

    read: Callable[[Sequence[Any]], Any]
    callers: OrderedDict[str, deque[_Item[Any]]] = field(default_factory=OrderedDict)

    def take(self, most: int) -> list[_Item[Any]]:
        """Items of at most `most` inputs in all (one item at least), callers in turn."""
        taken: list[_Item[Any]] = []
        size = 0
        while self.callers:
            caller, items = next(iter(self.callers.items()))
            size += len(items[0].inputs)
            if taken and size > most:
                break
            taken.append(items.popleft())
            del self.callers[caller]
            if items:
                self.callers[caller] = items
        return taken


class Shared:
    """Reads what many clients ask for in one batch: whatever waits when the model is free, and at once when one does.

    A bad input fails its own request only. What nobody waits for any more, or is past its deadline, is not read.

    `beside`: how many batches may be read side by side, each in a thread that calls `narrow` before its first, so that
    the model uses one core for what that thread asks. `tidy` is called after each `TIDIED` batches.
    """

    def __init__(
        self,
        turns: Turns,
        read: Callable[[int], None],
        beside: int = 0,
        narrow: Callable[[], None] = lambda: None,
        tidy: Callable[[], None] = lambda: None,
    ) -> None:
        self._turns, self._read, self._narrow, self._tidy = turns, read, narrow, tidy
        self._batches = count(1)
        self._lines: OrderedDict[tuple[Any, ...], _Line] = OrderedDict()
        self._waiting = 0  # readings in the lines
        self._busy = 0  # threads that read a batch, or wait for their turn to
        self._most = beside
        self._crowded = 0.0  # until when many are likely to ask again
        self._lock = Lock()
        self._alone, self._beside = Condition(self._lock), Condition(self._lock)
        self._closed = False
        self._threads = [Thread(target=self._run_alone, name="polyseme-batches", daemon=True)]
        self._threads += [
            Thread(target=self._run_beside, name=f"polyseme-batches-{i}", daemon=True) for i in range(beside)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

    async def encode(self, encoder: Fair, readings: Sequence[Occurrence], layers: Sequence[int]) -> Usages:
        """(N) usages of these readings, without their context.

        Raises as the encoder does; and ClientGone, DeadlinePassed, ShuttingDown.
        """
        own = encoder.encoder
        line = _Line(lambda inputs: own.encode(inputs, layers=layers, context=False))
        usages: Usages = await self._submit(("encode", id(own), *layers), line, readings)
        return usages

    async def sentences(self, encoder: Fair, texts: Sequence[str]) -> Sentences:
        """(N) sentences; raises as `encode`."""
        own = encoder.encoder
        read: Sentences = await self._submit(("sentences", id(own)), _Line(own.sentences), texts)
        return read

    def close(self) -> None:
        """Whoever waits is told that the service stops, and so is whoever waits for a turn."""
        with self._lock:
            self._closed = True
            self._alone.notify_all()
            self._beside.notify_all()
            rest = [item for line in self._lines.values() for items in line.callers.values() for item in items]
            self._lines.clear()
        _tell(rest, stopping())
        self._turns.close()
        for thread in self._threads:
            thread.join(timeout=60)  # a batch that is being read is finished

    def waiting(self) -> int:
        """How many requests wait to be read."""
        with self._lock:
            return sum(len(items) for line in self._lines.values() for items in line.callers.values())

    async def _submit(self, key: tuple[Any, ...], line: _Line, inputs: Sequence[Any]) -> Any:
        item = _Item[Any](inputs, current(), asyncio.get_running_loop().create_future())
        with self._lock:
            if self._closed:
                raise stopping()
            callers = self._lines.setdefault(key, line).callers
            callers.setdefault(item.ticket.caller, deque()).append(item)
            self._waiting += len(inputs)
            self._call()
        return await item.ticket.wait_for(item.answer)

    def _call(self) -> None:
        """Wake the thread that is to read what waits, if one is."""
        if self._due_beside():
            self._beside.notify()
        elif self._due_alone():
            self._alone.notify()

    def _due_alone(self) -> bool:
        return bool(self._lines) and not self._busy and not self._due_beside() and not self._to_come()

    def _due_beside(self) -> bool:
        """What waits is enough for a batch beside the one that is read, or else for two, of which one is about to come
        where many are."""
        first = LEAST_BESIDE // 2 if self._to_come() else 2 * LEAST_BESIDE
        return self._busy < self._most and self._waiting >= (LEAST_BESIDE if self._busy else first)

    def _to_come(self) -> float | None:
        """Seconds in which many are likely to ask again, if they are."""
        left = self._crowded - time.monotonic()
        return left if left > 0 else None

    def _run_alone(self) -> None:
        self._run(self._alone, self._due_alone)

    def _run_beside(self) -> None:
        with self._lock:
            self._beside.wait_for(lambda: self._closed or self._due_beside())
        self._narrow()
        self._run(self._beside, self._due_beside)

    def _run(self, called: Condition, due: Callable[[], bool]) -> None:
        ticket = Ticket("shared batches", beside=self._most > 0)
        while True:
            with self._lock:
                while not (self._closed or due()):
                    called.wait(self._to_come())
                if self._closed:
                    return
                self._busy += 1
                self._call()
            items: list[_Item[Any]] = []
            try:
                with self._turns.turn(ticket):
                    read, items = self._take()  # only now: those who came during the wait are read too
                    self._answer(read, items)
                    if next(self._batches) % TIDIED == 0:
                        self._tidy()
            except Refused as error:
                _tell(items, error)
            finally:
                with self._lock:
                    self._busy -= 1
                    if self._most and len(items) >= LEAST_BESIDE:
                        self._crowded = time.monotonic() + SOON
                        self._alone.notify()  # to look again by then
                    self._call()

    def _take(self) -> tuple[Callable[[Sequence[Any]], Any], list[_Item[Any]]]:
        with self._lock:
            if not self._lines:  # the thread beside was quicker
                return list, []
            key, line = self._lines.popitem(last=False)
            shares = max(1, self._most - self._busy + 1)  # with those who may read beside
            items = line.take(min(MOST_TOGETHER, max(LEAST_BESIDE, -(-self._waiting // shares))))
            self._waiting -= sum(len(item.inputs) for item in items)
            if line.callers:
                self._lines[key] = line
            return line.read, items

    def _answer(self, read: Callable[[Sequence[Any]], Any], items: list[_Item[Any]]) -> None:
        wanted = []
        for item in items:
            try:
                item.ticket.check()
                wanted.append(item)
            except (ClientGone, Refused) as error:
                item.outcome = error
        try:
            if wanted:
                self._together(read, wanted)
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to who asked
            for item in wanted:
                item.outcome = _alone(read, item) if len(wanted) > 1 else error
        _deliver(items)

    def _together(self, read: Callable[[Sequence[Any]], Any], items: list[_Item[Any]]) -> None:
        result = read([one for item in items for one in item.inputs])
        self._read(result.n_subwords)
        start = 0
        for item in items:
            item.outcome = result.take(range(start, start + len(item.inputs)))
            start += len(item.inputs)


def _alone(read: Callable[[Sequence[Any]], R], item: _Item[R]) -> R | BaseException:
    try:
        return read(item.inputs)
    except Exception as error:  # noqa: BLE001 - as above
        return error


def _tell(items: Sequence[_Item[Any]], error: BaseException) -> None:
    for item in items:
        item.outcome = error
    _deliver(items)


def _deliver(items: Sequence[_Item[Any]]) -> None:
    """Every answer to its event loop, which is woken once."""
    loops: dict[asyncio.AbstractEventLoop, list[_Item[Any]]] = {}
    for item in items:
        loops.setdefault(item.answer.get_loop(), []).append(item)
    for loop, its in loops.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle, its)


def _settle(items: Sequence[_Item[Any]]) -> None:
    for item in items:
        if item.answer.done():
            continue
        if isinstance(item.outcome, BaseException):
            item.answer.set_exception(item.outcome)
        else:
            item.answer.set_result(item.outcome)
