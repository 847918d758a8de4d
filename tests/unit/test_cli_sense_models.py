"""The commands around sense models, in process, read by an encoder without weights."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from analysis import sensefile
from analysis.types import ModelInfo
from service.cli import analyses, main, sense_models
from tests.api.conftest import MONEY, RIVER
from tests.fake import FakeEncoder

Run = Callable[..., str]


class Other(FakeEncoder):
    @property
    def info(self) -> ModelInfo:
        return replace(super().info, name="other", digest="f" * 64)


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The models that commands loaded, in their order."""
    names: list[str | None] = []

    def load(name: str | None) -> FakeEncoder:
        names.append(name)
        return Other() if name == "other" else FakeEncoder()

    monkeypatch.setattr(analyses, "load_encoder", load)
    monkeypatch.setattr(sense_models, "load_encoder", load)
    return names


@pytest.fixture
def run(
    loaded: list[str | None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Run:
    """`polyseme` with these arguments, in a folder with texts; what it printed, on the stream that its code says."""
    monkeypatch.chdir(tmp_path)
    Path("texts.txt").write_text("\n".join(RIVER + MONEY))
    labelled = [{"text": text, "gold": name} for name, texts in (("r", RIVER), ("m", MONEY)) for text in texts]
    Path("gold.jsonl").write_text("\n".join(map(json.dumps, labelled)))

    def invoke(*arguments: str, code: int = 0) -> str:
        monkeypatch.setattr("sys.argv", ["polyseme", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert (ended.value.code, bool(printed.err)) == (code, code != 0), printed
        return printed.err if code else printed.out

    return invoke


@pytest.fixture
def kept(run: Run) -> str:
    assert "Sense model written to bank.senses" in run("senses", "bank", "texts.txt", "--save", "bank.senses")
    return "bank.senses"


def test_senses_are_kept_with_the_labels_of_the_analysis(run: Run) -> None:
    analysis = json.loads(run("senses", "bank", "texts.txt", "--save", "a", "--json", "-"))
    shown = json.loads(run("sense-models", "show", "a", "--json", "-"))
    assert [(s["id"], s["label"], s["size"]) for s in shown["senses"]] == [
        (s["id"], s["label"], s["size"]) for s in analysis["senses"]
    ]
    assert (shown["edit"], shown["parent"], shown["usages"]) == ("induced", None, 8)
    assert shown["provenance"]["digest"] == "0" * 64


def test_assign_gives_each_text_its_sense(run: Run, kept: str, loaded: list[str | None]) -> None:
    analysis = json.loads(run("senses", "bank", "texts.txt", "--json", "-"))
    found = json.loads(run("assign", kept, "texts.txt", "--json", "-", "--threshold", "1"))
    assert loaded[-1] == "fake", "the one that the sense model names"
    assert [use["sense"] for use in found["usages"]] == [use["sense"] for use in analysis["usages"]]
    assert {tuple(use["flags"]) for use in found["usages"]} == {("known",)}
    assert found["sense_model"] == sensefile.load(Path(kept)).id
    assert found["provenance"]["threshold"] == 1


def test_assign_prints_lines_and_writes_files(run: Run, kept: str) -> None:
    Path("new.txt").write_text(f"{RIVER[0]}\nthe bank zebra quark\nnothing\n")
    printed = run("assign", kept, "new.txt", "--json", "a.json", "--csv", "a.csv")
    assert f"{RIVER[0]}   known" in printed
    assert "quark   none-of-these" in printed
    assert "no sense: 1 usage" in printed
    assert "Note: 1 text" in printed
    assert "JSON written to a.json" in printed
    rows = list(csv.DictReader(io.StringIO(Path("a.csv").read_text(), newline="")))
    assert [row["flags"] for row in rows] == ["known", "none-of-these"]
    assert [use["flags"] for use in json.loads(Path("a.json").read_text())["usages"]] == [["known"], ["none-of-these"]]
    assert run("assign", kept, "new.txt", "--csv", "-").startswith("id,source_id,")


def test_fit_learns_the_labels(run: Run) -> None:
    printed = run(
        "sense-models", "fit", "bank", "gold.jsonl", "--label-field", "gold", "--save", "g", "--model", "fake"
    )
    assert "A  m   s0, 4 usages, 50%" in printed
    shown = json.loads(run("sense-models", "show", "g", "--json", "-"))
    assert [sense["label"] for sense in shown["senses"]] == ["m", "r"]
    assert shown["provenance"]["supervised"]
    found = json.loads(run("assign", "g", "gold.jsonl", "--json", "-"))
    assert [use["label"] for use in found["usages"]] == ["r"] * 4 + ["m"] * 4


def test_fit_tells_of_texts_without_the_target(run: Run) -> None:
    with Path("gold.jsonl").open("a") as file:
        file.write('\n{"text": "nothing", "gold": "x"}\n')
    printed = run("sense-models", "fit", "bank", "gold.jsonl", "--label-field", "gold", "--save", "g")
    assert "1 text" in printed
    assert "no usage is left of 'x'" in printed


def test_edits_make_new_files_or_replace_the_old_one(run: Run, kept: str) -> None:
    first = sensefile.load(Path(kept))
    run("sense-models", "rename", kept, "s0", "the shore", "--save", "b")
    assert sensefile.load(Path(kept)).id == first.id, "the old file is as it was"
    renamed = sensefile.load(Path("b"))
    assert (renamed.labels[0], renamed.parent) == ("the shore", first.id)
    merged = json.loads(run("sense-models", "merge", "b", "s0", "s1", "--save", "b", "--json", "-"))
    assert (merged["parent"], [sense["id"] for sense in merged["senses"]]) == (renamed.id, ["s0+s1"])
    printed = run("sense-models", "split", "b", "s0+s1", "--n-senses", "3", "--save", "b")
    assert "(s0+s1).3" in printed
    assert sensefile.load(Path("b")).parent == merged["id"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["sense-models", "show", "none"], "none cannot be read"),
        (["sense-models", "show", "texts.txt"], "texts.txt is cut short, was changed, or is no sense model"),
        (["assign", "texts.txt", "texts.txt"], "no sense model"),
        (["assign", "bank.senses", "texts.txt", "--threshold", "2"], "give 0 to 1"),
        (["assign", "bank.senses", "texts.txt", "--match", "fuzzy"], "choose from lemma, exact"),
        (["assign", "bank.senses", "none.txt"], "there is no file none.txt"),
        (["assign", "bank.senses", "texts.txt", "--model", "other"], "made with fake .* not with other .*--model fake"),
        (["sense-models", "rename", "bank.senses", "s0", "x"], "--save"),
        (["sense-models", "rename", "bank.senses", "s9", "x", "--save", "b"], "no sense 's9'; choose from s0, s1"),
        (["sense-models", "merge", "bank.senses", "s0", "--save", "b"], "two senses or more"),
        (["sense-models", "split", "bank.senses", "s0", "--n-senses", "5", "--save", "b"], "give at most 2"),
        (["sense-models", "fit", "bank", "texts.txt", "--save", "b"], "without labels"),
        (["sense-models", "fit", "bank", "gold.jsonl", "--save", "b"], "line 1 has no field 'label'.*'gold'"),
        (["sense-models", "fit", "zebra", "gold.jsonl", "--label-field", "gold", "--save", "b"], "'zebra' is not in"),
        (["senses", "bank", "texts.txt", "--save", "no/such/folder"], "cannot write no/such/folder"),
    ],
)
def test_bad_input_gets_one_line_and_code_2(run: Run, kept: str, arguments: list[str], says: str) -> None:
    printed = run(*arguments, code=2)
    assert re.search(says, printed), printed
    assert printed.startswith("polyseme: ")
    assert printed.count("\n") == 1
    assert not Path("b").exists()


def test_a_changed_file_is_refused(run: Run, kept: str) -> None:
    data = bytearray(Path(kept).read_bytes())
    data[-1] ^= 1
    Path(kept).write_bytes(data)
    assert "was changed since it was written" in run("assign", kept, "texts.txt", code=2)


def test_help_names_the_commands(run: Run) -> None:
    printed = run("sense-models", "--help")
    for command in ("fit", "show", "rename", "merge", "split"):
        assert f" {command} " in printed
