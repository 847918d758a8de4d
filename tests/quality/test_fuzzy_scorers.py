"""The graded measures against what the task's own scorers print (SemEval-2013 Task 13)."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from analysis.evaluation.datasets import read_key
from analysis.evaluation.fuzzy import Fuzzy, fuzzy, overall

pytestmark = pytest.mark.quality
KEYS = 5


def scored(gold: Path, answers: Path) -> Fuzzy:
    """As `java -jar scorer.jar GOLD ANSWERS` has it on its line `all`."""
    wanted, given = (
        {lemma: {id_: answer.senses for id_, answer in key.items()} for lemma, key in read_key(file).items()}
        for file in (gold, answers)
    )
    return overall(fuzzy(senses, given.get(lemma, {})) for lemma, senses in wanted.items())


def test_the_official_figures_to_nine_decimals() -> None:
    folder = Path(os.environ["POLYSEME_TEST_DATA"]) / "semeval2013_task13"
    with (folder / "scored" / "expected.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    print("\nanswer key: distance from the official fuzzy NMI, B-cubed precision, recall, F")
    for row in rows:
        found = scored(folder / "gold.key", folder / "scored" / f"{row['key']}.key")
        official = [float(row[f"fuzzy_{name}"]) for name in ("nmi", "bcubed_precision", "bcubed_recall", "bcubed_f")]
        print(f"{row['key']}: {[f'{abs(a - b):.1e}' for a, b in zip((*found, found.f), official, strict=True)]}")
        assert (*found, found.f) == pytest.approx(official, rel=0, abs=1e-9)
    assert len(rows) == KEYS
