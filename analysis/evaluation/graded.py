"""Graded senses against those that people gave: SemEval-2013 Task 13 (Jurgens and Klapaftis 2013)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from analysis import senses
from analysis.evaluation import baselines
from analysis.evaluation.datasets import Graded
from analysis.evaluation.fuzzy import Fuzzy, fuzzy, overall
from analysis.evaluation.outcome import Options, Outcome, Scores, limited, read_parts, report
from analysis.types import Encoder, FloatArray, IntArray

MODEL = "model"  # beside the names of the baselines
COLUMNS = ("word", "id", "gold", "answer", "induced")
LEAST_PROBABLE = 0.1  # a graded answer has the senses at least as probable


def evaluate_semeval2013(encoder: Encoder, data: Mapping[str, Sequence[Graded]], options: Options) -> Outcome:
    """Induce, and answer with each sense of probability 0.1 or more (`senses.probabilities`), weighted by it.

    The measures are the task's (`analysis/evaluation/fuzzy.py`). In the mean over the lemmas, F is that of the mean
    precision and the mean recall, and the geometric mean is of the means, as the task has it.
    """
    lemmas = {lemma: limited(usages, options) for lemma, usages in data.items()}
    uses = [[usage.occurrence for usage in usages] for usages in lemmas.values()]
    read = read_parts(encoder, uses, options, induced=True)
    told = options.watch("score", len(lemmas))
    words: dict[str, Scores] = {}
    by_name: dict[str, list[Fuzzy]] = {}
    rows: list[tuple[object, ...]] = []
    for (lemma, usages), (vectors, context, odds) in zip(lemmas.items(), read, strict=True):
        gold = {usage.occurrence.source_id: usage.senses for usage in usages}
        model, found = senses.induce(vectors, context, target=lemma, seed=options.seed, log_odds=odds)
        chances = senses.probabilities(model, senses.represent(vectors, context))
        answers = {MODEL: _graded(list(gold), chances, lemma)}
        number = len({sense for given in gold.values() for sense in given})
        for name, labels in baselines.clusterings(len(gold), number, seed=options.seed).items():
            answers[name] = {id_: {f"{lemma}.{k}": 1.0} for id_, k in zip(gold, labels, strict=True)}
        for name, answer in answers.items():
            by_name.setdefault(name, []).append(fuzzy(gold, answer))
        words[lemma] = _scores(by_name[MODEL][-1])
        rows += _graded_rows(lemma, usages, answers[MODEL], found.sense)
        told(1)
    means = {name: _scores(overall(figures)) for name, figures in by_name.items()}
    whole = report("semeval2013", encoder, options, words, means.pop(MODEL), means)
    return Outcome(whole, COLUMNS, rows)


def _graded(ids: Sequence[str], chances: FloatArray, lemma: str) -> dict[str, Mapping[str, float]]:
    """Each instance's senses of at least `LEAST_PROBABLE`, the likeliest always, weighted by their probability."""
    kept = (chances >= LEAST_PROBABLE) | (chances == chances.max(axis=1, keepdims=True))
    return {id_: {f"{lemma}.{k}": float(chances[i, k]) for k in np.flatnonzero(kept[i])} for i, id_ in enumerate(ids)}


def _scores(figures: Fuzzy) -> Scores:
    return {
        "fuzzy_nmi": figures.nmi,
        "fuzzy_bcubed_precision": figures.precision,
        "fuzzy_bcubed_recall": figures.recall,
        "fuzzy_bcubed_f": figures.f,
        "geometric_mean": figures.geometric_mean,
    }


def _graded_rows(
    lemma: str, usages: Sequence[Graded], answers: Mapping[str, Mapping[str, float]], sense: IntArray
) -> list[tuple[object, ...]]:
    def key(given: Mapping[str, float]) -> str:
        return " ".join(f"{name}/{weight:.6g}" for name, weight in given.items())

    ids = [usage.occurrence.source_id for usage in usages]
    return [
        (lemma, id_, key(usage.senses), key(answers[id_]), f"s{k}")
        for id_, usage, k in zip(ids, usages, sense, strict=True)
    ]
