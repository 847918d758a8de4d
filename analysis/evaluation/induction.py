"""Senses against those that people gave: assigning new usages, and induction with their number given and not.

The measures of a word are over its usages; their mean is over the words, each counting the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from analysis import senses
from analysis.evaluation import baselines, metrics
from analysis.evaluation.datasets import Labelled, Word
from analysis.evaluation.metrics import Bools, Floats, Labels
from analysis.evaluation.outcome import Options, Outcome, Part, Scores, limited, mean, read_parts, report
from analysis.types import Assignment, Encoder, FloatArray

COLUMNS = ("word", "id", "gold", "assigned", "confidence", "induced", "induced_k")
APART = "pitcher"  # 13 of 2,819 of its usages are of the rarer sense: its ARI says little, and swings the mean


class Scored(NamedTuple):
    """One word: its measures, those of the baselines by name, its rows of predictions, and `certainty`, the confidence
    (N) and correctness (N) of what was assigned; None where nothing was."""

    scores: Scores
    baselines: dict[str, Scores]
    rows: list[tuple[object, ...]]
    certainty: tuple[Floats, Bools] | None


class Read(NamedTuple):
    """Usages, and what was read of them."""

    usages: Sequence[Labelled]
    part: Part

    def gold(self, annotator: int = 0) -> Labels:
        return np.array([usage.labels[annotator] for usage in self.usages])


def evaluate_coarsewsd20(encoder: Encoder, words: Mapping[str, Word], options: Options) -> Outcome:
    """Learn each word's senses from its training half and assign its test half; induce on the test half.

    Beside the mean stands that without pitcher, for induction; and `pooled`, the measures of assigning over the usages
    of all words at once, as a calibration error over few usages is mostly chance.
    """
    return _evaluate("coarsewsd20", encoder, words, options)


def evaluate_wsi_at_scale(encoder: Encoder, words: Mapping[str, Word], options: Options) -> Outcome:
    """Induce; each measure is the mean over the two annotators. `human_ari` is the one's against the other's."""
    return _evaluate("wsi-at-scale", encoder, words, options)


def evaluate_semeval2010(encoder: Encoder, words: Mapping[str, Word], options: Options) -> Outcome:
    """Induce, by the task's V-measure and paired F (Manandhar et al. 2010) and the other measures."""
    return _evaluate("semeval2010", encoder, words, options)


def _evaluate(dataset: str, encoder: Encoder, words: Mapping[str, Word], options: Options) -> Outcome:
    tests = _read(encoder, [given.test for given in words.values()], options, induced=True)
    trains = _read(encoder, [given.train for given in words.values()], options, induced=False)
    told = options.watch("score", len(words))
    scored: dict[str, Scored] = {}
    for word, test, train in zip(words, tests, trains, strict=True):
        scored[word] = _score(word, test, train, options.seed)
        told(1)
    by_word = {word: each.scores for word, each in scored.items()}
    trivial = {word: each.baselines for word, each in scored.items()}
    more: dict[str, Scores | dict[str, Scores]] = {}
    sure = [each.certainty for each in scored.values() if each.certainty]
    if sure:
        more["pooled"] = _assigning(*(np.concatenate(arrays) for arrays in zip(*sure, strict=True)))
    if dataset == "coarsewsd20" and APART in words and len(words) > 1:
        others = {word: _induced_only(scores) for word, scores in by_word.items() if word != APART}
        kept = {w: {n: _induced_only(s) for n, s in given.items()} for w, given in trivial.items() if w != APART}
        more[f"mean_without_{APART}"] = mean(others.values())
        more[f"baselines_without_{APART}"] = {name: given for name, given in _by_name(kept).items() if given}
    told_all = report(dataset, encoder, options, by_word, mean(by_word.values()), _by_name(trivial), **more)
    return Outcome(told_all, COLUMNS, [row for each in scored.values() for row in each.rows])


def _read(encoder: Encoder, halves: Sequence[Sequence[Labelled]], options: Options, *, induced: bool) -> list[Read]:
    kept = [limited(half, options) for half in halves]
    parts = read_parts(encoder, [[use.occurrence for use in half] for half in kept], options, induced=induced)
    return [Read(*each) for each in zip(kept, parts, strict=True)]


