"""Parquet that unpacks to far more than it weighs, or says that it does not, is refused."""

from __future__ import annotations

import io
import json
import sys
import time
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from analysis.errors import BadFile, LimitExceeded
from service import parquet

SIZE = 20_000_000


def packed(columns: dict[str, Any], **options: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, compression="zstd", write_statistics=False, **options)
    return file.getvalue()


def read(data: bytes, *fields: str, most_rows: int = 20_000, most_bytes: int = 5_000_000) -> list[dict[str, Any]]:
    lines = parquet.json_lines(data, fields or ("text",), most_rows=most_rows, most_bytes=most_bytes)
    return [json.loads(line) for line in lines.splitlines()]


def text_in_every_row() -> bytes:
    once = pa.array(["the bank " * 100_000])
    return packed({"text": pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), once)})


def one_long_text() -> bytes:
    return packed({"text": ["a" * SIZE]}, use_dictionary=False)


def understated() -> bytes:
    """A long text, which says of itself that it is 100 bytes long."""
    data = one_long_text()
    foot = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    group = pq.ParquetFile(pa.BufferReader(data)).metadata.row_group(0)
    for size in {group.total_byte_size, group.column(0).total_uncompressed_size}:
        true, false = varint(2 * size), varint(200)
        false = bytes([false[0], false[1] | 0x80, *[0x80] * (len(true) - 3), 0])
        assert true in data[foot:]
        data = data[:foot] + data[foot:].replace(true, false)
    assert pq.ParquetFile(pa.BufferReader(data)).metadata.row_group(0).column(0).total_uncompressed_size == 100
    return data


def varint(number: int) -> bytes:
    """As Thrift writes it, seven bits a byte."""
    found = []
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def many_spans() -> bytes:
    return packed({"text": ["the bank"], "spans": [[[0, 4]] * 3_000_000]})


def many_rows() -> bytes:
    return packed({"text": ["the bank"] * 20_001})


@pytest.mark.parametrize("bomb", [text_in_every_row, one_long_text, understated, many_spans, many_rows])
def test_a_bomb_is_refused(bomb: Any) -> None:
    data = bomb()
    assert len(data) < 100_000
    since = time.monotonic()
    with pytest.raises(LimitExceeded, match="20,000 rows or 5,000,000 bytes"):
        read(data)
    assert time.monotonic() - since < 30


@pytest.mark.slow
def test_it_takes_no_more_memory_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "SIZE", 400_000_000)
    with pytest.raises(LimitExceeded):
        read(understated(), most_bytes=10**12)
    assert len(read(packed({"text": ["a" * 4_000_000]}))[0]["text"]) == 4_000_000, "which takes far less"


def test_what_is_no_bomb_is_read_as_it_stands() -> None:
    rows = {"text": ["the bank", "a bank"], "id": [7, None], "vector": [[0.5], [1.5]]}
    assert read(packed(rows)) == [{"id": 7, "text": "the bank"}, {"id": None, "text": "a bank"}]
    assert read(packed({"body": ["the bank"], "n": [1]})) == [{"body": None, "n": None}], "so that it can be named"
    assert read(packed({"text": [b"the bank"]})) == [{"text": []}], "bytes are no text"
    with pytest.raises(BadFile, match="not Parquet"):
        read(b"PAR1" + b"\0" * 100 + b"PAR1")
