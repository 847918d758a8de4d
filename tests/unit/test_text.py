"""Reading corpora, cutting words, finding a target: worked examples, properties, and each bad input by its error."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import time
import unicodedata
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from analysis.corpus import documents, read_file, read_stream
from analysis.errors import BadFile, BadOption, BadSpan, BadText, InputError, TargetNotFound
from analysis.text import Found, context, find, lemma, words
from analysis.types import Document, Span

NOISE = [
    "👩‍👩‍👧‍👦",
    "🏳️‍🌈",
    "👍🏽",
    "🇺🇸",
    "cafe\u0301",
    "Z̸̢̛͎",
    "\r\n",
    "\t",
    "\u2028",
    "\x0c",
    "\xa0",
    "ab",
    ".",
    "银",
    "ธนาคาร",
]
UNTIMED = settings(deadline=None)  # the first to ask for a lemma waits for the dictionary
ANY_TEXT = st.lists(st.one_of(st.text(max_size=8), st.sampled_from(NOISE)), max_size=12).map("".join)


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def surfaces(target: str, *texts: str, match: str = "lemma", language: str = "en") -> list[str]:
    """What was found, in order; nothing where nothing was."""
    try:
        found = find(documents(texts), target, match=match, language=language)  # type: ignore[arg-type]
    except TargetNotFound:
        return []
    assert all(o.text[o.start : o.end] == o.surface and o.target == target for o in found.occurrences)
    return [o.surface for o in found.occurrences]


def shown(text: str) -> list[str]:
    return [unit.text for unit in words(text)]


# Reading


def test_a_text_file_has_a_sentence_a_line(tmp_path: Path) -> None:
    path = write(tmp_path, "a.TXT", "\ufeffThe bank.\r\n\n \t\r\n\tA \u2028 line\x0c, one\x85.\nlast")
    assert read_file(path) == [
        Document("The bank.", "1"),
        Document("\tA \u2028 line\x0c, one\x85.", "4"),
        Document("last", "5"),
    ]


def test_json_lines_have_ids_and_spans(tmp_path: Path) -> None:
    records: list[dict[str, object]] = [
        {"text": "the bank"},
        {"text": "the bank\u2028\n", "id": "x", "start": 4, "end": 8},
        {"text": "bank bank", "id": 7, "spans": [[5, 9], [0, 4]], "start": None},
    ]
    path = write(tmp_path, "a.jsonl", "\r\n\n".join(json.dumps(r, ensure_ascii=False) for r in records))
    assert read_file(path) == [
        Document("the bank", "1"),
        Document("the bank\u2028\n", "x", (Span(4, 8),)),
        Document("bank bank", "7", (Span(5, 9), Span(0, 4))),
    ]


@pytest.mark.parametrize(("ending", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_a_table_has_quoted_lines_and_a_long_field(tmp_path: Path, ending: str, delimiter: str) -> None:
    long = "bank " * 200_000
    rows = [["start", "sentence", "key", "end"], ["4", 'the "bank",\r\nit\t', "a", "8"], ["", long, "", ""]]
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter).writerows(rows)
    path = write(tmp_path, f"a.{ending}", "\ufeff" + out.getvalue())
    assert read_file(path, text_field="sentence", id_field="key") == [
        Document('the "bank",\r\nit\t', "a", (Span(4, 8),)),
        Document(long, "4"),  # no id: the line that the row begins on, and the first row takes two
    ]


def test_parquet_has_the_same_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    columns = {"text": ["the bank", "a bank"], "start": [4.0, None], "end": [8, None], "vector": [[0.1], [0.2]]}
    parquet.write_table(pa.table(columns), path)
    assert read_file(path) == [Document("the bank", "1", (Span(4, 8),)), Document("a bank", "2")]
    parquet.write_table(pa.table({"t": ["bank bank"], "k": ["x"], "spans": [[[0, 4], [5, 9]]]}), path)
    assert read_file(path, text_field="t", id_field="k") == [Document("bank bank", "x", (Span(0, 4), Span(5, 9)))]


def test_a_stream_is_lines_of_text_or_of_json() -> None:
    assert read_stream(io.BytesIO(b"a bank\r\n\nb {")) == [Document("a bank", "1"), Document("b {", "3")]
    assert read_stream(io.BytesIO(b'\xef\xbb\xbf\n{"text": "a", "id": "x"}\n')) == [Document("a", "x")]
    with pytest.raises(BadFile, match="standard input is empty"):
        read_stream(io.BytesIO(b"\n \n"))
    with pytest.raises(BadFile, match="standard input, line 2 is not UTF-8: byte 4 of the file is 0xff"):
        read_stream(io.BytesIO(b"ab\nc\xff"))


@UNTIMED
@given(st.lists(st.text(st.characters(exclude_characters="\0\n\r\ufeff", codec="utf-8")).filter(str.strip), min_size=1))
def test_a_stream_gives_back_the_lines_that_were_written(lines: list[str]) -> None:
    lines = [f"|{line}" for line in lines]
    for end in ("\n", "\r\n"):
        read = read_stream(io.BytesIO(end.join(lines).encode()))
        assert [(d.text, d.id) for d in read] == [(line, str(i)) for i, line in enumerate(lines, start=1)]


BAD: list[tuple[str, str | bytes, type[InputError], str]] = [
    ("a.docx", "x", BadFile, r"unknown ending '\.docx'; .*\.txt, \.jsonl, \.csv, \.tsv, \.parquet"),
    ("a", "x", BadFile, "unknown ending"),
    ("a.txt", "", BadFile, "a.txt is empty"),
    ("a.txt", " \r\n\n\t", BadFile, "a.txt is empty"),
    ("a.csv", "", BadFile, "a.csv is empty"),
    ("a.csv", "text,id\n", BadFile, "a.csv is empty"),
    ("a.jsonl", "\n", BadFile, "a.jsonl is empty"),
    ("a.txt", b"one\ntw\xe9 caf\xe9", BadFile, "line 2 is not UTF-8: byte 6 of the file is 0xe9; save .* UTF-8"),
    ("a.csv", b"text\n\xff\xfea", BadFile, "line 2 is not UTF-8"),
    ("a.txt", "bank".encode("utf-16-le"), BadFile, "line 1 is not text: it has a NUL"),
    ("a.csv", "text\nok\nb\0ank\n", BadFile, "line 3 .* NUL"),
    ("a.csv", "text,id\na,b\na,b,c\n", BadFile, "line 3 has 3 fields, and the header 2; .*quotes"),
    ("a.csv", 'text,id\n"a\nb",c\nd\n', BadFile, "line 4 has 1 fields, and the header 2"),
    ("a.csv", 'text\na\n"b\nc\n', BadFile, "line 3 is not a row of fields .*close every quote"),
    ("a.csv", "sentence,no\na,b\n", BadOption, "no field 'text'; choose text_field .*'sentence', 'no'"),
    ("a.tsv", "text,id\na,b\n", BadOption, "no field 'text'; .*'text,id'"),
    ("a.csv", "text,id\n ,b\n", BadText, "a.csv, line 2: 'text' is empty"),
    ("a.csv", "text,start,end\nbank,0,5\n", BadSpan, "line 2.*not a span inside its text of 4 characters"),
    ("a.csv", "text,start,end\nbank,0,\n", BadSpan, "line 2"),
    ("a.csv", "text,start,end\nbank,0.5,2\n", BadSpan, "line 2.*rename a field"),
    ("a.jsonl", '{"text": "a"}\nplain\n', BadFile, "line 2 is not a JSON object .*one object a line"),
    ("a.jsonl", '["a"]\n', BadFile, "line 1 is not a JSON object"),
    ("a.jsonl", "[" * 100_000, BadFile, "line 1 is not a JSON object"),
    ("a.jsonl", '{"text": "a"}\n{"sentence": "b"}', BadOption, "line 2 has no field 'text'; .*'sentence'"),
    ("a.jsonl", "{}", BadOption, "no field 'text'; .*none"),
    ("a.jsonl", '{"text": 3}', BadFile, "line 1: 'text' is not a string, but int"),
    ("a.jsonl", '{"text": null}', BadFile, "line 1: 'text' is not a string, but NoneType"),
    ("a.jsonl", '\n{"text": " \\n"}', BadText, "line 2: 'text' is empty"),
    ("a.jsonl", '{"text": "a \\ud83d"}', BadText, "line 1: 'text' has half a surrogate pair"),
    ("a.jsonl", '{"text": "bank", "start": 2, "end": 2}', BadSpan, "line 1"),
    ("a.jsonl", '{"text": "bank", "start": -1, "end": 2}', BadSpan, "line 1"),
    ("a.jsonl", '{"text": "bank", "start": true, "end": 2}', BadSpan, "line 1"),
    ("a.jsonl", '{"text": "bank", "start": 0, "end": 1e999}', BadSpan, "line 1"),
    ("a.jsonl", '{"text": "bank", "spans": [[0, 4], [1, 9]]}', BadSpan, "line 1"),
    ("a.jsonl", '{"text": "bank", "spans": [0, 4]}', BadSpan, "line 1"),
    ("a.jsonl", '{"text": "bank", "spans": "0-4"}', BadSpan, "line 1"),
    ("a.parquet", "text\n", BadFile, "a.parquet is not Parquet"),
]


@pytest.mark.parametrize(("name", "content", "error", "message"), BAD)
def test_a_bad_file_says_what_where_and_the_remedy(
    tmp_path: Path, name: str, content: str | bytes, error: type[InputError], message: str
) -> None:
    path = write(tmp_path, name, content)
    with pytest.raises(error, match=message) as caught:
        read_file(path)
    assert type(caught.value) is error
    assert str(path) in caught.value.what
    assert caught.value.remedy
    assert caught.value.where


def test_bad_paths(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"there is no file .*b\.txt"):
        read_file(tmp_path / "b.txt")
    with pytest.raises(BadFile, match="is a folder"):
        read_file(tmp_path)
    (tmp_path / "loop.txt").symlink_to("loop.txt")
    for path in (tmp_path / "loop.txt", tmp_path / ("n" * 300 + ".txt"), tmp_path / "nul\0.txt"):
        with pytest.raises(BadFile, match=r"cannot be read: .*permissions"):
            read_file(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", "bank")
    path.chmod(0)
    with pytest.raises(BadFile, match="cannot be read: Permission denied"):
        read_file(path)


def test_bad_fields_of_a_parquet_file(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"words": ["bank"], "n": [1]}), path)
    with pytest.raises(BadOption, match=r"no field 'text'; .*'n', 'words'"):
        read_file(path)
    with pytest.raises(BadOption, match="no field 'key'; choose id_field") as caught:
        read_file(path, text_field="words", id_field="key")
    assert caught.value.where == ("id_field",)
    with pytest.raises(BadFile, match="row 1: 'n' is not a string, but int"):
        read_file(path, text_field="n")
    parquet.write_table(pa.table({"text": ["bank", " "]}), path)
    with pytest.raises(BadText, match="row 2: 'text' is empty") as empty:
        read_file(path)
    assert empty.value.where == ("file", 2)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BadFile, match="not Parquet"):
        read_file(path)


def test_documents_count_from_one() -> None:
    assert documents(["a", "b"]) == [Document("a", "1"), Document("b", "2")]
    with pytest.raises(BadText, match="no list of texts") as caught:
        documents([])
    assert caught.value.where == ("texts",)
    with pytest.raises(BadText, match="text 2 is empty") as caught:
        documents(["a", " \n"])
    assert caught.value.where == ("texts", 1)
    with pytest.raises(BadText, match="no list of texts"):
        documents("bank")
    with pytest.raises(BadText, match="text 1 is not a string, but int"):
        documents([3])  # type: ignore[list-item]


# Words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The river-bank's edge.", ["The", "river-bank's", "edge", "."]),
        ("l’État – don't 'tis", ["l’État", "–", "don't", "'", "tis"]),
        ("a--b 3-4 snake_case x2", ["a", "-", "-", "b", "3", "-", "4", "snake_case", "x2"]),
        ("cafe\u0301s\t\r\nno", ["cafe\u0301s", "no"]),
        ("我去银行。", ["我", "去", "银", "行", "。"]),
        ("メガバンクで預ける", ["メガバンク", "で", "預", "ける"]),
        ("ไปธนาคาร bank", ["ไปธนาคาร", "bank"]),
        ("👩‍👩‍👧‍👦👍🏽🇺🇸🇫🇷❤️ok", ["👩‍👩‍👧‍👦", "👍🏽", "🇺🇸", "🇫🇷", "❤️", "ok"]),
        ("हिन्दी नमस्ते", ["हिन्दी", "नमस्ते"]),
        ("", []),
    ],
)
def test_words_by_hand(text: str, expected: list[str]) -> None:
    assert shown(text) == expected


@settings(max_examples=200, deadline=None)
@given(ANY_TEXT)
def test_words_are_in_order_and_cover_every_character_but_space(text: str) -> None:
    units = words(text)
    covered = set()
    end = 0
    for unit in units:
        assert end <= unit.start < unit.end
        assert unit.text == text[unit.start : unit.end]
        assert not any(c.isspace() for c in unit.text)
        # A mark begins a unit only where it has no base: at the start, or after white space.
        if unicodedata.category(unit.text[0]).startswith("M") and unit.start:
            assert text[unit.start - 1].isspace() or unicodedata.category(text[unit.start - 1])[0] in "CZ"
        covered.update(range(unit.start, unit.end))
        end = unit.end
    assert all(i in covered or c.isspace() for i, c in enumerate(text))


# Lemmas


def test_lemmas() -> None:
    assert [lemma(w) for w in ("bank", "banks", "Banks", "BANKS", "mice", "went", "Qwzx")] == [
        *["bank"] * 4, "mouse", "go", "qwzx",
    ]  # fmt: skip
    assert [lemma(w, "de") for w in ("Schlösser", "SCHLÖSSER", "schließt")] == ["Schloss", "Schloss", "schließen"]
    assert lemma("cafe\u0301") == "café"
    assert lemma("") == ""
    start = time.process_time()
    assert lemma("ä" * 100_000, "de") == "ä" * 100_000
    assert time.process_time() - start < 1
    with pytest.raises(BadOption, match=r"no lemmas for the language 'xx'; choose from ar, .*, en, .*uk") as caught:
        lemma("bank", "xx")
    assert caught.value.where == ("language",)


# Finding


@pytest.mark.parametrize(
    ("target", "text", "expected"),
    [
        ("bank", "The bank, Banks and BANKS; an embankment, bank_1, banker.", ["bank", "Banks", "BANKS"]),
        ("bank", "bank's BANK’S river-bank bank-notes banks'", ["bank", "BANK", "bank", "bank", "banks"]),
        ("banks", "Bank banks banker", ["Bank", "banks"]),
        ("Mouse", "mice", ["mice"]),
        ("river bank", "river\r\n banks, River  Bank; river-bank, riverbank", ["river\r\n banks", "River  Bank"]),
        ("U.S.", "The U.S. and u.s., not the U.S.A. or us", ["U.S.", "u.s."]),
        ("AT&T", "at&t, AT&T's, AT&TX, AT & T", ["at&t", "AT&T"]),
        ("C++", "C, C++, c++20, VC++.", ["C++", "c++"]),
        ("Coca-Cola", "coca-cola COCA‑COLA Coca-Cola's Coca Cola", ["coca-cola", "COCA‑COLA", "Coca-Cola"]),
        ("mother-in-law", "Mothers-in-law", ["Mothers-in-law"]),
        ("o'clock", "six o’clock", ["o’clock"]),
        ("won", "We won; I won't. WON'T", ["won"]),
        ("café", "café cafe\u0301 CAFÉ cafe", ["café", "cafe\u0301", "CAFÉ"]),
        ("cafe", "cafe\u0301 café", []),
        ("银行", "我去银行。银行在行", ["银行", "银行"]),
        ("ธนาคาร", "ฉันไปธนาคาร bank", ["ธนาคาร"]),
        ("はし", "このはしを渡る", ["はし"]),
        ("パン", "ジャパンのパン", ["パン"]),
        ("バンク", "ハ\u3099ンク", ["ハ\u3099ンク"]),
        ("банк", "банки БАНКА Банк", ["Банк"]),  # English lemmas know no Russian: the surface form
        ("Straße", "STRASSE", ["STRASSE"]),
        ("bank", "去bank吧 ❤️bank ไปbank ba\u00adnk", ["bank", "bank", "bank", "ba\u00adnk"]),
        ("❤️", "I❤NY ❤️", ["❤", "❤️"]),
        ("👩", "👩‍💻👩", ["👩"]),
        ("💻", "👩‍💻💻", ["💻"]),
        ("カナ", "ねーカナ、ーカナカナ", ["カナ"]),
        ("$", "$5", ["$"]),
        ("a.b*(c", "A.B*(c aXb*(c", ["A.B*(c"]),
    ],
)
def test_find_by_lemma(target: str, text: str, expected: list[str]) -> None:
    assert surfaces(target, text) == expected


@pytest.mark.parametrize(
    ("target", "text", "expected"),
    [
        ("bank", "bank Bank banks bank's river-bank embankment bank2", ["bank", "bank", "bank"]),
        ("banks", "bank banks", ["banks"]),
        ("US", "us US U.S.", ["US"]),
        ("river bank", "river\tbank River bank", ["river\tbank"]),
        ("café", "café cafe\u0301 Café cafe", ["café", "cafe\u0301"]),
        ("银行", "我去银行", ["银行"]),
    ],
)
def test_find_exactly(target: str, text: str, expected: list[str]) -> None:
    assert surfaces(target, text, match="exact") == expected


def test_find_in_other_languages() -> None:
    assert surfaces("avocat", "l'avocat d’Avocats", language="fr") == ["avocat", "Avocats"]
    assert surfaces("Schloss", "Schlösser, er schließt ein Schloß", language="de") == ["Schlösser", "Schloß"]
    assert surfaces("книга", "Книги, книгу, книжка", language="ru") == ["Книги", "книгу"]


def test_occurrences_are_in_order_and_the_rest_is_missing() -> None:
    texts = [Document("Banks, bank", "a"), Document("none", "b"), Document("x y bank", "c", (Span(2, 3), Span(0, 1)))]
    found = find(texts, "bank")
    assert isinstance(found, Found)
    assert [(o.source_id, o.start, o.end) for o in found.occurrences] == [
        ("a", 0, 5), ("a", 7, 11), ("c", 0, 1), ("c", 2, 3),
    ]  # fmt: skip
    assert found.missing == ("b",)
    assert find(texts[2:], "anything").occurrences[0].target == "anything"


def test_nothing_found() -> None:
    with pytest.raises(TargetNotFound, match=r"'bank' is not in the 2 texts given; .*spans") as caught:
        find(documents(["embankment", "Bänke"]), "bank")
    assert caught.value.where == ("target",)
    with pytest.raises(TargetNotFound, match=r"the 1 text given; .*match='lemma'"):
        find(documents(["Banks"]), "bank", match="exact")
    with pytest.raises(TargetNotFound, match="the 0 texts"):
        find([], "bank")


def test_bad_options_of_find() -> None:
    for target in ("", " \t"):
        with pytest.raises(BadOption, match="target is empty") as caught:
            find(documents(["bank"]), target)
        assert caught.value.where == ("target",)
    with pytest.raises(BadOption, match="no match 'stem'; choose from lemma, exact") as caught:
        find(documents(["bank"]), "bank", match="stem")  # type: ignore[arg-type]
    assert caught.value.where == ("match",)
    with pytest.raises(BadOption, match="language 'xx'"):
        find(documents(["bank"]), "bank", language="xx")
    with pytest.raises(BadSpan):
        find([Document("bank", "1", (Span(0, 5),))], "bank")


@UNTIMED
@given(ANY_TEXT, ANY_TEXT, st.sampled_from(["bank", "Banks", "cafe\u0301", "银行", "river\r\nbanks", "u.s."]))
def test_noise_before_shifts_offsets_and_nothing_else(before: str, after: str, surface: str) -> None:
    target = {"Banks": "bank", "cafe\u0301": "café", "river\r\nbanks": "river bank", "u.s.": "U.S."}.get(
        surface, surface
    )
    text = f"{surface} {after}"
    alone, shifted = find(documents([text]), target), find(documents([f"{before} {text}"]), target)
    assert text[alone.occurrences[0].start : alone.occurrences[0].end] == surface
    shift = len(before) + 1
    expected = [(o.start + shift, o.end + shift) for o in alone.occurrences]
    assert [(o.start, o.end) for o in shifted.occurrences if o.start >= shift] == expected
    assert all(o.text[o.start : o.end] == o.surface for o in shifted.occurrences)


@UNTIMED
@given(
    st.lists(st.sampled_from(["bank", "Banks", "embankment", "river", "geese", "GOOSE", "bank2"]), min_size=1),
    st.sampled_from(["bank", "banks", "goose", "geese", "River"]),
    st.sampled_from([" ", ", ", "-", "\n"]),
)
def test_find_agrees_with_a_plain_loop_on_plain_english(chosen: list[str], target: str, gap: str) -> None:
    text = gap.join(chosen)
    expected = [m.span() for m in re.finditer(r"[A-Za-z0-9]+", text) if lemma(m[0]) == lemma(target)]
    if expected:
        assert [(o.start, o.end) for o in find(documents([text]), target).occurrences] == expected
    else:
        with pytest.raises(TargetNotFound):
            find(documents([text]), target)


@UNTIMED
@given(ANY_TEXT.filter(str.strip))
def test_any_text_finds_itself(text: str) -> None:
    try:
        texts = documents([text])
    except BadText:
        return
    for unit in words(text)[:3]:
        found = find(texts, unit.text, match="exact")
        assert (unit.start, unit.end) in [(o.start, o.end) for o in found.occurrences]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("bank holiday " * 80_000 + "bank", id="words"),
        pytest.param("a" + "\u0301" * 300_000 + " bank", id="marks"),
        pytest.param("x" * 10**6 + " bank", id="one long word"),
        pytest.param("🇺🇸" * 100_000 + " bank", id="flags"),
        pytest.param("river" + " " * 10**6 + "bank", id="spaces"),
    ],
)
def test_a_million_characters_take_no_more_than_seconds(text: str) -> None:
    start = time.process_time()
    assert words(text)
    assert find(documents([text]), "bank").occurrences[-1].surface == "bank"
    assert time.process_time() - start < 5


# Keyword in context


def test_context_is_cut_at_whole_words() -> None:
    text = "I went to the\tbank\r\n of the river today"
    assert context(text, 14, 18, 10) == ("to the ", "bank", " of the")
    assert context(text, 14, 18) == ("I went to the ", "bank", " of the river today")
    assert context(text, 14, 18, 0) == ("", "bank", "")
    assert context("river-bank's", 6, 10, 20) == ("river-", "bank", "'s")
    assert context("我" * 9 + "银行" + "好" * 9, 9, 11, 5) == ("我" * 5, "银行", "好" * 5)
    assert context("x" * 99 + " bank", 100, 104, 5) == ("xxxx ", "bank", "")  # one word alone is too long: cut
    with pytest.raises(BadSpan):
        context("bank", 2, 9)
    with pytest.raises(BadOption, match="width -1"):
        context("bank", 0, 4, -1)


@UNTIMED
@given(ANY_TEXT, ANY_TEXT, st.integers(0, 30))
def test_context_is_at_most_as_wide_as_asked(before: str, after: str, width: int) -> None:
    text = f"{before} bank {after}"
    left, keyword, right = context(text, len(before) + 1, len(before) + 5, width)
    assert keyword == "bank"
    assert len(left) <= width
    assert len(right) <= width
    assert not any(c in left + right for c in "\n\r\t")
    line = re.sub(r"\s+", " ", text.replace("\x85", " "))
    assert re.sub(r"\s+", "", left + keyword + right) in re.sub(r"\s+", "", line)
