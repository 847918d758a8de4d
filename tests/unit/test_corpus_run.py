"""A whole run over a corpus, with an encoder without weights: what it writes, and how it goes on after a break."""

from __future__ import annotations

import errno
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from analysis import sensefile
from analysis.assemble import Options
from analysis.corpora.engines import Local
from analysis.corpora.folder import Folder, Write
from analysis.corpora.run import Plan, run
from analysis.corpora.sources import Files, find_files
from analysis.corpora.summary import Report
from analysis.corpus import documents
from analysis.errors import BadFile, BadOption, BadSpan, TargetNotFound
from analysis.pipeline import analyse
from analysis.record import from_json
from analysis.types import Occurrence, Perturbed, Usages
from tests.fake import FakeEncoder

MONEY = ("money", "loan", "deposit", "cash", "account")
RIVER = ("river", "water", "mud", "fish", "reeds")
QUICK = Options(drivers="none")
PLAN = Plan(("bank", "zebra"), "fake", "0" * 64, QUICK, sample=80, fit=40)


def corpus(folder: Path, texts: int = 120) -> Files:
    """Two files of texts about one of two things, and a record and a line that cannot be read."""
    draw = random.Random(0)
    lines = [
        f"The bank with {a} and {b}, they said."
        for a, b in (draw.sample(draw.choice((MONEY, RIVER)), 2) for _ in range(texts))
    ]
    folder.mkdir()
    half = texts // 2
    (folder / "a.txt").write_bytes("\n".join(lines[:half]).encode() + b"\ncaf\xe9\n")
    records = [json.dumps({"text": line, "id": f"r{i}"}) for i, line in enumerate(lines[half:])]
    (folder / "b.jsonl").write_text("\n".join([*records[:9], "{", *records[9:]]))
    return find_files([str(folder)], outside=folder.parent / "out")