def _score(word: str, test: Read, train: Read, seed: int) -> Scored:
    n = len(test.usages)
    annotators = len(test.usages[0].labels)
    golds = [test.gold(a) for a in range(annotators)]
    scores: Scores = {}
    assigned, confidence = np.full(n, ""), np.full(n, np.nan)
    certainty: tuple[Floats, Bools] | None = None
    trivial: dict[str, Scores] = {}
    if train.usages:
        assigned, confidence = _assign(word, test, train, seed)
        certainty = confidence, assigned == golds[0]
        scores = _assigning(*certainty)
        for name, labels in baselines.labellings(train.gold(), n, seed=seed).items():
            trivial[name] = {"assign_accuracy": metrics.accuracy(golds[0], labels)}
    induced = _induce(word, test, None, seed).sense
    numbers = [min(len(np.unique(gold)), _distinct(test)) for gold in golds]
    induced_k = {k: _induce(word, test, k, seed).sense for k in set(numbers)}
    scores["induce_k_ari"] = _over(golds, [induced_k[k] for k in numbers], metrics.ari)
    scores |= _clustering(golds, induced)
    if annotators > 1:
        scores["human_ari"] = metrics.ari(golds[0], golds[1])
    for name, labels in baselines.clusterings(n, numbers[0], seed=seed).items():
        measured = _clustering(golds, labels)
        trivial[name] = trivial.get(name, {}) | {"induce_k_ari": measured["induce_ari"]} | measured
    rows: list[tuple[object, ...]] = [
        (
            word,
            usage.occurrence.source_id,
            "|".join(usage.labels),
            str(assigned[i]),
            "" if np.isnan(confidence[i]) else float(confidence[i]),
            f"s{induced[i]}",
            "|".join(f"s{induced_k[k][i]}" for k in numbers),
        )
        for i, usage in enumerate(test.usages)
    ]
    return Scored(scores, trivial, rows, certainty)


def _assigning(confidence: Floats, right: Bools) -> Scores:
    return {
        "assign_accuracy": float(right.mean()),
        "assign_ece": metrics.expected_calibration_error(confidence, right),
        "assign_auroc": metrics.auroc(confidence, right),
    }


def _assign(word: str, test: Read, train: Read, seed: int) -> tuple[Labels, FloatArray]:
    """The names (N) that the test half is assigned, and the confidence."""
    names, labels = np.unique(train.gold(), return_inverse=True)
    learnt = senses.represent(train.part.vectors, train.part.context)
    model = senses.fit(learnt, labels, [str(n) for n in names], target=word, supervised=True, seed=seed)
    assignment = senses.assign(model, senses.represent(test.part.vectors, test.part.context))
    return np.array(model.senses)[assignment.sense], assignment.confidence


def _induce(word: str, read: Read, n_senses: int | None, seed: int) -> Assignment:
    vectors, context, odds = read.part
    return senses.induce(vectors, context, target=word, n_senses=n_senses, seed=seed, log_odds=odds)[1]


def _distinct(read: Read) -> int:
    """The usages that differ to `senses.induce`, which refuses more senses than that."""
    return len(np.unique(np.round(senses.represent(read.part.vectors, read.part.context), 5), axis=0))


def _clustering(golds: Sequence[Labels], labels: Labels) -> Scores:
    measures = {
        "induce_ari": metrics.ari,
        "v_measure": metrics.v_measure,
        "bcubed_f": metrics.bcubed_f,
        "paired_f": metrics.paired_f,
    }
    return {name: _over(golds, [labels] * len(golds), measure) for name, measure in measures.items()}


def _over(golds: Sequence[Labels], found: Sequence[Labels], measure: Callable[[Labels, Labels], float]) -> float:
    """The mean over the annotators."""
    return float(np.mean([measure(gold, labels) for gold, labels in zip(golds, found, strict=True)]))


def _induced_only(scores: Scores) -> Scores:
    return {metric: value for metric, value in scores.items() if not metric.startswith("assign_")}


def _by_name(trivial: Mapping[str, Mapping[str, Scores]]) -> dict[str, Scores]:
    """From baselines by word to their means by name."""
    names = dict.fromkeys(name for given in trivial.values() for name in given)
    return {name: mean(given[name] for given in trivial.values() if name in given) for name in names}
