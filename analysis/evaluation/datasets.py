"""The shape that every data set is read into, and what its readers share: lines, keys, XML, and finding the target.

A file that is not what its data set's format says is a BadFile that names the file, the line and the expected form.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, NoReturn
from xml.parsers import expat

from analysis.errors import BadFile, TargetNotFound
from analysis.text import find, words
from analysis.types import Document, Occurrence, Span


class Labelled(NamedTuple):
    """A usage, and the sense that each annotator gave it: one label, or one for each of several annotators."""

    occurrence: Occurrence
    labels: tuple[str, ...]

    @property
    def label(self) -> str:
        return self.labels[0]


class Graded(NamedTuple):
    """A usage, and how applicable its senses are: weights above zero, on any scale."""

    occurrence: Occurrence
    senses: Mapping[str, float]


class Pair(NamedTuple):
    """Two usages of one word: whether people call them the same sense, and how related they rate them, if they did."""

    id: str
    first: Occurrence
    second: Occurrence
    same: bool
    relatedness: float = float("nan")


@dataclass(frozen=True, slots=True)
class Word:
    """The labelled usages of one word; `train` is empty where the data set has no training half."""

    test: tuple[Labelled, ...]
    train: tuple[Labelled, ...] = ()


class Node(NamedTuple):
    """An element of an XML file: `text[start:end]` is its whole text, within the file's; the root is at depth 0."""

    tag: str
    attributes: Mapping[str, str]
    line: int
    depth: int
    start: int
    end: int


def malformed(path: Path, line: int | None, what: str, form: str) -> NoReturn:
    """Raise BadFile: the file, the line from 1, what is wrong, and the form that was expected."""
    place = f"{path}, line {line}" if line else str(path)
    raise BadFile(f"{place}: {what}", remedy=f"expected {form}", where=("file", line) if line else ("file",))


def read_text(path: Path, form: str) -> str:
    """The file's text, UTF-8, a byte order mark left out. Raises BadFile where it cannot be read or is empty."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        malformed(path, error.object.count(b"\n", 0, error.start) + 1, "it is not UTF-8", form)
    except OSError as error:
        malformed(path, None, f"it cannot be read ({error.strerror})", form)
    if not text.strip():
        malformed(path, None, "it is empty", form)
    return text


def lines(path: Path, form: str) -> list[str]:
    """The file's lines, which end in LF or CR LF; a blank line may stand at the end only."""
    found = [line.removesuffix("\r") for line in read_text(path, form).split("\n")]
    while not found[-1].strip():
        found.pop()
    for number, line in enumerate(found, 1):
        if not line.strip():
            malformed(path, number, "the line is empty", form)
    return found


def rows(path: Path, columns: int, form: str) -> list[list[str]]:
    """The fields of each line, which tabs part. Raises BadFile where a line has not that many."""
    found = [line.split("\t") for line in lines(path, form)]
    for number, row in enumerate(found, 1):
        if len(row) != columns:
            malformed(path, number, f"it has {len(row)} fields parted by tabs, not {columns}", form)
    return found


def token_span(text: str, index: str) -> Span | None:
    """Where the token of that index, from 0, stands in a text whose tokens white space parts; None for no such."""
    tokens = [found.span() for found in re.finditer(r"\S+", text)]
    return Span(*tokens[int(index)]) if index.isdecimal() and int(index) < len(tokens) else None


def locate(texts: Sequence[str], target: str) -> list[Span | None]:
    """In each text the first use of the target by lemma, as `analysis.text.find` has it.

    Else the word that shares the longest beginning with the target, half of the target at least ("analysed" for
    "analyze"); else None.
    """
    try:
        found = find([Document(text, str(i)) for i, text in enumerate(texts)], target).occurrences
    except TargetNotFound:
        found = ()
    spans: dict[int, Span] = {}
    for occurrence in found:
        spans.setdefault(int(occurrence.source_id), occurrence.span)
    return [spans.get(i) or _alike(text, target) for i, text in enumerate(texts)]


def _alike(text: str, target: str) -> Span | None:
    def shared(form: str) -> int:
        pairs = zip(form.lower(), target.lower(), strict=False)
        return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(form), len(target)))

    best = max(words(text), key=lambda unit: shared(unit.text), default=None)
    return best.span if best and 2 * shared(best.text) >= max(len(target), 4) else None


KEY_FORM = "`lemma instance sense/weight ...`, parted by spaces; where a sense has no weight, all of the line weigh 1"


class Answer(NamedTuple):
    """A line of a key: the weights of an instance's senses, and the number of the line."""

    senses: Mapping[str, float]
    line: int


def read_key(path: Path) -> dict[str, dict[str, Answer]]:
    """For each lemma its instances' answers, in the form of Senseval's and SemEval's keys; `!!` begins a comment.

    Raises BadFile.
    """
    key: dict[str, dict[str, Answer]] = {}
    for number, line in enumerate(lines(path, KEY_FORM), 1):
        fields = line.partition("!!")[0].split()
        if len(fields) < 3:
            malformed(path, number, f"it has {len(fields)} fields", KEY_FORM)
        lemma, instance, *given = fields
        senses: dict[str, float] = {}
        bare = any("/" not in answer for answer in given)
        for answer in given:
            name, slash, weight = answer.partition("/")
            senses[name] = _weight(weight) if slash else 1.0
        if not all(senses) or not all(0 < weight < float("inf") for weight in senses.values()):
            malformed(path, number, "a sense has no name, or a weight that is no number above zero", KEY_FORM)
        if bare:
            senses = dict.fromkeys(senses, 1.0)
        if instance in key.setdefault(lemma, {}):
            malformed(path, number, f"{instance} has an answer already", "one line an instance")
        key[lemma][instance] = Answer(senses, number)
    return key


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def read_xml(path: Path, form: str) -> tuple[str, list[Node]]:
    """The text of an XML file and its elements in order. A DOCTYPE is refused, so that no entity can grow or read."""
    text = read_text(path, form)
    pieces: list[str] = []
    nodes: list[Node] = []
    within: list[int] = []  # the elements that are open
    length = 0
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True

    def start(tag: str, attributes: dict[str, str]) -> None:
        within.append(len(nodes))
        nodes.append(Node(tag, attributes, parser.CurrentLineNumber, len(within) - 1, length, length))

    def end(_: str) -> None:
        index = within.pop()
        nodes[index] = nodes[index]._replace(end=length)

    def characters(data: str) -> None:
        nonlocal length
        pieces.append(data)
        length += len(data)

    def doctype(*_: object) -> NoReturn:
        malformed(path, parser.CurrentLineNumber, "it has a DOCTYPE, which is not read", form)

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = characters, doctype
    try:
        parser.Parse(text.encode(), True)
    except expat.ExpatError as error:
        malformed(path, error.lineno, f"it is not XML ({expat.ErrorString(error.code)})", form)
    return "".join(pieces), nodes