def go(out: Path, files: Files, plan: Plan = PLAN, *, write: Write = Path.write_bytes, **more: Any) -> Report:
    encoder = more.pop("encoder", FakeEncoder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("analysis.corpora.search.ROWS", 20)
        return run(Folder(out, write=write), files, plan, Local(encoder), block=16, **more)


def content(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def table(out: Path) -> Any:
    return pq.ParquetDataset(sorted((out / "target=bank").glob("usages-*.parquet")), partitioning=None).read()


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Files, Path, Report]:
    """The corpus, and the folder and the report of an unbroken run."""
    folder = tmp_path_factory.mktemp("corpus")
    files = corpus(folder / "in")
    return files, folder / "out", go(folder / "out", files)


def test_the_report_counts_what_was_found_read_and_skipped(done: tuple[Files, Path, Report]) -> None:
    _, out, report = done
    bank, zebra = report.targets
    assert (report.files, report.texts, report.skipped.number) == (2, 120, 2)
    assert [(row["file"], row["line"]) for row in report.skipped.first] == [("a.txt", 61), ("b.jsonl", 10)]
    assert (bank.found, bank.read, bank.sample, bank.unreadable) == (120, 80, 40, 0)
    assert sum(sense.size for sense in bank.senses) + bank.no_sense == 80
    assert zebra.error == "no text uses it"
    assert bank.speaks is not None
    assert bank.speaks.rest == 40
    page = (out / "report.html").read_text()
    assert bank.speaks.said in page
    assert "b.jsonl" in page
    assert 'href="target%3Dbank/report.html"' in page
    assert {path.name for path in out.iterdir()} == {
        ".lock", "run.json", "report.json", "report.html", "skipped.jsonl", "target=bank",
    }  # fmt: skip


def test_the_usages_are_in_the_corpus_where_they_say_and_have_their_vectors(done: tuple[Files, Path, Report]) -> None:
    files, out, report = done
    rows = table(out).to_pylist()
    assert [row["id"] for row in rows] == [f"u{i}" for i in range(80)]
    paths = {source.name: source.path for source in files.sources}
    places = [(row["file"], row["line"]) for row in rows]
    assert places == sorted(set(places))
    for row in rows:
        line = paths[row["file"]].read_bytes().split(b"\n")[row["line"] - 1].decode()
        text = json.loads(line)["text"] if row["file"] == "b.jsonl" else line
        assert row["text"] == text[row["text_start"] :]
        assert row["text"][row["start"] : row["end"]] == row["form"] == "bank"
    uses = [Occurrence(row["text"], "bank", row["start"], row["end"], "") for row in rows]
    own = FakeEncoder().encode(uses)
    for name, vectors in (("vector", own.vectors), ("context", own.context)):
        np.testing.assert_allclose(np.array([row[name] for row in rows]), vectors, atol=1e-6)

    saved = sensefile.load(out / "target=bank" / "model.senses")
    assert {row["sense"] for row in rows} <= {*saved.model.senses, None}
    sizes = [sum(row["sense"] == sense.id for row in rows) for sense in report.targets[0].senses]
    assert sizes == [sense.size for sense in report.targets[0].senses]
    assert pq.read_table(out / "target=bank" / "senses.parquet", partitioning=None)["size"].to_pylist() == sizes


def test_a_usage_of_the_sample_is_the_one_of_the_analysis(done: tuple[Files, Path, Report]) -> None:
    _, out, _ = done
    analysis = from_json((out / "target=bank" / "analysis.json").read_bytes())
    by_id = {usage.id: usage for usage in analysis.usages}
    fitted = [row for row in table(out).to_pylist() if row["analysis_id"] is not None]
    assert [row["analysis_id"] for row in fitted] == [usage.id for usage in analysis.usages]
    for row in fitted:
        usage = by_id[row["analysis_id"]]
        assert (row["sense"], row["confidence"], row["text"]) == (usage.sense, usage.confidence, usage.text)
        assert usage.source_id == f"{row['file']}:{row['line']}"
    assert "40 of 120 usages" in analysis.warnings[0].message


def breaking(at: int, error: Callable[[], BaseException]) -> Write:
    """Writes files but the `at`-th, of which it writes a part and then fails."""
    left = at

    def write(path: Path, content: bytes) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            path.write_bytes(content[: len(content) // 2])
            raise error()
        path.write_bytes(content)

    return write


@pytest.mark.parametrize("at", [1, 4, 13, 16, 18, 20, 29, 31])  # of 31 files
def test_a_run_that_a_full_disk_stopped_goes_on_and_is_the_same(
    tmp_path: Path, done: tuple[Files, Path, Report], at: int
) -> None:
    files, unbroken, report = done
    full = breaking(at, lambda: OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(BadFile, match=r"No space left on device; make room, .* with --resume"):
        go(tmp_path / "out", files, write=full)
    assert go(tmp_path / "out", files, resume=True) == report
    assert content(tmp_path / "out") == content(unbroken)


def test_a_run_that_breaks_many_times_comes_to_its_end(tmp_path: Path, done: tuple[Files, Path, Report]) -> None:
    files, unbroken, _ = done
    for _ in range(200):
        try:
            go(tmp_path / "out", files, write=breaking(9, KeyboardInterrupt), resume=True)
            break
        except KeyboardInterrupt:
            pass
    assert content(tmp_path / "out") == content(unbroken)


def test_what_is_read_again_after_a_break_is_at_most_a_part(tmp_path: Path, done: tuple[Files, Path, Report]) -> None:
    files, _, _ = done
    encoder = FakeEncoder()
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "out", files, write=breaking(24, KeyboardInterrupt), encoder=lambda: encoder)
    before = list(encoder.asked)
    go(tmp_path / "out", files, resume=True, encoder=lambda: encoder)
    assert sum(before) >= 40
    assert sum(encoder.asked) - sum(before) < 40  # the sample's senses are not learnt again
    assert max(encoder.asked[len(before) :]) <= 16


def test_a_finished_run_is_not_done_again(done: tuple[Files, Path, Report]) -> None:
    files, out, report = done

    def none() -> FakeEncoder:
        raise AssertionError("the model is not needed")

    assert go(out, files, resume=True, encoder=none) == report


def test_another_run_in_the_folder_is_refused_with_what_differs(
    tmp_path: Path, done: tuple[Files, Path, Report]
) -> None:
    files, out, _ = done
    with pytest.raises(BadOption, match="holds a finished run; go on with it with --resume, or name another folder"):
        go(out, files)
    with pytest.raises(BadOption, match=r"fit was 40, and now is 50; sample was 80, and now is null"):
        go(out, files, replace(PLAN, fit=50, sample=None), resume=True)
    with pytest.raises(BadOption, match="seed was 0, and now is 1"):
        go(out, files, replace(PLAN, options=replace(QUICK, seed=1)), resume=True)
    fewer = Files(files.sources[:1], 0)
    with pytest.raises(BadOption, match=r"the file b\.jsonl is gone"):
        go(out, fewer, resume=True)
    changed = Files((replace(files.sources[0], size=1), files.sources[1]), 0)
    with pytest.raises(BadOption, match=r"the file a\.txt was changed"):
        go(out, changed, resume=True)
    (tmp_path / "x").write_text("mine")
    with pytest.raises(BadOption, match="is not empty, and holds no run of this command: x"):
        go(tmp_path, files)
    with pytest.raises(BadOption, match="x is a file; name a folder"):
        go(tmp_path / "x", files)


def test_two_processes_do_not_write_to_one_folder(tmp_path: Path, done: tuple[Files, Path, Report]) -> None:
    files, _, _ = done
    with (
        Folder(tmp_path / "out").taken({"schema_version": 1, "options": {}, "inputs": []}, resume=False),
        pytest.raises(BadOption, match="another process is writing"),
    ):
        go(tmp_path / "out", files)


def test_strict_stops_at_the_first_text_that_cannot_be_read(tmp_path: Path, done: tuple[Files, Path, Report]) -> None:
    files, unbroken, _ = done
    with pytest.raises(BadFile, match=r"a\.txt, line 61 is not UTF-8.*leave --strict out"):
        go(tmp_path / "out", files, replace(PLAN, strict=True))
    go(tmp_path / "out", files, resume=True)
    assert content(tmp_path / "out") == content(unbroken)


def test_all_usages_are_read_where_no_sample_is_asked_for(tmp_path: Path, done: tuple[Files, Path, Report]) -> None:
    files, _, sampled = done
    report = go(tmp_path / "out", files, replace(PLAN, sample=None, targets=("bank",)))
    assert report.targets[0].read == report.targets[0].found == 120
    # The sample that the senses are learnt from is the same, as its draws are the lowest of all.
    assert [sense.label for sense in report.targets[0].senses] == [sense.label for sense in sampled.targets[0].senses]


def test_a_corpus_smaller_than_the_sample_is_its_own_analysis(tmp_path: Path) -> None:
    report = go(tmp_path / "out", corpus(tmp_path / "in", 20), replace(PLAN, targets=("bank",)))
    assert report.targets[0].speaks is None
    assert report.targets[0].sample == report.targets[0].read == 20
    assert "learnt from all usages" in (tmp_path / "out" / "report.html").read_text()

    texts = [row["text"] for row in table(tmp_path / "out").to_pylist()]
    alone = analyse(FakeEncoder(), documents(texts), "bank", QUICK)
    kept = from_json((tmp_path / "out" / "target=bank" / "analysis.json").read_bytes())
    assert kept.senses == alone.senses
    assert [usage.sense for usage in kept.usages] == [usage.sense for usage in alone.usages]


def test_a_corpus_without_the_targets_says_what_could_not_be_read(tmp_path: Path) -> None:
    files = corpus(tmp_path / "in", 20)
    with pytest.raises(TargetNotFound, match=r"none of 'zebra' is in the 20 texts .*2 more could not be read; .*UTF-8"):
        go(tmp_path / "out", files, replace(PLAN, targets=("zebra",)))


def test_an_option_that_a_target_does_not_allow_is_the_targets_error(tmp_path: Path) -> None:
    files = corpus(tmp_path / "in", 20)
    report = go(tmp_path / "out", files, replace(PLAN, targets=("bank", "fish"), options=replace(QUICK, n_senses=12)))
    bank, fish = report.targets
    assert len(bank.senses) == 12
    assert fish.error is not None
    assert "senses" in fish.error
    assert f"No senses: {fish.error[:20]}" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fit": 0}, "fit is 0"),
        ({"sample": 0}, "sample is 0"),
        ({"targets": ("a", "a")}, "'a' is given twice"),
        ({"targets": ()}, "no target"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_written(
    tmp_path: Path, done: tuple[Files, Path, Report], change: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadOption, match=message):
        go(tmp_path / "out", done[0], replace(PLAN, **change))
    assert not (tmp_path / "out").exists()


class Choosy(FakeEncoder):
    """Cannot read a text with mud in it."""

    def encode(self, readings: Any, **more: Any) -> Usages:
        for reading in readings:
            use = reading.occurrence if isinstance(reading, Perturbed) else reading
            if "mud" in use.text:
                raise BadSpan(f"nothing at {use.start}", remedy="none")
        return super().encode(readings, **more)


def test_usages_that_the_model_cannot_read_are_counted_and_flagged(tmp_path: Path) -> None:
    files = corpus(tmp_path / "in")
    (bank, _) = go(tmp_path / "out", files, encoder=Choosy).targets
    rows = table(tmp_path / "out").to_pylist()
    muddy = [row for row in rows if "mud" in row["text"]]
    assert bank.unreadable == len(muddy) > 5
    assert bank.read == 80 - len(muddy)
    assert bank.sample < 40
    for row in muddy:
        assert (row["flags"], row["sense"], row["vector"], row["analysis_id"]) == (["unreadable"], None, None, None)
    assert all(row["vector"] is not None for row in rows if "mud" not in row["text"])
