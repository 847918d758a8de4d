"""Uses of many targets in a stream of texts, in one pass.

A corpus has few different words: whether a target may stand in a run of characters between white space is found out
once a run, and only texts with such a run are looked at closely.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from analysis.corpora.passages import passage
from analysis.corpora.sources import Text
from analysis.errors import TargetNotFound
from analysis.text import Match, find, may_use
from analysis.types import Document, Occurrence

KNOWN = 2**18  # runs that are remembered
LONGEST_RUN = 64  # characters of a run that is remembered
PIECE = 2**18  # characters of a text that are looked at together


class Use(NamedTuple):
    """A use of a target: `text[start:end]` in a passage that begins at code point `text_start` of its line (its field).

    `file` and `line` say where the text is, `source_id` is its own id; `cut` where the passage is not all of it.
    """

    file: str
    line: int
    source_id: str
    text: str
    text_start: int
    start: int
    end: int
    cut: bool

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"

    def occurrence(self, target: str) -> Occurrence:
        return Occurrence(self.text, target, self.start, self.end, self.place)


class Finder:
    """Finds uses of the targets as `text.find` does. Raises BadOption as that does, when it is made."""

    def __init__(self, targets: Sequence[str], *, match: Match, language: str) -> None:
        self._targets = tuple(targets)
        self._match, self._language = match, language
        self._known: dict[str, int] = {}
        for target in targets:
            may_use("", target, match=match, language=language)

    def uses(self, file: str, text: Text) -> Iterator[tuple[int, Use]]:
        """The number of the target, and the use, in the order of the targets and then of the text."""
        for low, piece in _pieces(text.text):
            some = self._some(piece)
            if not some:
                continue
            for number, target in enumerate(self._targets):
                if some >> number & 1:
                    for start, end in self._spans(piece, target):
                        cut = passage(text.text, low + start, low + end)
                        at = low + start - cut.low
                        use = Use(
                            file, text.line, text.id, cut.text, text.start + cut.low, at, at + end - start, cut.cut
                        )
                        yield number, use

    def _some(self, text: str) -> int:
        """The targets that may be used in the text: bit i is that of target i."""
        found = 0
        for run in text.split():
            known = self._known.get(run)
            if known is None:
                known = self._look(run)
                if len(self._known) >= KNOWN:
                    self._known.clear()
                if len(run) <= LONGEST_RUN:
                    self._known[run] = known
            found |= known
        return found

    def _look(self, run: str) -> int:
        may = (may_use(run, target, match=self._match, language=self._language) for target in self._targets)
        return sum(1 << number for number, found in enumerate(may) if found)

    def _spans(self, text: str, target: str) -> list[tuple[int, int]]:
        try:
            found = find([Document(text, "")], target, match=self._match, language=self._language)
        except TargetNotFound:
            return []
        return [(use.start, use.end) for use in found.occurrences]


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """The text in pieces that end behind a space, each with the code point that it begins at."""
    low = 0
    while len(text) - low > PIECE:
        high = text.rfind(" ", low, low + PIECE) + 1 or low + PIECE
        yield low, text[low:high]
        low = high
    yield low, text[low:]
