"""The trivial answers, and what an evaluation says that rests on all words at once."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from analysis.evaluation import baselines, metrics
from analysis.evaluation.outcome import to_tsv
from analysis.evaluation.run import evaluate
from service.cli import evaluate as command
from service.cli import main
from tests import labelled
from tests.fake import FakeEncoder


def test_clusterings_are_one_for_all_one_each_and_a_seeded_draw() -> None:
    found = baselines.clusterings(300, 3, seed=1)
    assert {name: len(set(labels.tolist())) for name, labels in found.items()} == {
        "one_cluster": 1,
        "one_each": 300,
        "random": 3,
    }
    shares = np.bincount(found["random"]) / 300
    assert shares == pytest.approx([1 / 3] * 3, abs=0.1)
    assert (baselines.clusterings(300, 3, seed=1)["random"] == found["random"]).all()
    assert (baselines.clusterings(300, 3, seed=2)["random"] != found["random"]).any()


def test_labellings_are_the_commonest_class_of_training_and_a_seeded_draw() -> None:
    found = baselines.labellings(np.array(list("abbbc")), 200, seed=1)
    assert set(found["majority"]) == {"b"}
    assert set(found["random"]) == set("abc")
    assert found["random"].tolist() == baselines.labellings(np.array(list("abbbc")), 200, seed=1)["random"].tolist()


def test_judgements_have_a_majority_only_where_there_is_a_training_half() -> None:
    found = baselines.judgements(np.array([True, False, False]), 50, seed=0)
    assert (found["one_cluster"].all(), found["one_each"].any(), found["majority"].any()) == (True, False, False)
    assert 0 < found["random"].sum() < 50
    assert "majority" not in baselines.judgements(np.array([], dtype=bool), 50, seed=0)


def test_certainty_is_pooled_over_the_usages_of_all_words(tmp_path: Path) -> None:
    labelled.write_coarsewsd20(tmp_path)
    # One gold label turned round, or nothing would be wrong and there would be no AUROC.
    gold = tmp_path / "bank" / "test.gold.txt"
    gold.write_text("0" + gold.read_text()[1:])
    outcome = evaluate(FakeEncoder(), "coarsewsd20", tmp_path)
    rows = list(csv.DictReader(io.StringIO(to_tsv(outcome)), delimiter="\t"))
    confidence = np.array([float(row["confidence"]) for row in rows])
    right = np.array([row["gold"] == row["assigned"] for row in rows])
    pooled = outcome.report["pooled"]
    assert (len(rows), int(right.sum())) == (24, 23)
    assert pooled["assign_accuracy"] == pytest.approx(23 / 24)
    assert pooled["assign_ece"] == pytest.approx(metrics.expected_calibration_error(confidence, right), abs=1e-5)
    assert pooled["assign_auroc"] == pytest.approx(metrics.auroc(confidence, right), abs=0.05)


def test_each_annotators_number_of_senses_is_in_the_predictions(tmp_path: Path) -> None:
    path = labelled.write_wsi_at_scale(tmp_path)
    lines = path.read_text().splitlines()
    path.write_text(
        "\n".join(line.replace("\tinstitute\tinstitute", f"\tinstitute\tb{i % 2}") for i, line in enumerate(lines))
    )
    outcome = evaluate(FakeEncoder(), "wsi-at-scale", path)
    rows = list(csv.DictReader(io.StringIO(to_tsv(outcome)), delimiter="\t"))
    ari = [
        metrics.ari(*(np.array([row[name].split("|")[i] for row in rows]) for name in ("gold", "induced_k")))
        for i in (0, 1)
    ]
    assert len({row["induced_k"].split("|")[1] for row in rows}) == 3, "shore, b0 and b1"
    assert outcome.report["words"]["bank"]["induce_k_ari"] == pytest.approx(sum(ari) / 2)


def test_malformed_data_are_told_before_a_model_is_loaded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    loaded: list[object] = []
    monkeypatch.setattr(command, "load_encoder", loaded.append)
    labelled.write_coarsewsd20(tmp_path)
    (tmp_path / "bank" / "test.gold.txt").write_text("0\n")
    monkeypatch.setattr("sys.argv", ["polyseme", "evaluate", "coarsewsd20", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err
    assert (ended.value.code, loaded, said.count("\n")) == (2, [], 1)
    assert "test.gold.txt, line 2: it has 1 lines for 12 sentences" in said
