"""`polyseme evaluate` from the files to the figures, read by an encoder without weights; and its cache."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.errors import BadOption
from analysis.evaluation import cache, metrics
from analysis.evaluation.outcome import Options, limited, mean, to_tsv
from analysis.evaluation.run import DATASETS, evaluate
from analysis.same_sense import save
from analysis.types import Occurrence, Usages
from service.cli import evaluate as command
from service.cli import main
from tests import labelled
from tests.fake import FakeEncoder, pair_model

WRITERS: dict[str, Callable[[Path], Path]] = {
    "coarsewsd20": labelled.write_coarsewsd20,
    "wsi-at-scale": labelled.write_wsi_at_scale,
    "semeval2013": labelled.write_semeval2013,
    "semeval2010": labelled.write_semeval2010,
    "wic": labelled.write_wic,
    "rawc": labelled.write_rawc,
}


def run(dataset: str, folder: Path, **options: Any) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """The report, and the rows of the predictions as anyone would read them."""
    outcome = evaluate(FakeEncoder(), dataset, WRITERS[dataset](folder), Options(**options))
    rows = list(csv.DictReader(io.StringIO(to_tsv(outcome)), delimiter="\t"))
    return outcome.report, rows


def test_every_data_set_has_a_test() -> None:
    assert {*WRITERS, "drivers", "raganato"} == set(DATASETS), "theirs are in test_driver_methods, test_unified"


@pytest.mark.parametrize("dataset", WRITERS)
def test_reports_are_plain_json_with_baselines_and_the_same_for_the_same_seed(dataset: str, tmp_path: Path) -> None:
    report, rows = run(dataset, tmp_path / "one" if dataset not in ("wsi-at-scale", "rawc") else tmp_path, seed=3)
    again = tmp_path / "two"
    again.mkdir()
    assert (report, rows) == run(dataset, again if dataset in ("wsi-at-scale", "rawc") else again / "x", seed=3)
    told = json.loads(json.dumps(report, allow_nan=False))
    assert (told["dataset"], told["model"], told["seed"]) == (dataset, "fake", 3)
    assert {"one_cluster", "one_each", "random"} <= set(told["baselines"])
    assert told["words"]
    assert all(value is None or math.isfinite(value) for value in told["mean"].values())


def test_coarsewsd20_by_its_predictions(tmp_path: Path) -> None:
    report, rows = run("coarsewsd20", tmp_path)
    bank = report["words"]["bank"]
    assert (bank["assign_accuracy"], bank["induce_k_ari"], bank["induce_ari"]) == (1, 1, 1)
    assert report["baselines"]["one_cluster"]["induce_ari"] == 0
    assert report["baselines"]["one_each"]["v_measure"] == pytest.approx(2 / (1 + math.log2(12)))
    assert report["baselines"]["majority"]["assign_accuracy"] == 0.5
    assert report["mean_without_pitcher"]["induce_ari"] == bank["induce_ari"]
    assert not [name for name in report["mean_without_pitcher"] if name.startswith("assign")]
    own = [row for row in rows if row["word"] == "bank"]
    assert [row["id"] for row in own] == [f"bank.test.{i}" for i in range(1, 13)]
    assert [row["assigned"] for row in own] == [row["gold"] for row in own] == ["bank_river"] * 6 + ["bank_money"] * 6
    gold, found = (np.array([row[name] for row in own]) for name in ("gold", "induced"))
    assert metrics.ari(gold, found) == bank["induce_ari"]


def test_the_out_of_domain_file_is_assigned_by_the_training_half_beside_it(tmp_path: Path) -> None:
    labelled.write_coarsewsd20(tmp_path, ("bank",))
    path = tmp_path / "CoarseWSD-20.outofdomain.tsv"
    path.write_text("bank\tbank_river\t3\tfish in the bank water\nbank\tbank_money\t1\tthe bank lends cash\n")
    report = evaluate(FakeEncoder(), "coarsewsd20", path).report
    assert report["words"]["bank"]["assign_accuracy"] == 1
    for file in (tmp_path / "bank").iterdir():
        file.unlink()
    alone = evaluate(FakeEncoder(), "coarsewsd20", path).report
    assert "assign_accuracy" not in alone["words"]["bank"]
    assert "induce_ari" in alone["words"]["bank"]


def test_wsi_at_scale_is_the_mean_over_the_annotators(tmp_path: Path) -> None:
    report, rows = run("wsi-at-scale", tmp_path)
    first, second = (np.array([row["gold"].split("|")[i] for row in rows]) for i in (0, 1))
    found = np.array([row["induced"] for row in rows])
    bank = report["words"]["bank"]
    assert bank["human_ari"] == metrics.ari(first, second) < 1
    assert bank["induce_ari"] == pytest.approx((metrics.ari(first, found) + metrics.ari(second, found)) / 2)


@pytest.mark.parametrize("dataset", ["coarsewsd20", "semeval2013"])
def test_the_callers_own_pair_model_has_its_say_as_in_an_analysis(dataset: str, tmp_path: Path) -> None:
    info = FakeEncoder().info
    save(pair_model(info, 9.0), tmp_path / f"{info.digest}.safetensors")
    _, alone = run(dataset, tmp_path / "alone")
    report, rows = run(dataset, tmp_path / "told", pairs=tmp_path)
    of_one_word = {row["induced"] for row in rows if row["word"] == next(iter(report["words"]))}
    assert of_one_word == {"s0"} < {row["induced"] for row in alone}


def test_semeval2013_answers_the_instances_of_the_key_only(tmp_path: Path) -> None:
    report, rows = run("semeval2013", tmp_path)
    assert [row["id"] for row in rows] == [f"bank.n.{i}" for i in range(12)]
    scores = report["words"]["bank.n"]
    assert scores["geometric_mean"] == pytest.approx(math.sqrt(scores["fuzzy_nmi"] * scores["fuzzy_bcubed_f"]))
    assert scores["geometric_mean"] > report["baselines"]["one_cluster"]["geometric_mean"] == 0
    for row in rows:
        weights = [float(answer.rpartition("/")[2]) for answer in row["answer"].split()]
        assert all(0.1 <= weight <= 1 for weight in weights)


def test_semeval2010_reads_the_target_in_its_sentence(tmp_path: Path) -> None:
    report, _ = run("semeval2010", tmp_path)
    assert report["words"]["bank.n"]["v_measure"] == report["words"]["bank.n"]["paired_f"] == pytest.approx(1)
    assert report["baselines"]["one_each"]["paired_f"] == 0


def test_wic_learns_its_threshold_on_the_training_half(tmp_path: Path) -> None:
    report, rows = run("wic", tmp_path)
    found = report["mean"]
    assert found["accuracy"] == found["auroc"] == 1
    assert found["accuracy_low"] < 1 == found["accuracy_high"]
    assert [row["predicted"] for row in rows] == [row["gold"] for row in rows]
    assert all((float(row["score"]) >= found["threshold"]) == (row["predicted"] == "T") for row in rows)
    assert report["baselines"]["one_cluster"]["accuracy"] == pytest.approx(5 / 11)


def test_rawc_ranks_pairs_and_judges_a_word_by_the_others(tmp_path: Path) -> None:
    report, rows = run("rawc", tmp_path)
    score, rated = (np.array([float(row[name]) for row in rows]) for name in ("score", "mean_relatedness"))
    assert report["mean"]["rho"] == pytest.approx(metrics.spearman(score, rated), abs=1e-6)
    assert report["mean"]["rho"] > 0.8
    assert report["mean"]["accuracy"] == 1
    assert report["baselines"]["one_cluster"]["rho"] is None


def test_the_limit_is_a_words_and_seeded() -> None:
    drawn = [limited(range(100), Options(seed=seed, limit=5)) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(len(some) == 5 and some == sorted(set(some)) for some in drawn)
    with pytest.raises(BadOption, match="limit 0"):
        Options(limit=0)


def test_a_mean_is_over_the_words_for_which_there_is_a_figure() -> None:
    nan = float("nan")
    found = mean([{"a": 1.0, "b": nan}, {"a": nan, "b": nan}, {"a": 0.0, "c": 2.0}])
    assert (found["a"], found["c"]) == (0.5, 2.0)
    assert math.isnan(found["b"])


# ---- the cache ----


class Failing(FakeEncoder):
    """Breaks off when it is asked for the second chunk."""

    def encode(self, readings: Sequence[Any], **options: Any) -> Usages:
        if self.asked:
            raise KeyboardInterrupt
        return super().encode(readings, **options)


@pytest.fixture
def usages(monkeypatch: pytest.MonkeyPatch) -> list[Occurrence]:
    """Twelve usages, which fill three chunks."""
    monkeypatch.setattr(cache, "CHUNK", 5)
    return [Occurrence(text, "bank", 4, 8, str(i)) for i, text in enumerate(labelled.RIVER + labelled.MONEY)]


def test_a_run_broken_off_goes_on_from_where_it_was(usages: list[Occurrence], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        cache.embed(Failing(), usages, tmp_path)
    encoder, told = FakeEncoder(), list[int]()
    vectors, context, _ = cache.embed(encoder, usages, tmp_path, told.append)
    assert (encoder.asked, told) == ([5, 2], [5, 5, 2])
    direct = FakeEncoder().encode(usages)
    np.testing.assert_array_equal(vectors, direct.vectors)
    np.testing.assert_array_equal(context, direct.context)
    assert not list(tmp_path.rglob("*.part"))


def test_order_and_copies_cost_nothing(usages: list[Occurrence], tmp_path: Path) -> None:
    vectors, *_ = cache.embed(FakeEncoder(), usages, tmp_path)
    encoder = FakeEncoder()
    again, *_ = cache.embed(encoder, [*usages[::-1], usages[0]], tmp_path)
    assert encoder.asked == []
    np.testing.assert_array_equal(again, vectors[[*range(11, -1, -1), 0]])
    cache.embed(encoder, [usages[0]] * 3, None)
    assert encoder.asked == [1]


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other"])
def test_a_damaged_part_is_computed_anew(usages: list[Occurrence], tmp_path: Path, damage: str) -> None:
    vectors, context, _ = cache.embed(FakeEncoder(), usages, tmp_path)
    file = sorted(tmp_path.rglob("*.npz"))[0]
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 255
    file.write_bytes({"cut": data[: len(data) // 2], "flipped": data, "empty": b"", "other": b"text"}[damage])
    encoder = FakeEncoder()
    again = cache.embed(encoder, usages, tmp_path)
    assert len(encoder.asked) == 1
    np.testing.assert_array_equal(again[0], vectors)
    np.testing.assert_array_equal(again[1], context)
    cache.embed(encoder, usages, tmp_path)
    assert len(encoder.asked) == 1


def test_span_text_and_model_are_kept_apart(tmp_path: Path) -> None:
    text = "bank and bank"
    first, second = Occurrence(text, "bank", 0, 4, "1"), Occurrence(text, "bank", 9, 13, "1")
    vectors, *_ = cache.embed(FakeEncoder(), [first, second], tmp_path)
    assert not np.array_equal(vectors[0], vectors[1])
    assert [folder.name for folder in tmp_path.iterdir()] == ["0" * 64]


# ---- the command ----


def test_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    monkeypatch.setenv("POLYSEME_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(command, "load_encoder", lambda _: FakeEncoder())
    data = labelled.write_coarsewsd20(tmp_path / "data")

    def polyseme(*arguments: str) -> tuple[object, str, str]:
        monkeypatch.setattr("sys.argv", ["polyseme", "evaluate", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return (ended.value.code, *capsys.readouterr())

    code, out, err = polyseme("coarsewsd20", str(data), "--json", "-", "--predictions", str(tmp_path / "p.tsv"))
    assert (code, err) == (0, "")
    assert json.loads(out)["mean"]["assign_accuracy"] == 1
    assert (
        (tmp_path / "p.tsv").read_text().startswith("word\tid\tgold\tassigned\tconfidence\tinduced\tinduced_k\nbank\t")
    )
    assert list((tmp_path / "home" / "evaluation").rglob("*.npz"))
    code, out, err = polyseme("coarsewsd20", str(data), "--limit", "8")
    assert (code, err) == (0, "")
    assert {"bank", "pitcher", "mean", "one cluster", "random"} <= {line[:15].strip() for line in out.splitlines()}
    assert "…" not in out
    assert "accuracy" in out
    code, out, err = polyseme("senseval", str(data))
    assert (code, out) == (2, "")
    assert all(name in err for name in DATASETS)
