"""A corpus as a stream: its files, its texts, the uses of many targets, and a sample of them."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet
from sklearn.metrics import adjusted_rand_score

from analysis.corpora import finding, passages
from analysis.corpora.finding import Finder
from analysis.corpora.passages import passage
from analysis.corpora.sampling import Lowest, draw
from analysis.corpora.sources import Files, Skipped, Text, find_files, texts
from analysis.corpora.summary import adjusted_rand
from analysis.corpus import documents
from analysis.errors import BadFile, BadOption, TargetNotFound
from analysis.text import find


def put(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def mixed(folder: Path) -> None:
    """One text in each form, named by its form."""
    put(folder, "a/x.txt", "plain\n\n")
    put(folder, "a/x.txt.gz", gzip.compress(b"plain gz\n"))
    put(folder, "b/x.jsonl", json.dumps({"text": "json", "id": "j"}) + "\n")
    put(folder, "b/x.CSV", "text,id\ncsv,c\n")
    put(folder, "b/c/x.tsv.gz", gzip.compress(b"text\tid\ntsv gz\tt\n"))
    parquet.write_table(pa.table({"text": ["parquet"], "number": [1.5]}), folder / "x.parquet")
    put(folder, "notes.docx", "no text")
    put(folder, ".hidden.txt", "hidden")
    put(folder, ".git/x.txt", "hidden too")


def read(files: Files) -> list[str]:
    return [f"{s.name}:{t.line} {t.text}" for s in files.sources for t in texts(s) if isinstance(t, Text)]


def test_a_folder_is_read_in_the_order_of_names_whatever_its_files_are(tmp_path: Path) -> None:
    mixed(tmp_path)
    files = find_files([str(tmp_path)], outside=tmp_path / "out")
    assert read(files) == [
        "a/x.txt:1 plain",
        "a/x.txt.gz:1 plain gz",
        "b/c/x.tsv.gz:2 tsv gz",
        "b/x.CSV:2 csv",
        "b/x.jsonl:1 json",
        "x.parquet:1 parquet",
    ]
    assert files.ignored == 1
    assert sum(source.size for source in files.sources) == sum(source.path.stat().st_size for source in files.sources)


def test_patterns_and_files_may_overlap_and_come_in_any_order(tmp_path: Path) -> None:
    mixed(tmp_path)
    both = [str(tmp_path / "**/*.txt"), str(tmp_path / "a")]
    there, back = (find_files(paths, outside=tmp_path / "out") for paths in (both, both[::-1]))
    assert read(there) == read(back) == ["x.txt:1 plain", "x.txt.gz:1 plain gz"]


def test_progress_is_told_of_every_byte(tmp_path: Path) -> None:
    mixed(tmp_path)
    for source in find_files([str(tmp_path)], outside=tmp_path / "out").sources:
        told: list[int] = []
        list(texts(source, progress=told.append))
        assert sum(told) == source.size


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        (["no"], BadFile, "there is no file or folder .*no; check the path"),
        (["notes.docx"], BadFile, "unknown ending; give files in .txt, .jsonl"),
        (["empty"], BadFile, "there is no file to read"),
        (["*.zip"], BadFile, "there is no file or folder"),
    ],
)
def test_paths_that_name_nothing_are_refused(
    tmp_path: Path, names: list[str], error: type[Exception], message: str
) -> None:
    mixed(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(error, match=message):
        find_files([str(tmp_path / name) for name in names], outside=tmp_path / "out")


def test_what_a_run_wrote_is_not_its_own_corpus(tmp_path: Path) -> None:
    put(tmp_path, "x.txt", "text")
    put(tmp_path, "out/usages.parquet", b"")
    with pytest.raises(BadOption, match=r"which is in the output folder .*; write to a folder outside the corpus"):
        find_files([str(tmp_path)], outside=tmp_path / "out")


def test_what_cannot_be_read_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    put(
        tmp_path,
        "a.jsonl",
        '{"text": "one"}\nnone\n{"sentence": "two"}\n{"text": ""}\n{"text": "three", "id": "\\ud83d"}\n',
    )
    put(tmp_path, "b.txt", b"caf\xe9\nfour\n")
    put(tmp_path, "c.txt.gz", gzip.compress(b"five\n" * 100)[:-8])
    put(tmp_path, "d.parquet", "none")
    files = find_files([str(tmp_path)], outside=tmp_path / "out")
    found = [item for source in files.sources for item in texts(source)]
    assert [(s.file, s.line) for s in found if isinstance(s, Skipped)] == [
        ("a.jsonl", 2), ("a.jsonl", 3), ("a.jsonl", 4), ("b.txt", 1), ("c.txt.gz", 101), ("d.parquet", 1),
    ]  # fmt: skip
    assert {t.text for t in found if isinstance(t, Text)} == {"one", "three", "four", "five"}
    assert [t.id for t in found if isinstance(t, Text)][1] == "\\ud83d"
    reasons = {s.file + str(s.line): s.why for s in found if isinstance(s, Skipped)}
    assert "choose text_field from the fields there are: 'sentence'" in reasons["a.jsonl3"]


def test_one_long_line_is_read_in_pieces_with_offsets_of_the_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analysis.rows.CHUNK", 64)
    monkeypatch.setattr("analysis.corpora.sources.PIECE", 64)
    line = " ".join(f"wörd{i}" for i in range(100))
    put(tmp_path, "x.txt", "first\n" + line)
    (source,) = find_files([str(tmp_path)], outside=tmp_path / "out").sources
    pieces = [text for text in texts(source) if isinstance(text, Text) and text.line == 2]
    assert len(pieces) > 5
    assert "".join(piece.text for piece in pieces) == line
    assert all(line.startswith(piece.text, piece.start) for piece in pieces)


SENTENCES = [
    "The bank by the river-bank; two Banks, no embankment.",
    "banking is what bankers do",
    "Nothing here.",
    "The river\u00a0 bank of the U.S. and the mother-in-law of mothers-in-law",
    "BANK!",
    "我在银行 and 河岸",
]
TARGETS = ["bank", "river bank", "U.S.", "mother-in-law", "银行", "zebra"]


def test_many_targets_are_found_as_one_by_one() -> None:
    finder = Finder(TARGETS, match="lemma", language="en")
    got = sorted(
        (number, use.line, use.start, use.end)
        for line, text in enumerate(SENTENCES, start=1)
        for number, use in finder.uses("f", Text(text, "", line, 0))
    )
    expected = []
    for number, target in enumerate(TARGETS):
        try:
            found = find(documents(SENTENCES), target).occurrences
        except TargetNotFound:
            continue
        expected += [(number, int(use.source_id), use.start, use.end) for use in found]
    assert got == sorted(expected)
    assert len({number for number, *_ in got}) == 5


def test_a_target_or_match_that_cannot_be_is_refused_at_once() -> None:
    with pytest.raises(BadOption, match="the target is empty"):
        Finder([" "], match="lemma", language="en")
    with pytest.raises(BadOption, match="no lemmas for the language 'xx'"):
        Finder(["bank"], match="lemma", language="xx")


def test_a_use_says_where_it_stands_in_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "PIECE", 500)
    line = " ".join(f"Sentence number {i} of the bank is here." for i in range(200))
    uses = [use for _, use in Finder(["bank"], match="exact", language="en").uses("f", Text(line, "7", 3, 10))]
    assert len(uses) == 200
    for use in uses:
        assert use.cut
        assert use.text[use.start : use.end] == "bank"
        low = use.text_start - 10
        assert line[low : low + len(use.text)] == use.text
        assert len(use.text) <= 2 * passages.REACH + 4
        assert use.text.startswith("Sentence")
        assert use.text.rstrip().endswith("here.")


@given(st.text(alphabet="ab .!\n。", max_size=3000), st.data())
def test_a_passage_is_a_part_of_its_text_around_the_word(text: str, data: st.DataObject) -> None:
    text += "x"
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, min(len(text), start + 20)))
    found = passage(text, start, end)
    assert text[found.low : found.low + len(found.text)] == found.text
    assert found.low <= start
    assert found.low + len(found.text) >= end
    assert found.cut == (len(found.text) < len(text)) or found.cut
    assert len(found.text) <= max(passages.LONGEST, 2 * passages.REACH + end - start)


@given(st.lists(st.integers(0, 10**6), max_size=60), st.integers(1, 20))
def test_the_lowest_are_kept_whatever_the_order(numbers: list[int], size: int) -> None:
    distinct = list(dict.fromkeys(numbers))
    lowest = Lowest(size)
    kept = [number for number in distinct if lowest.offer(number)]
    chosen = sorted(number for number in kept if number <= lowest.highest)
    assert chosen == sorted(distinct)[:size]
    random.Random(0).shuffle(distinct)
    assert Lowest(size, distinct).highest == lowest.highest


def test_draws_are_even_and_the_seeds_own() -> None:
    draws = [draw(0, "bank", "file", line, 3) for line in range(2000)]
    assert draws != [draw(1, "bank", "file", line, 3) for line in range(2000)]
    mean = sum(draws) / len(draws) / 2**63
    assert abs(mean - 0.5) < 4 * (1 / 12 / 2000) ** 0.5  # four standard errors of a uniform number


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=2, max_size=40))
def test_agreement_from_a_table_is_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    table = [[pairs.count((i, j)) for j in range(3)] for i in range(4)]
    first, second = zip(*pairs, strict=True)
    found = adjusted_rand(table)
    if found is None:
        assert len(set(first)) == len(set(second)) == 1
    else:
        assert found == pytest.approx(adjusted_rand_score(first, second))
