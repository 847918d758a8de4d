"""`polyseme lesson`, in process; the timed parts at small sizes, in the process of their own that they always have."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import pytest

from analysis.errors import ModelNotPulled
from service import lesson_terminal
from service.cli import lesson, main
from tests.unit.test_lesson_charts import COST, PARALLEL, PATHS

Run = Callable[..., str]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def missing(name: str | None) -> None:
        raise ModelNotPulled(f"the model {name!r} is not there", remedy=f"polyseme models pull {name}")

    monkeypatch.setattr(lesson, "load_encoder", missing)
    monkeypatch.setenv("COLUMNS", "100")

    def invoke(*arguments: str, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["polyseme", "lesson", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        streams = capsys.readouterr()
        assert ended.value.code == code, streams
        return streams.err if code else streams.out

    return invoke


@pytest.mark.slow
def test_the_whole_lesson_without_its_model(run: Run) -> None:
    told = json.loads(run("--quick", "--json", "-"))
    assert list(told) == ["paths", "parallel", "cost", "masking", "cross", "exercise", "missing"]
    assert "polyseme models pull minilm" in told["missing"]["variants"]
    assert told["cost"]["machine"]["threads"] == 1


def test_parts_are_chosen_and_printed(run: Run) -> None:
    printed = run("cross", "masking")
    assert printed.index("No looking ahead") < printed.index("Cross-attention: its German translation")
    assert "0.09, 0.67, 0.24" in printed
    assert "n²" not in printed


def test_an_answer_gets_feedback(run: Run) -> None:
    assert "See: polyseme lesson paths" in run("--answer", "b")
    told = run("--answer", "It is parallel and cheaper.")
    assert "1 of 4 ideas recognised" in told
    assert "Look again: that attention is cheaper" in told
    assert json.loads(run("exercise", "--answer", "a", "--json", "-"))["feedback"]["right"] is False


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nothing"], "the lesson has no part 'nothing'; choose from paths, parallel"),
        (["--answer", "z"], "'z' is no choice, and no sentence; give one of the letters a, b, c, d, e"),
        (["variants"], "the model 'minilm' is not there; polyseme models pull minilm"),
        (["--seed", "-1", "cross"], "seed"),
        (["cross", "--json", "/nowhere/at/all.json"], "cannot write"),
    ],
)
def test_bad_input_is_one_line(run: Run, arguments: list[str], told: str) -> None:
    printed = run(*arguments, code=2)
    assert told in printed
    assert printed.count("\n") == 1


def test_measured_parts_are_tables_with_their_exponents(capsys: pytest.CaptureFixture[str]) -> None:
    for part in (PATHS, PARALLEL, COST):
        lesson_terminal.print_part(part)
    printed = capsys.readouterr().out
    assert "n^2.04" in printed
    assert "1.94 to 2.14" in printed
    assert "From 1024 words on the recurrent layer is faster" in printed
    assert "Median and range of 7 repeats; a processor, 1 thread, float32" in printed.replace("\n", " ")
