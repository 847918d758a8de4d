"""How one usage is laid out for a model: its subwords, the words they make up, and where the target is.

Everything is located by offsets, never by searching tokens. A text longer than the model's window is read through a
window around the target; words are then left out or masked inside that window, so the rest stays where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analysis.attention import join_pieces
from analysis.errors import BadSpan, BadText
from analysis.types import IntArray, Occurrence, Operator, Span, Unit


@dataclass(frozen=True, eq=False)
class Tokens:
    """T subwords of a whole text, without special tokens: ids, offsets, and the W words they make up."""

    ids: IntArray
    starts: IntArray
    ends: IntArray
    units: tuple[Unit, ...]
    unit_of: IntArray


@dataclass(frozen=True, eq=False)
class Specials:
    """What the tokenizer puts before and after a text: ids, and units to show them by."""

    before: tuple[tuple[int, Unit], ...]
    after: tuple[tuple[int, Unit], ...]

    def __len__(self) -> int:
        return len(self.before) + len(self.after)


@dataclass(frozen=True, eq=False)
class Reading:
    """T subwords as the model reads them, special tokens included, and the W units they make up.

    unit_of (T)  the unit of each subword;  target (T)  the target's subwords;  context (T)  the other words' subwords
    """

    ids: IntArray
    units: tuple[Unit, ...]
    unit_of: IntArray
    target: NDArray[np.bool_]
    context: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def key(self) -> tuple[bytes, bytes, bytes]:
        """Readings with the same key have the same vectors."""
        return self.ids.tobytes(), self.target.tobytes(), self.context.tobytes()


def tokens(text: str, ids: Sequence[int], offsets: Sequence[tuple[int, int]], text_words: Sequence[Unit]) -> Tokens:
    """The tokenizer's ids and half-open code-point offsets, joined to the words they overlap."""
    starts, ends = np.array(offsets, dtype=np.int64).reshape(-1, 2).T
    units, unit_of = _within_words(starts, ends, text_words) or join_pieces(
        [Unit(text[start:end], start, end) for start, end in offsets], text, text_words
    )
    return Tokens(np.asarray(ids, dtype=np.int64), starts, ends, units, unit_of)


def _within_words(
    starts: IntArray, ends: IntArray, text_words: Sequence[Unit]
) -> tuple[tuple[Unit, ...], IntArray] | None:
    """`join_pieces` where every piece overlaps one word only, as nearly always; else None. It takes most of the time
    outside the model, so the common case is not left to a loop."""
    first = np.searchsorted(np.fromiter((word.end for word in text_words), np.int64), starts, side="right")
    behind = np.searchsorted(np.fromiter((word.start for word in text_words), np.int64), ends, side="left")
    if not (behind - first == 1).all():
        return None
    used, unit_of = np.unique(first, return_inverse=True)
    return tuple(text_words[i] for i in used), unit_of


def read(occurrence: Occurrence, whole: Tokens, specials: Specials, window: int) -> Reading:
    """The occurrence with as much of its text as the window holds, in whole words.

    Raises BadSpan where no subword covers the target, BadText where the target alone is longer than the window.
    """
    positions = overlapping(whole.starts, whole.ends, occurrence.span)
    if not len(positions):
        raise BadSpan(
            f"the model's tokenizer sees nothing at {occurrence.start}:{occurrence.end} "
            f"of text {occurrence.source_id!r}",
            remedy="give a span of letters, digits or signs",
            where=("source", occurrence.source_id),
        )
    first, last = whole.unit_of[positions[0]], whole.unit_of[positions[-1]]
    low, high = _window(whole.unit_of, int(first), int(last), window - len(specials), occurrence)
    inside = slice(low, high)
    unit_low, unit_high = whole.unit_of[low], whole.unit_of[high - 1] + 1
    n_before, n_after = len(specials.before), len(specials.after)

    units = (
        *(unit for _, unit in specials.before),
        *whole.units[unit_low:unit_high],
        *(Unit(unit.text, len(occurrence.text), len(occurrence.text), special=True) for _, unit in specials.after),
    )
    n_words = unit_high - unit_low
    unit_of = np.concatenate(
        [
            np.arange(n_before),
            whole.unit_of[inside] - unit_low + n_before,
            np.arange(n_before + n_words, n_before + n_words + n_after),
        ]
    )
    ids = np.concatenate(
        [
            np.array([i for i, _ in specials.before], dtype=np.int64),
            whole.ids[inside],
            np.array([i for i, _ in specials.after], dtype=np.int64),
        ]
    )
    target = np.zeros(len(ids), dtype=bool)
    target[positions - low + n_before] = True
    context = ~target
    context[:n_before] = context[len(ids) - n_after :] = False
    return Reading(ids, units, unit_of, target, context)


def perturb(reading: Reading, removed: Sequence[Span], operator: Operator, mask_id: int | None) -> Reading:
    """The reading with the words at `removed` deleted, or each of their subwords replaced by the mask token.

    The target and the special tokens always stay. A masked word takes no part in the mean of the context.
    """
    gone_units = np.array(
        [not unit.special and any(unit.span.overlaps(span) for span in removed) for unit in reading.units], dtype=bool
    )
    target_units = np.zeros(len(reading.units), dtype=bool)
    target_units[reading.unit_of[reading.target]] = True
    gone = (gone_units & ~target_units)[reading.unit_of]
    if operator == "mask":
        if mask_id is None:
            raise ValueError("perturb: a mask needs a mask_id")
        return replace(reading, ids=np.where(gone, mask_id, reading.ids), context=reading.context & ~gone)
    kept = np.unique(reading.unit_of[~gone])
    return Reading(
        ids=reading.ids[~gone],
        units=tuple(reading.units[i] for i in kept),
        unit_of=np.searchsorted(kept, reading.unit_of[~gone]),
        target=reading.target[~gone],
        context=reading.context[~gone],
    )


def overlapping(starts: IntArray, ends: IntArray, span: Span) -> IntArray:
    """Indices of the half-open offsets (T) that share a character with the span."""
    return np.flatnonzero((starts < span.end) & (ends > span.start))


def _window(unit_of: IntArray, first: int, last: int, room: int, occurrence: Occurrence) -> tuple[int, int]:
    """The subwords [low, high) to read: the target's units in the middle, whole units only, at most `room`."""
    n = len(unit_of)
    if n <= room:
        return 0, n
    low, high = int(np.searchsorted(unit_of, first)), int(np.searchsorted(unit_of, last, side="right"))
    if high - low > room:
        raise BadText(
            f"the target at {occurrence.start}:{occurrence.end} of text {occurrence.source_id!r} takes {high - low} "
            f"subwords, and the model reads {room}",
            remedy="give a shorter span",
            where=("source", occurrence.source_id),
        )
    start = min(max(0, (low + high - room) // 2), n - room)
    stop = start + room
    # A word that the edge would cut is left out whole.
    if start > 0 and unit_of[start] == unit_of[start - 1]:
        start = int(np.searchsorted(unit_of, unit_of[start], side="right"))
    if stop < n and unit_of[stop - 1] == unit_of[stop]:
        stop = int(np.searchsorted(unit_of, unit_of[stop]))
    return min(start, low), max(stop, high)
