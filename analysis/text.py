"""Corpora as documents, texts as words, and where in them a target stands.

Every offset is a half-open code point of the text as it was read: nothing is normalised before it is located.
Words follow the spirit of Unicode Standard Annex 29; graphemes, scripts and marks are those of the `regex` package.
"""

from __future__ import annotations

import csv
import io
import json
import math
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import BinaryIO, Literal, get_args

import regex
import simplemma
from simplemma.strategies.dictionaries.dictionary_factory import SUPPORTED_LANGUAGES

from analysis.errors import BadFile, BadOption, BadSpan, BadText, Place, TargetNotFound
from analysis.types import Document, Occurrence, Span, Unit

Match = Literal["lemma", "exact"]
Row = tuple[int, Mapping[str, object]]  # a record, and the number of its line (its row in Parquet) from 1


@dataclass(frozen=True, slots=True)
class Found:
    """Occurrences by document, then offset; `missing` are the ids of the documents without the target."""

    occurrences: tuple[Occurrence, ...]
    missing: tuple[str, ...]


def read_file(path: Path, *, text_field: str = "text", id_field: str | None = None) -> list[Document]:
    """The texts of a UTF-8 .txt (one a line), .jsonl, .csv, .tsv or a .parquet file, in its order.

    An id is the record's `id_field`, or its "id", or the number of its line (its row in Parquet), from 1. A record's
    `start` and `end`, or (not in CSV) `spans` [[start, end], ...], are its own occurrences, in code points.

    Raises BadFile for a file that cannot be read or is not what its ending says, BadOption for a field that is not
    there, BadText for an empty text in a record, BadSpan for a span that is not inside its text.
    """
    ending = path.suffix.lower()
    try:
        with path.open("rb") as file:
            if ending not in (known := (".txt", *_RECORDS)):
                raise _bad_file(f"{path} has the unknown ending {ending!r}", f"give a file in {', '.join(known)}")
            data = file.read()
    except FileNotFoundError:
        raise _bad_file(f"there is no file {path}", "check the path") from None
    except IsADirectoryError:
        raise _bad_file(f"{path} is a folder", "give a file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _bad_file(f"{path} cannot be read: {reason}", "check the path and its permissions") from error
    return _read(data, ending, str(path), text_field, id_field)


def read_stream(stream: BinaryIO, *, text_field: str = "text", id_field: str | None = None) -> list[Document]:
    """Standard input: JSON Lines where the first line that is not blank begins with `{`, else a text a line.

    Raises as `read_file` does.
    """
    try:
        data = stream.read()
    except OSError as error:
        raise _bad_file(f"standard input cannot be read: {error.strerror}", "give a file or a pipe") from error
    ending = ".jsonl" if data.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{") else ".txt"
    return _read(data, ending, "standard input", text_field, id_field)


def documents(texts: Sequence[str]) -> list[Document]:
    """Texts as documents; ids count from 1, as lines do. Raises BadText where there is none, or one is empty."""
    if isinstance(texts, str) or not texts:
        raise BadText("there is no list of texts", remedy="give a list of at least one text", where=("texts",))
    for i, text in enumerate(texts):
        _check_text(text, f"text {i + 1}", ("texts", i))
    return [Document(text, str(i)) for i, text in enumerate(texts, start=1)]


def _read(data: bytes, ending: str, name: str, text_field: str, id_field: str | None) -> list[Document]:
    if ending == ".txt":
        result = [Document(line.removesuffix("\r"), str(number)) for number, line in _lines(_decode(data, name))]
    else:
        asked = {text_field} if id_field is None else {text_field, id_field}
        rows = _RECORDS[ending](data, name, asked)
        noun = "row" if ending == ".parquet" else "line"
        result = [_document(row, f"{name}, {noun} {row[0]}", text_field, id_field) for row in rows]
    if not result:
        raise _bad_file(f"{name} is empty", "give at least one text")
    return result


def _decode(data: bytes, name: str) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = f"{name}, line {line} is not UTF-8: byte {error.start} of the file is 0x{data[error.start]:02x}"
        raise _bad_file(what, "save the file as UTF-8", line) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise _bad_file(f"{name}, line {line} is not text: it has a NUL character", "save the file as UTF-8 text", line)
    return text.removeprefix("\ufeff")


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers. `str.splitlines` would cut at U+2028 and form feeds too."""
    return ((number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip())


def _jsonl_rows(data: bytes, name: str, _asked: Collection[str]) -> Iterator[Row]:
    for number, line in _lines(_decode(data, name)):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            record = error
        if not isinstance(record, dict):
            why = f" ({record})" if isinstance(record, Exception) else ""
            what = f"{name}, line {number} is not a JSON object{why}"
            raise _bad_file(what, 'write one object a line, such as {"text": "..."}', number) from None
        yield number, record


def _csv_rows(data: bytes, name: str, _asked: Collection[str], *, delimiter: str) -> Iterator[Row]:
    text = _decode(data, name)
    # The limit is the process's own: it is only ever raised, so that no other reader loses by it.
    csv.field_size_limit(min(max(csv.field_size_limit(), len(text)), 2**31 - 1))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    line = 1  # the one that the row begins on: a quoted field may run over several
    try:
        for fields in reader:
            if header and fields and len(fields) != len(header):
                what = f"{name}, line {line} has {len(fields)} fields, and the header {len(header)}"
                raise _bad_file(what, 'put a text that holds the delimiter between quotes (")', line)
            if header and fields:
                yield line, dict(zip(header, fields, strict=True))
            header = header or fields
            line = reader.line_num + 1
    except csv.Error as error:
        what = f"{name}, line {line} is not a row of fields ({error})"
        raise _bad_file(what, 'close every quote, and double a quote (") inside a quoted field', line) from None


def _parquet_rows(data: bytes, name: str, asked: Collection[str]) -> Iterator[Row]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(pa.BufferReader(data))
        columns = set(file.schema_arrow.names)
        # Vectors may stand beside the texts: read only what is used, or all, to name it, where a column is missing.
        wanted = columns & {*asked, "id", "start", "end", "spans"} if columns.issuperset(asked) else columns
        records = file.read(columns=sorted(wanted)).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise _bad_file(f"{name} is not Parquet ({error})", "write it anew, or give it its true ending") from None
    yield from enumerate(records, start=1)


_RECORDS: dict[str, Callable[[bytes, str, Collection[str]], Iterator[Row]]] = {
    ".jsonl": _jsonl_rows,
    ".csv": partial(_csv_rows, delimiter=","),
    ".tsv": partial(_csv_rows, delimiter="\t"),
    ".parquet": _parquet_rows,
}


def _document(row: Row, place: str, text_field: str, id_field: str | None) -> Document:
    number, record = row
    for option, field in (("text_field", text_field), ("id_field", id_field)):
        if field is not None and field not in record:
            there = ", ".join(map(repr, record)) or "none"
            remedy = f"choose {option} from the fields there are: {there}"
            raise BadOption(f"{place} has no field {field!r}", remedy=remedy, where=(option,))
    text, identity = record[text_field], record.get(id_field or "id")
    if not isinstance(text, str):
        what = f"{place}: {text_field!r} is not a string, but {type(text).__name__}"
        raise _bad_file(what, "write the text as a string, or choose another text_field", number)
    _check_text(text, f"{place}: {text_field!r}", ("file", number))
    return Document(text, str(number if identity in (None, "") else identity), _spans(row, place, len(text)))


def _check_text(text: object, place: str, where: Place) -> None:
    if not isinstance(text, str):
        raise BadText(f"{place} is not a string, but {type(text).__name__}", remedy="give strings", where=where)
    if not text.strip():
        raise BadText(f"{place} is empty", remedy="leave it out, or give its text", where=where)
    # Half a pair comes from a JSON escape that was cut in two; no tokenizer reads it.
    if _SURROGATE.search(text):
        raise BadText(f"{place} has half a surrogate pair", remedy="write the whole character", where=where)


def _spans(row: Row, place: str, length: int) -> tuple[Span, ...]:
    number, record = row
    given: object = record.get("spans")
    if given is None or given == "":
        pair = record.get("start"), record.get("end")
        given = [] if all(map(_is_missing, pair)) else [pair]
    try:
        spans = tuple(Span(_whole(start), _whole(end)) for start, end in given)  # type: ignore[attr-defined]
    except (TypeError, ValueError, OverflowError):
        spans = (Span(-1, -1),)
    if any(not 0 <= span.start < span.end <= length for span in spans):
        what = f"{place}: {given!r} is not a span inside its text of {length} characters"
        remedy = "give 0 <= start < end <= length, end excluded; or rename a field that means something else"
        raise BadSpan(what, remedy=remedy, where=("file", number))
    return spans


def _is_missing(value: object) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _whole(value: object) -> int:
    """3, "3" and 3.0 are 3 (a column with gaps is often of floats); anything else is a ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float | str) or not float(value).is_integer():
        raise ValueError(f"{value!r} is not a whole number")
    return int(float(value))


def _bad_file(what: str, remedy: str, line: int | None = None) -> BadFile:
    return BadFile(what, remedy=remedy, where=("file",) if line is None else ("file", line))


_SURROGATE = regex.compile(r"[\ud800-\udfff]")
_EXTEND = r"\p{M}\p{GCB=Extend}\u00ad\u200d\u2060"  # what belongs to the character before it
_MARKS = f"[{_EXTEND}]{{0,32}}"  # bounded, or a text of a million marks would take a day to look back through
_NOT_JOINED = r"(?!(?<=\p{ExtPict}\p{GCB=Extend}{0,32}\u200d)\p{ExtPict})"  # "👩" is not in "👩‍💻", nor "💻"
_KATAKANA = r"\p{Katakana}ー\uff70\uff9e\uff9f"
_SPACELESS = r"\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_OTHER = rf"\p{{Han}}\p{{Hiragana}}{_KATAKANA}{_SPACELESS}"
_CORE = rf"[[\p{{L}}\p{{N}}_]--[{_OTHER}]]"
_LETTERS = rf"[[\p{{L}}\p{{N}}_\p{{M}}\p{{GCB=Prepend}}]--[{_OTHER}]][{_CORE}\p{{GCB=Prepend}}{_EXTEND}]*"
_JOINED = rf"{_LETTERS}(?:(?<=[\p{{L}}\p{{M}}])['’‐‑-](?=\p{{L}}){_LETTERS})*"
# Scripts in which a word may begin and end inside a run: no dictionary here says where.
_UNBOUNDED = rf"\p{{Han}}[{_EXTEND}]*|\p{{Hiragana}}[\p{{Hiragana}}ー{_EXTEND}]*|[{_SPACELESS}][{_SPACELESS}{_EXTEND}]*"
_BOUNDED = rf"[{_KATAKANA}][{_KATAKANA}{_EXTEND}]*"
# \X counts flags from the start of their run, each time anew; a pair of regional indicators needs no counting.
_SIGN = rf"(?:\p{{GCB=Regional_Indicator}}{{2}}|(?![\s\x1c-\x1f])\X)[{_EXTEND}]*"
_WORD, _PART, _GRAPHEME, _IS_UNBOUNDED, _IS_BOUNDED, _IS_LETTERS = (
    regex.compile(pattern, regex.VERSION1)
    for pattern in (
        f"{_UNBOUNDED}|{_BOUNDED}|{_JOINED}|{_SIGN}",
        f"{_UNBOUNDED}|{_BOUNDED}|{_LETTERS}|{_SIGN}",
        r"\X",
        _UNBOUNDED,
        _BOUNDED,
        _LETTERS,
    )
)
# German and Luxembourgish tell a noun by its capital: "Schloss" is the castle, "schloss" is a form of "to close".
_CAPITAL_NOUNS = frozenset({"de", "lb"})
_MARGIN = 64  # characters; longer than most words
_LONGEST = 100  # characters
_ALIKE = str.maketrans({"’": "'", "‐": "-", "‑": "-", "\u00ad": None, "\u2060": None, "\ufe0e": None, "\ufe0f": None})


def words(text: str) -> tuple[Unit, ...]:
    """The words of a text in order, W units with half-open code-point offsets that cover all but white space.

    A word is a run of letters, marks, digits and underscores, joined by apostrophes or hyphens between letters; a Han
    character alone; a run of Hiragana, of Katakana, or of a script without spaces; else one grapheme, as an emoji is.
    """
    return tuple(Unit(found[0], found.start(), found.end()) for found in _WORD.finditer(text))


def lemma(word: str, language: str = "en") -> str:
    """The dictionary form of a word, from simplemma's tables, on the word's lower-cased NFC form.

    So a capital says nothing ("Banks" and "BANKS" are "bank"), but in a language that writes its nouns with one.
    An unknown word is its own lemma. Raises BadOption for a language without a table.
    """
    if language not in SUPPORTED_LANGUAGES:
        remedy = f"choose from {', '.join(sorted(SUPPORTED_LANGUAGES))}; or use match='exact'"
        raise BadOption(f"there are no lemmas for the language {language!r}", remedy=remedy, where=("language",))
    form = _composed(word.replace("\u00ad", ""))
    noun = language in _CAPITAL_NOUNS and form[:1].isupper()
    return _lemma(form.capitalize() if noun else form.lower(), language) if form else form


@lru_cache(maxsize=2**17)
def _lemma(form: str, language: str) -> str:
    # No table has so long a word, and taking a blob apart costs the square of its length.
    return simplemma.lemmatize(form, language) if len(form) <= _LONGEST else form


def find(documents: Sequence[Document], target: str, *, match: Match = "lemma", language: str = "en") -> Found:
    """Every occurrence of the target; a document with spans of its own has exactly those.

    "exact" takes the surface form as it is written, up to canonical equivalence (Unicode Standard Annex 15); "lemma"
    also takes any case, and any word whose lemma is the target or the target's lemma. Both look at whole words, and a
    part beside an apostrophe or a hyphen is one: "bank" is in "bank's" and "river-bank", not in "embankment". White
    space in the target is any white space in the text. With signs in it ("U.S.", "AT&T") only its case may vary.
    Han, Hiragana and the scripts without spaces are found inside a run.

    Raises TargetNotFound where nothing is found, BadOption for an empty target, unknown match or language.
    """
    if match not in get_args(Match):
        remedy = f"choose from {', '.join(get_args(Match))}"
        raise BadOption(f"there is no match {match!r}", remedy=remedy, where=("match",))
    if not target.strip():
        raise BadOption("the target is empty", remedy="give the word to look for", where=("target",))
    pattern = _pattern([document.text for document in documents if not document.spans], target, match, language)
    occurrences: list[Occurrence] = []
    missing: list[str] = []
    for document in documents:
        own = sorted((span.start, span.end) for span in document.spans)
        spans = own or [found.span() for found in (pattern.finditer(document.text) if pattern else ())]
        occurrences += (Occurrence(document.text, target, start, end, document.id) for start, end in spans)
        if not spans:
            missing.append(document.id)
    if not occurrences:
        looser = ", match='lemma'" if match == "exact" else ""
        raise TargetNotFound(
            f"{target!r} is not in the {len(documents)} text{'s' * (len(documents) != 1)} given",
            remedy=f"give the form that stands in the texts{looser}, or spans",
            where=("target",),
        )
    return Found(tuple(occurrences), tuple(missing))


def _pattern(texts: Sequence[str], target: str, match: Match, language: str) -> regex.Pattern[str] | None:
    """The target as a pattern of the very forms that stand in the texts, so that offsets need no way back.

    Each distinct form is compared once, however long the corpus. None where some part of the target is in no text.
    """
    surface = _folded if match == "lemma" else _composed
    forms = {form for text in texts for form in _PART.findall(text)}
    by_surface = _grouped(forms, surface)
    by_lemma = _grouped(forms, lambda form: _folded(lemma(form, language))) if match == "lemma" else {}
    chunks: list[list[str]] = [_PART.findall(chunk) for chunk in target.split()]
    pieces: list[str] = []
    for parts in chunks:
        # The parts of "mother-in-law" inflect; those of "U.S." are no words of their own.
        inflects = match == "lemma" and all(_IS_LETTERS.fullmatch(part) or _folded(part) == "-" for part in parts)
        piece = ""
        for part in parts:
            same = set(by_surface.get(surface(part), ()))
            if inflects:
                same.update(*(by_lemma.get(key, ()) for key in (_folded(part), _folded(lemma(part, language)))))
            if _IS_UNBOUNDED.fullmatch(part):
                same |= {part, _composed(part), unicodedata.normalize("NFD", part)}
            if not same:
                return None
            piece += f"(?:{'|'.join(map(regex.escape, sorted(same)))})"
        pieces.append(piece)
    whole = r"\s+".join(pieces)
    has_letters = any(_IS_LETTERS.fullmatch(part) for parts in chunks for part in parts)
    before, after = _boundaries(chunks[0][0], has_letters)[0], _boundaries(chunks[-1][-1], has_letters)[1]
    # A negation is no word with an ending: "won" is not in "won't".
    negation = r"(?!(?i:(?<=n)['’]t)(?!\p{L}))" if language == "en" else ""
    return regex.compile(f"{before}{whole}(?![{_EXTEND}]){after}{negation}", regex.VERSION1)


def _boundaries(part: str, has_letters: bool) -> tuple[str, str]:
    """What must not stand before the target where it begins with this part, and after it where it ends with it."""
    if _IS_UNBOUNDED.fullmatch(part):
        return "", ""
    if _IS_BOUNDED.fullmatch(part):
        return rf"(?<!\p{{Katakana}}[{_KATAKANA}{_EXTEND}]{{0,32}})", rf"(?![{_KATAKANA}])"
    if _IS_LETTERS.fullmatch(part):
        return rf"(?<!{_CORE}{_MARKS})", rf"(?!{_CORE})"
    # "U.S." is not in "U.S.A.", but "C++" is in "C++20", and "$" and an emoji stand anywhere.
    return (r"(?<!\p{L})", r"(?!\p{L})") if has_letters else (_NOT_JOINED, "")


def _grouped(forms: Iterable[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for form in forms:
        groups.setdefault(key(form), []).append(form)
    return groups


def _composed(form: str) -> str:
    return unicodedata.normalize("NFC", form)


def _folded(form: str) -> str:
    """Canonical caseless matching (Unicode Standard, 3.13), with apostrophes and hyphens of every shape alike."""
    return _composed(unicodedata.normalize("NFD", form.translate(_ALIKE)).casefold())


def context(text: str, start: int, end: int, width: int = 60) -> tuple[str, str, str]:
    """Keyword in context: (left, keyword, right), white space shown as single spaces.

    Left and right have at most `width` characters each, and whole words only, unless the nearest word alone is longer.
    Raises BadSpan for a span that is not inside the text, BadOption for a negative width.
    """
    if width < 0:
        raise BadOption(f"the width {width} is negative", remedy="give 0 or more", where=("width",))
    keyword = Occurrence(text, "", start, end, "").surface
    # A margin beyond the width tells where the word at the edge begins or ends; a word too long is cut at a grapheme.
    low, high = max(0, start - width), min(len(text), end + width)
    first, last = max(0, low - _MARGIN), high + _MARGIN
    cuts = (_WORD, _GRAPHEME)
    low = next((w.start() for cut in cuts for w in cut.finditer(text, first, start) if w.start() >= low), start)
    ends = ([w.end() for w in cut.finditer(text, end, last) if w.end() <= high] for cut in cuts)
    high = next((inside[-1] for inside in ends if inside), end)
    left, right = _one_line(text[low:start]).lstrip(), _one_line(text[end:high]).rstrip()
    return left, _one_line(keyword), right


def _one_line(text: str) -> str:
    return " ".join(regex.split(r"\s+", text))
