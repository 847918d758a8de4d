"""How a sense is told from others wherever one is shown: a letter, a shape and a colour."""

from __future__ import annotations

from dataclasses import dataclass

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SHAPES = "●■▲◆✚▼"


@dataclass(frozen=True, slots=True)
class Mark:
    """How a sense is told from others without its colour: a letter and a shape; past six, shapes repeat in grey."""

    letter: str
    shape: str
    css: str


def mark(i: int) -> Mark:
    """The mark of the i-th sense, counted from 0."""
    return Mark(_letters(i), SHAPES[i % len(SHAPES)], f"sense-{i}" if i < len(SHAPES) else "sense-other")


def _letters(i: int) -> str:
    """A to Z, then AA; after ZZ comes AAA."""
    rest, last = divmod(i, len(LETTERS))
    return (_letters(rest - 1) if rest else "") + LETTERS[last]
