"""Many requests, one model. Short requests of different clients are read in one batch; long ones take turns.

    POST /v1/embeddings, a sentence  --Shared-->  one batch for all who wait  --+
    POST /v1/senses, thousands       --Fair---->  a turn for each of its batches --+--Turns-->  the encoder

A long request's batches are its own, the same as if it were alone, so that its answer is too, to the last digit; only
what is read in `Shared` has neighbours, which change a number by less than 1e-5.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Condition, Thread
from typing import Any, Generic, TypeVar

import numpy as np

from analysis.types import (
    Attention,
    Encoder,
    FloatArray,
    ModelInfo,
    Occurrence,
    Perturbed,
    Progress,
    Sentences,
    Usages,
    silent,
)
from service.encoders import info
from service.tickets import ClientGone, Refused, Ticket, current, stopping
from service.turns import Turns

R = TypeVar("R", Usages, Sentences)
KEPT_ROWS = 1024  # static vectors, of 768 numbers or so
MOST_TOGETHER = 32  # readings in one shared batch: the encoder sorts them by length into passes of its own


class Fair:
    """An `Encoder` whose batches wait for their turn; between two of them, others may have theirs."""

    def __init__(self, encoder: Encoder, turns: Turns, read: Callable[[int], None]) -> None:
        self.encoder, self._turns, self._read = encoder, turns, read
        # The same few words are asked for again and again, and the tokenizer takes longer than all else on the way.
        self._row = lru_cache(maxsize=KEPT_ROWS)(lambda form: encoder.static([form])[0])

    @property
    def info(self) -> ModelInfo:
        return self.encoder.info

    def encode(
        self,
        readings: Sequence[Occurrence | Perturbed],
        *,
        layers: Sequence[int] = (),
        attention: bool = False,
        progress: Progress = silent,
    ) -> Usages:
        """As the encoder does; also raises ClientGone, DeadlinePassed, ShuttingDown between two batches."""
        with self._turns.turn(current()) as step_aside:
            watch = _between(progress, len(readings), step_aside)
            usages = self.encoder.encode(readings, layers=layers, attention=attention, progress=watch)
        self._read(usages.n_subwords)
        return usages

    def sentences(self, texts: Sequence[str], *, progress: Progress = silent) -> Sentences:
        """As the encoder does; raises as `encode`."""
        with self._turns.turn(current()) as step_aside:
            read = self.encoder.sentences(texts, progress=_between(progress, len(texts), step_aside))
        self._read(read.n_subwords)
        return read

    def attention(self, text: str) -> Attention:
        with self._turns.turn(current()):
            return self.encoder.attention(text)

    def static(self, forms: Sequence[str]) -> FloatArray:
        return np.stack([self._row(form) for form in forms])  # rows of a table: nothing to wait for


def _between(progress: Progress, total: int, step_aside: Callable[[], None]) -> Progress:
    left = total

    def watch(done: int) -> None:
        nonlocal left
        left -= done
        progress(done)
        if left > 0:
            step_aside()

    return watch


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
    """

    def __init__(self, turns: Turns, read: Callable[[int], None]) -> None:
        self._turns, self._read = turns, read
        self._lines: OrderedDict[tuple[Any, ...], _Line] = OrderedDict()
        self._change = Condition()
        self._closed = False
        self._thread = Thread(target=self._run, name="polyseme-batches", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    async def encode(self, encoder: Fair, readings: Sequence[Occurrence], layers: Sequence[int]) -> Usages:
        """(N) usages of these readings. Raises as the encoder does; and ClientGone, DeadlinePassed, ShuttingDown."""
        own = encoder.encoder
        line = _Line(lambda inputs: own.encode(inputs, layers=layers))
        usages: Usages = await self._submit(("encode", id(own), *layers), line, readings)
        return usages

    async def sentences(self, encoder: Fair, texts: Sequence[str]) -> Sentences:
        """(N) sentences; raises as `encode`."""
        own = encoder.encoder
        read: Sentences = await self._submit(("sentences", id(own)), _Line(own.sentences), texts)
        return read

    def close(self) -> None:
        """Whoever waits is told that the service stops, and so is whoever waits for a turn."""
        with self._change:
            self._closed = True
            self._change.notify()
        self._turns.close()
        self._thread.join(timeout=60)  # a batch that is being read is finished

    def waiting(self) -> int:
        """How many requests wait to be read."""
        with self._change:
            return sum(len(items) for line in self._lines.values() for items in line.callers.values())

    async def _submit(self, key: tuple[Any, ...], line: _Line, inputs: Sequence[Any]) -> Any:
        item = _Item[Any](inputs, current(), asyncio.get_running_loop().create_future())
        with self._change:
            if self._closed:
                raise stopping()
            callers = self._lines.setdefault(key, line).callers
            callers.setdefault(item.ticket.caller, deque()).append(item)
            self._change.notify()
        return await item.ticket.wait_for(item.answer)

    def _run(self) -> None:
        ticket = Ticket("shared batches")
        while True:
            with self._change:
                self._change.wait_for(lambda: self._closed or self._lines)
                if self._closed:
                    break
            items: list[_Item[Any]] = []
            try:
                with self._turns.turn(ticket):
                    read, items = self._take()  # only now: those who came during the wait are read too
                    self._answer(read, items)
            except Refused as error:
                _tell(items, error)
        with self._change:
            rest = [item for line in self._lines.values() for items in line.callers.values() for item in items]
            self._lines.clear()
        _tell(rest, stopping())

    def _take(self) -> tuple[Callable[[Sequence[Any]], Any], list[_Item[Any]]]:
        with self._change:
            key, line = self._lines.popitem(last=False)
            items = line.take(MOST_TOGETHER)
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


class FairEncoders(Mapping[str, Fair]):
    """The encoders by name, each behind the same turns. Takes seconds where the first use of a model loads it."""

    def __init__(self, encoders: Mapping[str, Encoder], turns: Turns, read: Callable[[int], None]) -> None:
        self.encoders, self._turns, self._read = encoders, turns, read
        self._fair: dict[str, Fair] = {}

    def __getitem__(self, name: str) -> Fair:
        if name not in self._fair:
            self._fair.setdefault(name, Fair(self.encoders[name], self._turns, self._read))
        return self._fair[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.encoders)

    def __len__(self) -> int:
        return len(self.encoders)

    def __contains__(self, name: object) -> bool:
        return name in self.encoders

    def info(self, name: str) -> ModelInfo | None:
        """What is known of a model without loading it."""
        fair = self._fair.get(name)
        return info(self.encoders, name) if fair is None else fair.info
