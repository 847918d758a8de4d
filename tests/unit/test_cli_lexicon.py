"""`polyseme disambiguate` and `polyseme lexicon`, in process, with real WordNet and an encoder without weights."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from analysis.lexicon import pull
from analysis.lexicon.wordnet import Lexicon
from service.cli import lexicon as commands
from service.cli import main
from service.settings import Settings
from tests.fake import FakeEncoder
from tests.unit.test_lexicon_fit import corpus

TEXT = "the bank of the river rose"


class Run:
    """`polyseme` with these arguments: its code, what it printed, and what it complained of."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        self._monkeypatch.setattr(sys, "argv", ["polyseme", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        told = self._capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setattr(commands, "load_encoder", lambda _: FakeEncoder())
    return Run(monkeypatch, capsys)


def copied(here: Path) -> Path:
    """A home with the dictionary and nothing else."""
    shutil.copytree(pull.folder(Settings().home), pull.folder(here))
    return here


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, lexicon: Lexicon) -> Path:
    """One for all who only read it, as a dictionary takes seconds to be opened."""
    return copied(tmp_path_factory.mktemp("lexicon") / "home")


@pytest.fixture
def reading(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLYSEME_HOME", str(whole))


@pytest.fixture
def home(tmp_path: Path, lexicon: Lexicon, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One to write into."""
    here = copied(tmp_path / "home")
    monkeypatch.setenv("POLYSEME_HOME", str(here))
    return here


@pytest.mark.usefixtures("reading")
def test_a_word_in_a_sentence(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("disambiguate", TEXT, "--target", "bank", "--pos", "n", "--threshold", 0)
    assert code == 0
    assert "WordNet 3.0, fake, by glosses" in out
    assert "bank%1:17:01::  sloping land" in out
    code, out, _ = run("disambiguate", TEXT, "--span", "16:21", "--json", "-")
    (usage,) = json.loads(out)["usages"]
    assert usage["text"][usage["start"] : usage["end"]] == "river"
    (tmp_path / "texts.txt").write_text(f"{TEXT}\na bank\n", encoding="utf-8")
    code, out, _ = run("disambiguate", "--file", tmp_path / "texts.txt", "--json", "-", "--no-drivers")
    assert [usage["source_id"] for usage in json.loads(out)["usages"]] == ["1", "1", "1", "2"]


@pytest.mark.usefixtures("reading")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "there is no text; give TEXT or --file"),
        ((TEXT, "--file", "x.txt"), "both a text and a file"),
        ((TEXT, "--target", "blorf"), "WordNet has no 'blorf'"),
        ((TEXT, "--target", "bank", "--pos", "r"), "WordNet has 'bank' as noun and verb, but not as adverb"),
        ((TEXT, "--pos", "x"), "there is no part of speech 'x'; choose from n (noun)"),
        ((TEXT, "--target", "tree"), "'tree' is not in the 1 text given"),
        ((TEXT, "--span", "4:99"), "the span '4:99' is not inside the text of 26 characters"),
        ((TEXT, "--target", "bank", "--threshold", "2"), "the threshold 2.0 is no probability"),
        (("of the",), "the dictionary has no word of the text"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(run: Run, arguments: tuple[str, ...], told: str) -> None:
    code, _, complaint = run("disambiguate", *arguments)
    assert code == 2
    assert told in complaint
    assert complaint.count("\n") == 1


def test_fit_is_used_from_then_on_unless_its_file_is_damaged(run: Run, home: Path, tmp_path: Path) -> None:
    code, out, _ = run("lexicon", "fit", corpus(tmp_path / "train", "train", 5, unknown="bank%1:17:99::"))
    assert code == 0, out
    assert "On 4 usages of held-out documents: F1 1.000" in out
    assert "Left out: 1 tags whose keys WordNet 3.0 lacks, such as bank%1:17:99::" in out
    file = home / "lexicon" / "vectors" / f"{'0' * 64}.safetensors"
    ask = ("disambiguate", "the bank river water", "--target", "bank", "--pos", "n", "--json", "-")
    found = json.loads(run(*ask)[1])
    assert found["method"] == "glosses and tagged text"
    assert found["usages"][0]["senses"][0]["key"] == "bank%1:17:01::"
    file.write_bytes(file.read_bytes()[:-1])
    code, _, complaint = run(*ask)
    assert (code, "run `polyseme lexicon fit` again" in complaint) == (2, True)


def test_verify_names_a_damaged_file_and_nothing_else_works_with_it(run: Run, home: Path) -> None:
    assert run("lexicon", "verify")[0] == 0
    file = pull.folder(home) / "data.noun"
    file.write_bytes(file.read_bytes()[:-10])
    for arguments in (("lexicon", "verify"), ("disambiguate", TEXT)):
        code, _, complaint = run(*arguments)
        assert code == 2
        assert "data.noun of WordNet: its SHA-256 should be" in complaint


def test_without_the_dictionary_the_line_says_how_to_get_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLYSEME_HOME", str(tmp_path))
    code, _, complaint = run("disambiguate", TEXT)
    assert (code, complaint) == (
        2,
        "polyseme: the dictionary, WordNet 3.0, is not on this machine; run `polyseme lexicon pull`\n",
    )
