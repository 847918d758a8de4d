"""Layouts: the target's subwords by offset, windows of whole words, words left out and masked."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.errors import BadSpan, BadText
from analysis.model.reading import Reading, Tokens, perturb, read, tokens
from analysis.text import words
from analysis.types import Occurrence, Span
from tests.fake import SPECIALS


def two_piece_words(text: str) -> Tokens:
    """Each word in two pieces where it is long enough; a piece's id is its position."""
    offsets = []
    for word in words(text):
        middle = (word.start + word.end) // 2
        halves = [(word.start, middle), (middle, word.end)] if middle > word.start else [(word.start, word.end)]
        offsets += halves
    return tokens(text, range(100, 100 + len(offsets)), offsets, words(text))


def at(text: str, word: str) -> Occurrence:
    start = text.index(word)
    return Occurrence(text, word, start, start + len(word), "1")


def laid(text: str, word: str, window: int = 64) -> Reading:
    return read(at(text, word), two_piece_words(text), SPECIALS, window)


def test_the_target_is_found_by_its_offsets() -> None:
    reading = laid("go to the bank now", "bank")
    assert [u.text for u in reading.units] == ["[CLS]", "go", "to", "the", "bank", "now", "[SEP]"]
    assert reading.ids[0] == 1
    assert reading.ids[-1] == 2
    assert reading.target.sum() == 2
    assert {reading.units[i].text for i in reading.unit_of[reading.target]} == {"bank"}
    assert reading.context.sum() == len(reading) - 2 - 2  # all but the target and the special tokens


def test_deleting_and_masking_a_word() -> None:
    reading = laid("go to the bank now", "bank")
    the = Span(6, 9)
    shorter = perturb(reading, [the], "delete", None)
    assert [u.text for u in shorter.units] == ["[CLS]", "go", "to", "bank", "now", "[SEP]"]
    assert len(shorter) == len(reading) - 2
    masked = perturb(reading, [the], "mask", 3)
    assert len(masked) == len(reading)
    assert (masked.ids == 3).sum() == 2
    assert masked.context.sum() == reading.context.sum() - 2
    with pytest.raises(ValueError, match="mask_id"):
        perturb(reading, [the], "mask", None)


def test_the_target_always_stays() -> None:
    reading = laid("go to the bank now", "bank")
    alone = perturb(reading, [Span(0, 18)], "delete", None)
    assert [u.text for u in alone.units] == ["[CLS]", "bank", "[SEP]"]
    assert alone.context.sum() == 0


@given(st.integers(0, 39), st.integers(8, 40))
def test_a_window_holds_the_target_and_whole_words_only(position: int, window: int) -> None:
    names = [f"word{i:02d}" for i in range(40)]
    text = " ".join(names)
    reading = laid(text, names[position], window)
    assert len(reading) <= window
    assert len(reading) >= min(window, 82) - 3  # at most a cut word at each edge is given up
    assert [reading.units[i].text for i in np.unique(reading.unit_of[reading.target])] == [names[position]]
    shown = [u.text for u in reading.units if not u.special]
    low = names.index(shown[0])
    assert shown == names[low : low + len(shown)]
    _, counts = np.unique(reading.unit_of, return_counts=True)
    assert counts[1:-1].tolist() == [2] * len(shown)


def test_a_target_longer_than_the_window_is_refused() -> None:
    text = "one two three four five six"
    with pytest.raises(BadText, match="takes 12 subwords, and the model reads 6"):
        read(Occurrence(text, "all", 0, len(text), "7"), two_piece_words(text), SPECIALS, 8)


def test_a_span_that_no_subword_covers_is_refused() -> None:
    text = "a  b"
    with pytest.raises(BadSpan, match="sees nothing at 1:3 of text '9'"):
        read(Occurrence(text, " ", 1, 3, "9"), two_piece_words(text), SPECIALS, 8)


def test_an_occurrence_outside_its_text_is_refused() -> None:
    with pytest.raises(BadSpan, match="span 2:9 is not inside text '3' of 4 characters"):
        Occurrence("bank", "bank", 2, 9, "3")
