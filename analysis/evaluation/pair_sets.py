"""Readers of the data sets in which people compared two usages of a word.

wic     Word-in-Context (Pilehvar and Camacho-Collados 2019): the same sense, or not
rawc    RAW-C (Trott and Bergen 2021): the same sense or not, and how related the two are
"""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import NamedTuple

from analysis.evaluation.datasets import Pair, locate, malformed, read_text, rows, token_span
from analysis.types import Occurrence, Span

_WIC = "a folder with train/ and dev/, each of {train,dev}.data.txt and .gold.txt"
_WIC_DATA = "`target, part of speech, index-index, sentence, sentence`, parted by tabs"
_WIC_GOLD = "T or F a line, as many lines as the data file has"
_RAWC = "CSV with the columns word, sentence1, sentence2, same (True or False) and mean_relatedness (a number)"
_COLUMNS = ("word", "sentence1", "sentence2", "same", "mean_relatedness")
_TRUTH = {"true": True, "1": True, "t": True, "false": False, "0": False, "f": False}


class Wic(NamedTuple):
    """`train` is there to learn a threshold from."""

    train: list[Pair]
    dev: list[Pair]


def wic(path: Path) -> Wic:
    """The pairs of the two halves. Raises BadFile."""
    if not (path / "train").is_dir() or not (path / "dev").is_dir():
        malformed(path, None, "no data set is there", _WIC)
    return Wic(_wic_half(path / "train", "train"), _wic_half(path / "dev", "dev"))


def _wic_half(folder: Path, half: str) -> list[Pair]:
    data, gold = folder / f"{half}.data.txt", folder / f"{half}.gold.txt"
    texts, answers = rows(data, 5, _WIC_DATA), [row[0].strip() for row in rows(gold, 1, _WIC_GOLD)]
    if len(texts) != len(answers):
        first = min(len(texts), len(answers)) + 1
        malformed(gold, first, f"it has {len(answers)} lines for {len(texts)} pairs", _WIC_GOLD)
    pairs = []
    for number, ((target, _, indices, *sentences), answer) in enumerate(zip(texts, answers, strict=True), 1):
        if answer not in ("T", "F"):
            malformed(gold, number, f"{answer!r} is neither T nor F", _WIC_GOLD)
        spans = [token_span(text, i) for text, i in zip(sentences, indices.split("-"), strict=False)]
        if len(spans) != 2 or indices.count("-") != 1 or None in spans:
            malformed(data, number, f"{indices!r} is not a token of each sentence, counted from 0", _WIC_DATA)
        id_ = f"{half}.{number}"
        pairs.append(Pair(id_, *_occurrences(target, sentences, spans, id_), answer == "T"))
    return pairs


def _occurrences(
    target: str, sentences: list[str], spans: list[Span | None], id_: str
) -> tuple[Occurrence, Occurrence]:
    first, second = (
        Occurrence(text, target, span.start, span.end, f"{id_}.{i}")
        for i, (text, span) in enumerate(zip(sentences, spans, strict=True), 1)
        if span
    )
    return first, second


def rawc(path: Path) -> list[Pair]:
    """The pairs, the target found by its lemma. `path` is the file. Raises BadFile."""
    pairs = []
    for number, record in _records(path):
        word, first, second, same, rated = (record[name].strip() for name in _COLUMNS)
        if not word or not first or not second or same.lower() not in _TRUTH:
            malformed(path, number, "a word or sentence is missing, or `same` is neither True nor False", _RAWC)
        relatedness = _number(rated)
        if not math.isfinite(relatedness):
            malformed(path, number, f"the relatedness {rated!r} is not a number", _RAWC)
        spans = locate([first, second], word)
        if None in spans:
            malformed(path, number, f"no form of {word!r} is in sentence {spans.index(None) + 1}", _RAWC)
        id_ = f"{word}.{number}"
        pairs.append(Pair(id_, *_occurrences(word, [first, second], spans, id_), _TRUTH[same.lower()], relatedness))
    return pairs


def _records(path: Path) -> list[tuple[int, dict[str, str]]]:
    """The rows of a CSV file by column, each with the line that it begins on."""
    reader = csv.reader(io.StringIO(read_text(path, _RAWC), newline=""), strict=True)
    found = []
    line = 1  # a quoted field may run over several
    try:
        for fields in reader:
            if fields:
                found.append((line, fields))
            line = reader.line_num + 1
    except csv.Error as error:
        malformed(path, line, f"it is not CSV ({error})", _RAWC)
    (_, header), *rest = found
    missing = [name for name in _COLUMNS if name not in header]
    if missing:
        malformed(path, 1, f"there is no column {', '.join(missing)}", _RAWC)
    if not rest:
        malformed(path, 2, "there are no rows", _RAWC)
    for number, fields in rest:
        if len(fields) != len(header):
            malformed(path, number, f"it has {len(fields)} fields, and the header {len(header)}", _RAWC)
    return [(number, dict(zip(header, fields, strict=True))) for number, fields in rest]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
