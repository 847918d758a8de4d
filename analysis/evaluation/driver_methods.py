"""Which method finds the words that drive a sense: all of them on usages that people labelled, against random words.

The senses are the classes of the training half, each the centroid of its usages; what is explained is the probability
of the likeliest class of a test usage. Every method is judged by both operators (see drivers/faithfulness.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from analysis import senses
from analysis.drivers import methods
from analysis.drivers.faithfulness import FRACTIONS, Erased, erase, estimate, operators, random_rankings, resampled
from analysis.drivers.response import Response
from analysis.errors import BadFile
from analysis.evaluation.datasets import Labelled, Word
from analysis.evaluation.outcome import Options, Outcome, limited, read_parts
from analysis.text import FUNCTION_WORDS
from analysis.types import Attribution, Encoder, IntArray, Operator, Progress, Usages

EXPLAINED = 40  # test usages a word, where no limit is given
LEARNT = 100  # training usages a class: a centroid hardly moves beyond that
EXACT = "occlusion-exact"
MEASURES = ("comprehensiveness", "sufficiency")


@dataclass
class _Counted:
    """A progress that also adds up."""

    inner: Progress
    passes: int = 0

    def __call__(self, done: int) -> None:
        self.passes += done
        self.inner(done)


class Explained(NamedTuple):
    """Test usages of one word, what is explained about them, and what each method says; by method's name."""

    usages: Usages
    response: Response
    said: dict[str, tuple[Attribution, ...]]
    passes: dict[str, int]
    erased: dict[Operator, dict[str, Erased]]  # by operator, then by method


def evaluate_drivers(encoder: Encoder, words: Mapping[str, Word], options: Options) -> Outcome:
    """Comprehensiveness and sufficiency of every method that the model serves, under each operator, its cost in passes
    a usage, the rank correlation of every two, and the share of exact occlusion's comprehensiveness that the default
    keeps. `limit` is the test usages a word. Raises BadFile where no word has two classes to tell apart."""
    by_word = {
        word: _explained(encoder, word, data, replace(options, limit=options.limit or EXPLAINED))
        for word, data in words.items()
        if len({label for use in data.train for label in use.labels}) > 1 and data.test
    }
    by_word = {word: found for word, found in by_word.items() if len(found.usages)}
    if not by_word:
        raise BadFile(
            "no word has training usages of two classes and test usages with a context",
            remedy="give the folder of coarsewsd20",
        )
    names = [*next(iter(by_word.values())).said, "random"]
    measured = {
        operator: {name: _joined([word.erased[operator][name] for word in by_word.values()]) for name in names}
        for operator in operators(encoder)
    }
    n = sum(len(word.usages) for word in by_word.values())
    table = {
        name: {operator: _scores(of[name], options.seed) for operator, of in measured.items()}
        | {"passes": round(sum(word.passes.get(name, 0) for word in by_word.values()) / n, 2)}
        for name in names
    }
    deleted = {name: erased.comprehensiveness for name, erased in measured["delete"].items()}
    report: dict[str, Any] = {
        "dataset": "drivers",
        "model": encoder.info.name,
        "digest": encoder.info.digest,
        "seed": options.seed,
        "limit": options.limit,
        "words": {word: len(found.usages) for word, found in by_word.items()},
        "usages": n,
        "fractions": list(FRACTIONS),
        "methods": table,
        "default": methods.DEFAULT,
        "ratios": {
            f"to {name}": _ratio(deleted[methods.DEFAULT], deleted[name], options.seed)
            for name in ("random", "attention", EXACT)
        },
        "agreement": _agreement(list(by_word.values())),
    }
    columns = ("word", "id", "method", "operator", *MEASURES)
    return Outcome(report, columns, list(_rows(by_word)))


def _explained(encoder: Encoder, word: str, data: Word, options: Options) -> Explained:
    classes = sorted({label for use in data.train for label in use.labels})
    learnt = [use for label in classes for use in _of_class(data.train, label, options)]
    tested = limited(data.test, options)
    ((vectors, context, _),) = read_parts(encoder, [[use.occurrence for use in learnt]], options)
    sense = np.array([classes.index(use.labels[0]) for use in learnt], dtype=np.int64)
    model = senses.fit(senses.represent(vectors, context), sense, classes, target=word)
    usages = encoder.encode(
        [use.occurrence for use in tested], attention=True, progress=options.watch(f"read {word}", len(tested))
    )
    usages = usages.take([i for i in range(len(usages)) if len(methods.context_words(usages, i))])
    chances = senses.probabilities(model, senses.represent(usages.vectors, usages.context))
    response = Response(model, chances.argmax(axis=1).astype(np.int64))
    said, cost = {}, {}
    for name, method in methods.METHODS.items():
        if not method.needs <= encoder.abilities:
            continue
        about = methods.passes(encoder, usages, response, method=name, budget=methods.BUDGET)
        counted = _Counted(options.watch(f"{word}: {name}", about))
        said[name] = methods.explain(
            encoder,
            usages,
            response,
            method=name,
            function_words=FUNCTION_WORDS["en"],
            progress=counted,
        )
        cost[name] = counted.passes
    rankings: dict[str, Sequence[IntArray]] = {name: [a.ranking for a in of] for name, of in said.items()}
    any_method = next(iter(said.values()))
    rankings["random"] = random_rankings(any_method, options.seed)
    units = [a.words for a in any_method]
    asked = 2 * len(FRACTIONS) * len(rankings) * len(usages)
    erased = {
        operator: erase(
            encoder, usages, units, rankings, response, operator=operator,
            progress=options.watch(f"{word}: {operator}", asked),
        )
        for operator in operators(encoder)
    }  # fmt: skip
    return Explained(usages, response, said, cost, erased)


def _of_class(usages: Sequence[Labelled], label: str, options: Options) -> list[Labelled]:
    return limited([use for use in usages if label in use.labels], replace(options, limit=LEARNT))


def _joined(parts: Sequence[Erased]) -> Erased:
    return Erased(*(np.concatenate([part[i] for part in parts]) for i in range(2)))


def _scores(erased: Erased, seed: int) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for measure, values in zip(MEASURES, erased, strict=True):
        found = estimate(values, seed)
        told |= {measure: found.value, f"{measure}_low": found.low, f"{measure}_high": found.high}
    return told


def _ratio(own: NDArray[np.floating], other: NDArray[np.floating], seed: int) -> dict[str, float]:
    """Of the means, with a 95 % bootstrap interval over usages, the same usages drawn for both."""
    drawn = resampled(np.stack([own, other], axis=1), seed)
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], (0.025, 0.975))
    return {
        "value": round(float(own.mean() / other.mean()), 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
    }


def _agreement(words: Sequence[Explained]) -> dict[str, dict[str, float | None]]:
    """For each two methods the mean over usages of Spearman's correlation of their rankings; None for short texts."""
    table: dict[str, dict[str, float | None]] = {name: {} for name in words[0].said}
    for a, b in combinations(table, 2):
        found = [
            spearmanr(np.argsort(first.ranking), np.argsort(second.ranking)).statistic
            for word in words
            for first, second in zip(word.said[a], word.said[b], strict=True)
            if len(first.ranking) > 2
        ]
        table[a][b] = table[b][a] = round(float(np.mean(found)), 4) if found else None
    return table


def _rows(by_word: Mapping[str, Explained]) -> list[tuple[object, ...]]:
    return [
        (word, found.usages.occurrences[i].source_id, name, operator, float(c), float(s))
        for word, found in by_word.items()
        for operator, of in found.erased.items()
        for name, erased in of.items()
        for i, (c, s) in enumerate(zip(*erased, strict=True))
    ]
