"""`polyseme corpus`, in process, read by an encoder without weights; and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis.catalogue import ModelFolder
from service.cli import corpus, main
from tests.fake import FakeEncoder
from tests.labelled import MONEY, RIVER

Run = Callable[..., str]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """`polyseme corpus` with these arguments, in a folder with texts; what it printed, on the stream its code says."""
    folder = ModelFolder("fake", tmp_path, "none", "tests", "1", "0" * 64)
    monkeypatch.setattr("analysis.catalogue.resolve", lambda *_: folder)
    monkeypatch.setattr(corpus, "load_encoder", lambda _: FakeEncoder())
    monkeypatch.setenv("POLYSEME_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    Path("in/money.txt").write_text("\n".join(MONEY))
    Path("in/river.jsonl").write_text("\n".join([*(json.dumps({"text": text}) for text in RIVER), "broken"]))

    def invoke(*arguments: str, code: int = 0) -> str:
        monkeypatch.setattr("sys.argv", ["polyseme", "corpus", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert ended.value.code == code, printed
        assert (printed.out if code else printed.err) == ""
        return printed.err if code else printed.out

    return invoke


def test_a_run_prints_its_senses_and_what_it_skipped(run: Run) -> None:
    printed = run("in", "--target", "bank", "--target", "zebra", "--out", "out", "--drivers", "none")
    n = len(MONEY) + len(RIVER)
    assert f"in {n} usages)" in printed.splitlines()[0]
    assert "zebra: no senses; no text uses it" in printed
    assert f"{n} texts in 2 files; 1 could not be read and were skipped." in printed
    assert f"river.jsonl, line {len(RIVER) + 1} is not a JSON object" in printed
    assert "Written to out: report.html" in printed
    again = run(
        "in", "--target", "bank", "--target", "zebra", "--out", "out", "--drivers", "none", "--resume", "--json", "-"
    )
    assert json.loads(again) == json.loads(Path("out/report.json").read_text())


def test_the_order_of_the_paths_changes_nothing(run: Run) -> None:
    options = ("--target", "bank", "--drivers", "none", "--sample", "8", "--fit", "5")
    run("in/money.txt", "in/river.jsonl", *options, "--out", "there")
    run("in/river.jsonl", "in/*.txt", *options, "--out", "back")
    names = [path.relative_to("there") for path in Path("there").rglob("*") if path.is_file()]
    assert len(names) > 6
    assert all((Path("there") / name).read_bytes() == (Path("back") / name).read_bytes() for name in names)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("no", "--target", "bank", "--out", "out"), "there is no file or folder no"),
        (("in", "--target", "bank", "--out", "in"), "in the output folder in; write to a folder outside"),
        (("in", "--target", "bank", "--out", "out", "--sample", "many"), "--sample 'many' is no number"),
        (("in", "--target", "bank", "--out", "out", "--engine", "spark"), "no engine 'spark'; choose from local, ray"),
        (("in", "--target", "bank", "--out", "out", "--workers", "2"), "--gpu are for Ray; add --engine ray"),
        (("in", "--target", "bank", "--out", "out", "--match", "stem"), "there is no match 'stem'"),
        (("in", "--target", "bank", "--out", "out", "--strict"), "river.jsonl, line 7 is not a JSON object"),
        (("in", "--target", "zebra", "--out", "out"), "none of 'zebra' is in the"),
        (("in", "--out", "out"), "Missing option"),
        (("in", "--target", "bank", "--out", "out", "--engine", "ray", "--address", "127.0.0.1:1"),
         "the Ray cluster at 127.0.0.1:1 cannot be reached: Connection refused; start it"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(run: Run, arguments: tuple[str, ...], message: str) -> None:
    assert message in run(*arguments, code=2)
