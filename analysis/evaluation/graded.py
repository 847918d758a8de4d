"""Graded senses against those that people gave: SemEval-2013 Task 13 (Jurgens and Klapaftis 2013)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from analysis import senses
from analysis.evaluation import baselines
from analysis.evaluation.datasets import Graded
from analysis.evaluation.induction_sets import semeval2013
from analysis.evaluation.outcome import Options, Outcome, Scores, limited, mean, read_parts, report
from analysis.types import Encoder, FloatArray, IntArray

COLUMNS = ("word", "id", "gold", "answer", "induced")
LEAST_PROBABLE = 0.1  # a graded answer has the senses at least as probable


def evaluate_semeval2013(encoder: Encoder, path: Path, options: Options) -> Outcome:
    """Induce, and answer with each sense of probability 0.1 or more (`senses.probabilities`), weighted by it.

    `fuzzy_nmi` and `fuzzy_bcubed_f` are the task's (Jurgens and Klapaftis 2013), `geometric_mean` is of the two, as
    each alone is best served by a trivial answer. "all" is over the instances of all lemmas at once.
    """
    lemmas = {lemma: limited(usages, options) for lemma, usages in semeval2013(path).items()}
    read = read_parts(encoder, [[usage.occurrence for usage in usages] for usages in lemmas.values()], options)
    told = options.watch("score", len(lemmas))
    words: dict[str, Scores] = {}
    pooled: dict[str, dict[str, Mapping[str, float]]] = {}
    by_word: dict[str, list[Scores]] = {}
    rows: list[tuple[object, ...]] = []
    gold: dict[str, Mapping[str, float]] = {}
    for (lemma, usages), (vectors, context) in zip(lemmas.items(), read, strict=True):
        weights = {usage.occurrence.source_id: usage.senses for usage in usages}
        ids, gold = list(weights), gold | weights
        model, found = senses.induce(vectors, context, target=lemma, seed=options.seed)
        chances = senses.probabilities(model, senses.represent(vectors, context))
        answers = {"model": _graded(ids, chances, lemma)}
        number = len({sense for given in weights.values() for sense in given})
        for name, labels in baselines.clusterings(len(ids), number, seed=options.seed).items():
            answers[name] = {id_: {f"{lemma}.{k}": 1.0} for id_, k in zip(ids, labels, strict=True)}
        for name, answer in answers.items():
            pooled.setdefault(name, {}).update(answer)
            by_word.setdefault(name, []).append(_fuzzy(weights, answer))
        words[lemma] = by_word["model"][-1]
        rows += _graded_rows(lemma, usages, answers["model"], found.sense)
        told(1)
    pooled_scores = {name: _fuzzy(gold, answer) for name, answer in pooled.items()}
    means = {name: mean(scores) for name, scores in by_word.items()}
    told_all = {"all": pooled_scores.pop("model"), "baselines_all": pooled_scores}
    whole = report("semeval2013", encoder, options, words, means.pop("model"), means, **told_all)
    return Outcome(whole, COLUMNS, rows)


def _graded(ids: Sequence[str], chances: FloatArray, lemma: str) -> dict[str, Mapping[str, float]]:
    """Each instance's senses of at least `LEAST_PROBABLE`, the likeliest always, weighted by their probability."""
    kept = (chances >= LEAST_PROBABLE) | (chances == chances.max(axis=1, keepdims=True))
    return {id_: {f"{lemma}.{k}": float(chances[i, k]) for k in np.flatnonzero(kept[i])} for i, id_ in enumerate(ids)}


def _fuzzy(gold: Mapping[str, Mapping[str, float]], answers: Mapping[str, Mapping[str, float]]) -> Scores:
    from analysis.evaluation import fuzzy

    nmi, f = fuzzy.fuzzy_nmi(gold, answers), fuzzy.fuzzy_bcubed(gold, answers)
    return {"fuzzy_nmi": nmi, "fuzzy_bcubed_f": f, "geometric_mean": float(np.sqrt(max(nmi, 0.0) * max(f, 0.0)))}


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
