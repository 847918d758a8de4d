"""Reader of SemCor 3.0: sense-tagged text of the Brown corpus (Miller et al. 1993; tags of WordNet 3.0).

The form is SGML-like, an element a line: `<s snum=1>` holds `<wf attribute=value ...>token</wf>` and
`<punc>token</punc>`; spaces within a token are underscores. A `wf` with `lemma`, `wnsn` (the number of the sense) and
`lexsn` (`ss_type:lexicographer file:...`, the end of a sense key) is a tagged usage. `semcor` leaves out names (`pn`,
`rdf`), tokens with several senses or none, and adverbs; `sense_keys` leaves out names only.
"""

from __future__ import annotations

import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple, NoReturn

from analysis.errors import BadFile
from analysis.evaluation.datasets import malformed
from analysis.evaluation.unified import Instance, joined
from analysis.lexicon.wordnet import Pos
from analysis.pair_learning import Tag
from analysis.types import Occurrence

FORM = "an element a line: <s snum=1>, <wf attribute=value ...>token</wf>, <punc>token</punc>, </s>"
_SET = "SemCor's .tar.gz, or its folder, with tag files in folders named `tagfiles`"
_MOST = 8_000_000  # bytes of a tag file; the largest has 200,000
_POS = {"NN": "n", "VB": "v", "JJ": "a"}
_NUMBERS: dict[str, Pos] = {"1": "n", "2": "v", "3": "a", "4": "r", "5": "a"}
_SENSE = re.compile(r"[1-5]:\d\d:\d\d:[^:;]*:(?:\d\d|)")
_TOKEN = re.compile(r"<(wf|punc)((?: \w+=[^ <>]*)*)>([^<>]+)</\1>")
_SENTENCE = re.compile(r"<s snum=\d+>")
_OTHER = re.compile(r"<(?:contextfile|context|p)(?: \w+=[^ <>]*)*>|</(?:p|context|contextfile)>|")


class Tagged(NamedTuple):
    """A usage and what the tagger said of it."""

    occurrence: Occurrence
    tag: Tag


def semcor(path: Path) -> Iterator[Tagged]:
    """The tagged nouns, verbs and adjectives in the order of the files; the text is the sentence's tokens with spaces.

    `path` is the .tar.gz or its unpacked folder. Nothing is unpacked to disk, and what is no tag file is not looked
    at. Raises BadFile, which names the file and the line.
    """
    for file, sentence, opened in _sentences(path):
        yield from _tagged(file, sentence, opened)


def sense_keys(path: Path) -> Iterator[Instance]:
    """The tagged usages with their sense keys, of all parts of speech, in the files' order. Raises as `semcor`."""
    for file, sentence, opened in _sentences(path):
        text, spans = joined([token for _, token, _ in sentence])
        for i, (attributes, _, number) in enumerate(sentence):
            lemma, senses = attributes.get("lemma"), attributes.get("lexsn", "")
            none = not senses or attributes.get("wnsn") in ("0", "-1")  # the dictionary had none that fits
            if lemma is None or none or "rdf" in attributes or "pn" in attributes:
                continue
            ends = senses.split(";")
            if not all(_SENSE.fullmatch(end) for end in ends):
                malformed(file, number, "a word with a sense has no lexsn of the form 1:14:00::", FORM)
            id_ = f"{file.name}.{opened}"
            use = Occurrence(text, lemma.replace("_", " "), spans[i].start, spans[i].end, id_)
            keys = tuple(f"{lemma}%{end}" for end in ends)
            yield Instance(f"{id_}.{i}", use, _NUMBERS[senses[0]], keys, str(file))


Sentence = list[tuple[dict[str, str], str, int]]  # attributes, token and line of each word


def _sentences(path: Path) -> Iterator[tuple[Path, Sentence, int]]:
    """Each sentence, with its file and the line where it begins."""
    empty = True
    for name, data in _folder(path) if path.is_dir() else _archive(path):
        empty = False
        yield from _of_file(Path(name), data)
    if empty:
        malformed(path, None, "no tag files are there", _SET)


def _is_tag_file(name: PurePosixPath) -> bool:
    return name.parent.name == "tagfiles" and not name.name.startswith(".")


def _folder(path: Path) -> Iterator[tuple[str, bytes]]:
    for file in sorted(path.resolve().rglob("*")):
        if file.is_file() and _is_tag_file(PurePosixPath(file.as_posix())):
            try:
                with file.open("rb") as stream:
                    data = stream.read(_MOST + 1)
            except OSError as error:
                malformed(file, None, f"it cannot be read ({error.strerror})", FORM)
            yield str(file), _bounded(file, data)


def _archive(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                stream = archive.extractfile(member) if member.isreg() else None
                if stream and _is_tag_file(PurePosixPath(member.name)):
                    name = path / member.name
                    yield str(name), _bounded(name, stream.read(_MOST + 1))
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        reason = getattr(error, "strerror", None) or "it is no whole archive"
        raise BadFile(f"{path} cannot be read: {reason}", remedy=f"give {_SET}", where=("file",)) from error


def _bounded(name: Path, data: bytes) -> bytes:
    if len(data) > _MOST:
        malformed(name, None, f"it has more than {_MOST} bytes", FORM)
    return data


def _of_file(file: Path, data: bytes) -> Iterator[tuple[Path, Sentence, int]]:
    try:
        lines = data.decode("utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        malformed(file, data.count(b"\n", 0, error.start) + 1, "it is not UTF-8", FORM)
    sentence: Sentence | None = None  # so far
    opened = 0
    for number, line in enumerate((line.removesuffix("\r") for line in lines), 1):
        token = _TOKEN.fullmatch(line)
        if token and sentence is not None:
            attributes = dict(pair.split("=", 1) for pair in token[2].split())
            sentence.append((attributes, token[3].replace("_", " "), number))
        elif _SENTENCE.fullmatch(line) and sentence is None:
            sentence, opened = [], number
        elif line == "</s>" and sentence is not None:
            yield file, sentence, opened
            sentence = None
        elif sentence is not None or not _OTHER.fullmatch(line):
            _stray(file, number, line, sentence is not None)
    if sentence is not None:
        malformed(file, opened, "the sentence has no end", FORM)


def _stray(file: Path, number: int, line: str, within: bool) -> NoReturn:
    place = "within" if within else "outside"
    malformed(file, number, f"{line[:60]!r} stands {place} a sentence", FORM)


def _tagged(file: Path, sentence: Sentence, opened: int) -> Iterator[Tagged]:
    text = " ".join(token for _, token, _ in sentence)
    start = 0
    for attributes, token, number in sentence:
        pos, sense = _POS.get(attributes.get("pos", "")[:2]), attributes.get("wnsn", "")
        name = "rdf" in attributes or "pn" in attributes
        if pos and not name and "lemma" in attributes and sense.isdecimal() and int(sense):
            key = re.fullmatch(r"\d:(\d\d):.*", attributes.get("lexsn", ""))
            if key is None:
                malformed(file, number, "a word with a sense has no lexsn of the form 1:14:00::", FORM)
            lemma = attributes["lemma"].replace("_", " ")
            id_ = f"{file.name}.{opened}"
            tag = Tag(lemma, pos, sense.lstrip("0"), key[1], token.lower())
            yield Tagged(Occurrence(text, lemma, start, start + len(token), id_), tag)
        start += len(token) + 1
