"""Which context words drove a usage's sense.

Occlusion (Zeiler and Fergus 2014; for text, Li, Monroe and Jurafsky 2016): leave a word out, read the rest again, and
see how far the probability of the assigned sense drops. It costs one forward pass a word; the target's attention, free
with the first reading, says which words are tried when there are more than the budget.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy import stats

from analysis.errors import BadOption
from analysis.record import SenseDriver
from analysis.senses import own_probabilities, represent
from analysis.types import (
    Assignment,
    Attribution,
    Encoder,
    FloatArray,
    IntArray,
    Operator,
    Perturbed,
    Progress,
    SenseModel,
    Unit,
    Usages,
    silent,
)

Method = Literal["occlusion", "attention", "none"]
METHODS: tuple[Method, ...] = ("occlusion", "attention", "none")


def explain(
    encoder: Encoder,
    usages: Usages,
    model: SenseModel,
    assignment: Assignment,
    *,
    method: Method = "occlusion",
    operator: Operator = "delete",
    budget: int = 16,
    progress: Progress = silent,
) -> tuple[Attribution, ...]:
    """An attribution for each of N usages, which must hold their attention.

    "occlusion" tries the `budget` context words that the target attends to most; an effect is a difference of
    probabilities, positive where the word speaks for the sense. "attention" costs no pass and puts the attention itself
    in place of the effect. With one sense there is nothing to choose, and every effect of occlusion is 0.
    Raises BadOption for an unknown method or a budget below 1.
    """
    check_method(method)
    if budget < 1:
        raise BadOption(f"a budget of {budget} words explains nothing", remedy="give 1 or more", where=("budget",))
    if usages.target_attention is None:
        raise ValueError("explain needs usages that were encoded with attention=True")

    words = [context_words(usages, i) for i in range(len(usages))]
    attention = [_word_attention(usages, i, kept) for i, kept in enumerate(words)]
    units = [tuple(usages.words[i][k] for k in kept) for i, kept in enumerate(words)]
    if method == "attention":
        effects = attention
    else:
        tried = [np.argsort(-a, kind="stable")[:budget] for a in attention]
        effects = _occlude(encoder, usages, model, assignment, units, tried, operator, progress)
    return tuple(
        Attribution(usages.occurrences[i], units[i], effects[i], attention[i], method) for i in range(len(usages))
    )


def passes(usages: Usages, *, method: Method, budget: int) -> int:
    """How many readings `explain` will ask of the encoder."""
    if method != "occlusion":
        return 0
    return sum(min(budget, len(context_words(usages, i))) for i in range(len(usages)))


def check_method(method: str) -> None:
    """Raises BadOption, listing the methods, for one that is not there."""
    if method not in METHODS:
        raise BadOption(
            f"there is no driver method {method!r}", remedy=f"choose from {', '.join(METHODS)}", where=("drivers",)
        )


def context_words(usages: Usages, i: int) -> list[int]:
    """Indices into `usages.words[i]` of what can be a driver: words with a letter or digit, the target left out."""
    target = usages.occurrences[i].span
    return [
        k
        for k, unit in enumerate(usages.words[i])
        if not unit.special and not unit.span.overlaps(target) and any(c.isalnum() for c in unit.text)
    ]


def by_sense(
    attributions: Sequence[Attribution], sense: Sequence[int], n_senses: int, *, top: int = 10
) -> list[tuple[SenseDriver, ...]]:
    """For each of K senses its `top` words that speak for it.

    Words are compared in lower case; a word that stands twice in a usage counts once there, by its larger effect.
    The interval is Student's, 95 %, over usages. The order is by total effect x specificity: the total (mean x
    support) puts a word that often helps before one that helped much, once; the specificity, (p - q) / (p + q) with p
    and q the word's share of the usages of this sense and of all others, drops what stands everywhere ("the").
    """
    effects: list[dict[str, list[float]]] = [defaultdict(list) for _ in range(n_senses)]
    for attribution, own in zip(attributions, sense, strict=True):
        best: dict[str, float] = {}
        for unit, effect in zip(attribution.words, attribution.effects.tolist(), strict=True):
            if not np.isnan(effect):
                best[unit.text.lower()] = max(effect, best.get(unit.text.lower(), -np.inf))
        for word, effect in best.items():
            effects[own][word].append(effect)

    usages = np.bincount(np.asarray(sense, dtype=np.int64), minlength=n_senses)
    ranked = []
    for k, of_sense in enumerate(effects):
        scores = {}
        for word, values in of_sense.items():
            elsewhere = sum(len(other.get(word, ())) for other in effects) - len(values)
            p, q = len(values) / usages[k], elsewhere / max(1, len(sense) - usages[k])
            scores[word] = sum(values) * (p - q) / (p + q)
        words = sorted(of_sense, key=lambda word, scores=scores: (-scores[word], word))  # type: ignore[misc]
        ranked.append(tuple(_summary(word, of_sense[word]) for word in words if _speaks(of_sense[word], scores[word])))
    return [words[:top] for words in ranked]


def _speaks(values: Sequence[float], score: float) -> bool:
    """For the sense, and more than for others: a negative total times a negative specificity is neither."""
    return score > 0 and sum(values) > 0


def _summary(word: str, values: Sequence[float]) -> SenseDriver:
    mean, n = float(np.mean(values)), len(values)
    if n == 1:
        return SenseDriver(word, round(mean, 6), None, None, 1)
    half = float(stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n))
    # An effect is a difference of probabilities: no interval reaches beyond -1 and 1.
    return SenseDriver(word, round(mean, 6), round(max(-1.0, mean - half), 6), round(min(1.0, mean + half), 6), n)


def _word_attention(usages: Usages, i: int, kept: Sequence[int]) -> FloatArray:
    """f32 (W): the target's attention to the kept words, mean over layers and heads."""
    assert usages.target_attention is not None  # noqa: S101 - explain() has checked
    mean: FloatArray = usages.target_attention[i].mean(axis=(0, 1))
    return mean[list(kept)]


def _occlude(
    encoder: Encoder,
    usages: Usages,
    model: SenseModel,
    assignment: Assignment,
    units: Sequence[Sequence[Unit]],
    tried: Sequence[IntArray],
    operator: Operator,
    progress: Progress,
) -> list[FloatArray]:
    """For each usage f32 (W): p(its sense | all words) - p(its sense | all but this one); NaN where not tried."""
    where = [(i, int(k)) for i, ks in enumerate(tried) for k in ks]
    effects = [np.full(len(words), np.nan, dtype=np.float32) for words in units]
    if not where:
        return effects
    readings = [Perturbed(usages.occurrences[i], (units[i][k].span,), operator) for i, k in where]
    perturbed = encoder.encode(readings, progress=progress)
    owner = np.array([i for i, _ in where])

    members = represent(usages.vectors, usages.context)

    def own(represented: FloatArray, of: IntArray) -> FloatArray:
        """The probability of its sense, with the usage itself left out of its sense's centroid."""
        sense = assignment.sense[of]
        return own_probabilities(model, represented, sense, members[of])[np.arange(len(of)), sense]

    whole = own(members, np.arange(len(usages)))
    without = own(represent(perturbed.vectors, perturbed.context), owner)
    for (i, k), probability in zip(where, without, strict=True):
        effects[i][k] = whole[i] - probability
    return effects
