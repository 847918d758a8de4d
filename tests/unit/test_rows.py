"""Files as streams of records: what is broken is named, and what stands behind it is read."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from analysis.errors import BadFile
from analysis.rows import csv_rows, inflated, jsonl_rows, lines, parquet_rows


def told(items: Iterable[tuple[int, object]]) -> list[tuple[int, object]]:
    """The numbers with what was read, or with what is wrong."""
    return [(number, item.what if isinstance(item, BadFile) else item) for number, item in items]


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\n\0\ufeff", exclude_categories=["Cs"]), max_size=8), max_size=6
    ),
    st.integers(1, 7),
)
def test_lines_are_the_same_however_the_bytes_come(texts: list[str], size: int) -> None:
    data = "\n".join(texts).encode()
    parts = [data[i : i + size] for i in range(0, len(data), size)]
    expected = data.decode().split("\n")
    assert [line for _, line in lines(parts, "f")] == expected[: len(expected) - (expected[-1] == "")]


def test_a_line_that_is_not_utf8_is_named_and_the_next_is_read() -> None:
    found = told(lines([b"one\ncaf\xe9\n", b"th\0ree\nfour"], "f.txt"))
    assert found == [
        (1, "one"),
        (2, "f.txt, line 2 is not UTF-8: byte 7 of the file is 0xe9"),
        (3, "f.txt, line 3 is not text: it has a NUL character"),
        (4, "four"),
    ]


def test_a_long_line_is_an_error_or_comes_in_parts() -> None:
    parts = [b"one two ", b"three four ", b"five\nsix"]
    assert told(lines(parts, "f", longest=8)) == [(1, "f, line 1 is longer than 8 bytes"), (2, "six")]
    cut = list(lines(parts, "f", longest=8, cut=True))
    assert "".join(str(text) for number, text in cut if number == 1) == "one two three four five"
    assert cut[-1] == (2, "six")
    assert len(cut) > 2


def test_json_lines_and_csv_go_on_behind_a_broken_record() -> None:
    found = told(jsonl_rows([b'{"text": "a"}\n{"text": \n\n[1]\n{"text": "b"}\n'], "f"))
    assert [number for number, _ in found] == [1, 2, 4, 5]
    assert [item for _, item in found if isinstance(item, dict)] == [{"text": "a"}, {"text": "b"}]

    table = b'text,id\na,1\nb\n"c\xff\nc",3\n"d\nd",4\n"e" f,5\ng,6\n'
    rows = told(csv_rows([table], "f", delimiter=","))
    assert [item for _, item in rows if isinstance(item, dict)] == [
        {"text": "a", "id": "1"},
        {"text": "d\nd", "id": "4"},
        {"text": "g", "id": "6"},
    ]
    assert [(number, str(item)[:14]) for number, item in rows if isinstance(item, str)] == [
        (3, "f, line 3 has "),
        (4, "f, line 4 is n"),
        (8, "f, line 8 is n"),
    ]


def members(*texts: str) -> list[bytes]:
    return [gzip.compress(text.encode(), mtime=0) for text in texts]


def joined(items: Iterator[bytes | BadFile]) -> tuple[bytes, list[str]]:
    found = list(items)
    whole = b"".join(item for item in found if isinstance(item, bytes))
    return whole, [item.what for item in found if isinstance(item, BadFile)]


def test_gzip_is_read_on_behind_a_broken_member() -> None:
    first, second, third = members("one\n" * 50, "two, a longer one\n" * 50, "three\n" * 50)
    assert joined(inflated(io.BytesIO(first + second + third), "f")) == (
        b"one\n" * 50 + b"two, a longer one\n" * 50 + b"three\n" * 50,
        [],
    )
    broken = bytearray(second)
    broken[len(broken) // 2] ^= 0xFF
    whole, wrong = joined(inflated(io.BytesIO(first + bytes(broken) + third), "f"))
    assert whole.startswith(b"one\n" * 50)
    assert whole.endswith(b"three\n" * 50)
    assert len(wrong) == 1
    assert "f is not whole gzip" in wrong[0]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (members("one\n" * 5000)[0][:-9], "is cut short"),
        (b"plain text, no gzip", "is not whole gzip"),
        (members("one\n")[0][:-8] + b"\0" * 8, "is not whole gzip"),
    ],
)
def test_gzip_that_is_cut_or_is_none_is_named(data: bytes, expected: str) -> None:
    assert any(expected in what for what in joined(inflated(io.BytesIO(data), "f"))[1])


def test_a_line_in_which_gzip_breaks_is_no_line() -> None:
    content: list[bytes | BadFile] = [b"one\ntw", BadFile("f broke", remedy="none"), b"three\n"]
    assert told(lines(content, "f")) == [(1, "one"), (2, "f broke (line 2)"), (2, "three")]


def test_a_row_group_that_is_broken_is_left_out() -> None:
    sink = pa.BufferOutputStream()
    texts = [f"a rather long text, number {i}" for i in range(300)]
    parquet.write_table(pa.table({"text": texts}), sink, row_group_size=100, compression="none", use_dictionary=False)
    data = bytearray(sink.getvalue().to_pybytes())
    whole = told(parquet_rows(io.BytesIO(bytes(data)), "f", {"text"}))
    assert [item["text"] for _, item in whole if isinstance(item, dict)] == texts
    place = parquet.ParquetFile(io.BytesIO(bytes(data))).metadata.row_group(1).column(0).data_page_offset
    data[place : place + 200] = b"\xff" * 200
    rows = told(parquet_rows(io.BytesIO(bytes(data)), "f", {"text"}))
    assert [item["text"] for _, item in rows if isinstance(item, dict)] == texts[:100] + texts[200:]
    assert [(number, str(item)[:28]) for number, item in rows if isinstance(item, str)] == [
        (101, "f, from row 101 to 200, is n")
    ]
    assert told(parquet_rows(io.BytesIO(b"no Parquet"), "f", {"text"}))[0][0] == 1
