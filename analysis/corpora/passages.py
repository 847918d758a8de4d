"""As much of a long text as helps to read one of its words: whole sentences around it.

A book may be one line. What stands pages away says little about a word, and reading it costs as much as what is near.
"""

from __future__ import annotations

import re
from typing import NamedTuple

LONGEST = 1000  # characters: a text up to this is read whole
REACH = 400  # characters to either side of the word in a longer one; some 130 words in all
_END = re.compile(r"""[.!?…]["'”’»)\]]*\s+|[。！？]["'”’」』）]*|\n\s*""")  # of a sentence, with the space behind it


class Passage(NamedTuple):
    """`text` begins at code point `low` of the text that it was cut from; `cut` where it is not all of that."""

    text: str
    low: int
    cut: bool


def passage(text: str, start: int, end: int) -> Passage:
    """The whole sentences that fit within REACH of [start, end); a sentence that is longer is cut between words."""
    if len(text) <= LONGEST:
        return Passage(text, 0, False)
    low, high = max(0, start - REACH), min(len(text), end + REACH)
    if low > 0:
        low = next((m.end() for m in _END.finditer(text, low, start)), _behind_space(text, low, start))
    if high < len(text):
        ends = [m.end() for m in _END.finditer(text, end, high)]
        high = ends[-1] if ends else _before_space(text, end, high)
    return Passage(text[low:high], low, True)


def _behind_space(text: str, low: int, start: int) -> int:
    found = re.compile(r"\s+").search(text, low, start)
    return found.end() if found else low


def _before_space(text: str, end: int, high: int) -> int:
    """Behind the last whole word, or `high` in a script without spaces."""
    return next((i for i in range(high - 1, end, -1) if text[i].isspace()), high)
