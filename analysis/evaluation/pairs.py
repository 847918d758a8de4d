"""Two usages of a word, of one sense or not: a score for each pair against what people said.

Most words have one pair or few; so the mean here is over all pairs, not over the words.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis import same_sense, senses
from analysis.evaluation import baselines, metrics
from analysis.evaluation.cache import Embedded
from analysis.evaluation.datasets import Pair
from analysis.evaluation.metrics import Bools, Floats
from analysis.evaluation.outcome import Options, Outcome, Scores, encode, limited, report
from analysis.evaluation.pair_sets import Wic
from analysis.same_sense import PairModel, for_encoder
from analysis.types import Encoder, FloatArray

COLUMNS = ("word", "id", "gold", "score", "predicted")
RATED_COLUMNS = (*COLUMNS, "mean_relatedness")


def pair_scores(model: PairModel | None, a: Embedded, b: Embedded) -> FloatArray:
    """f32 (N): how alike two usages are, row by row, each read with the layers of `same_sense.middle_layers`.

    The probability of `same_sense` where the encoder has a PairModel, else the cosine of `represent`; the report's
    "score" says which.
    """
    if model is not None:
        return same_sense.same_sense(model, a.layers, a.context, b.layers, b.context)
    first, second = (senses.represent(side.vectors, side.context) for side in (a, b))
    cosine: FloatArray = (first * second).sum(axis=1)
    return cosine


def evaluate_wic(encoder: Encoder, data: Wic, options: Options) -> Outcome:
    """The dev half judged by one threshold on the score, the best for accuracy on the training half.

    `accuracy_low` and `accuracy_high` are Wilson's 95 % interval.
    """
    train, dev = _limited(data.train, options), _limited(data.dev, options)
    model = for_encoder(encoder.info.digest, options.pairs)
    scores = _scores(encoder, model, [*train, *dev], options)
    same = _same(train)
    threshold = metrics.best_threshold(scores[: len(train)], same)
    score, gold = scores[len(train) :], _same(dev)
    predicted = score >= threshold
    mean = _judged(gold, predicted) | {"auroc": metrics.auroc(score, gold), "threshold": threshold}
    trivial = {
        name: _judged(gold, answer) for name, answer in baselines.judgements(same, len(dev), seed=options.seed).items()
    }
    told = report("wic", encoder, options, _by_word(dev, gold, predicted), mean, trivial, score=_name(model))
    return Outcome(told, COLUMNS, _rows(dev, score, predicted))


def evaluate_rawc(encoder: Encoder, data: Sequence[Pair], options: Options) -> Outcome:
    """`rho` is Spearman's, of the score and the mean relatedness, with its 95 % bootstrap interval.

    There is no training half: the pairs of a word are judged by the best threshold on the other words' pairs.
    """
    pairs = _limited(data, options)
    model = for_encoder(encoder.info.digest, options.pairs)
    score, gold = _scores(encoder, model, pairs, options), _same(pairs)
    words = np.array([pair.first.target for pair in pairs])
    predicted = np.zeros(len(pairs), dtype=bool)
    for word in np.unique(words):
        own = words == word
        predicted[own] = score[own] >= metrics.best_threshold(score[~own], gold[~own]) if not own.all() else True
    rated = np.array([pair.relatedness for pair in pairs])
    low, high = metrics.bootstrap(
        lambda rows: metrics.spearman(score[rows], rated[rows]), len(pairs), seed=options.seed
    )
    rho = {"rho": metrics.spearman(score, rated), "rho_low": low, "rho_high": high}
    mean = rho | _judged(gold, predicted) | {"auroc": metrics.auroc(score, gold)}
    trivial = {}
    for name, answer in baselines.judgements(np.array([], dtype=bool), len(pairs), seed=options.seed).items():
        trivial[name] = {"rho": metrics.spearman(answer.astype(np.float64), rated)} | _judged(gold, answer)
    by_word = _by_word(pairs, gold, predicted)
    for word, scores in by_word.items():
        scores["rho"] = metrics.spearman(score[words == word], rated[words == word])
    rows = [(*row, pair.relatedness) for row, pair in zip(_rows(pairs, score, predicted), pairs, strict=True)]
    told = report("rawc", encoder, options, by_word, mean, trivial, score=_name(model))
    return Outcome(told, RATED_COLUMNS, rows)


def _limited(pairs: Sequence[Pair], options: Options) -> list[Pair]:
    by_word: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_word.setdefault(pair.first.target, []).append(pair)
    kept = {pair.id for given in by_word.values() for pair in limited(given, options)}
    return [pair for pair in pairs if pair.id in kept]


def _name(model: PairModel | None) -> str:
    return "cosine" if model is None else "same_sense"


def _scores(encoder: Encoder, model: PairModel | None, pairs: Sequence[Pair], options: Options) -> FloatArray:
    usages = [usage for pair in pairs for usage in (pair.first, pair.second)]
    read = encode(encoder, usages, options, same_sense.middle_layers(encoder.info.layers))
    return pair_scores(model, read.take(slice(0, None, 2)), read.take(slice(1, None, 2)))


def _same(pairs: Sequence[Pair]) -> Bools:
    return np.array([pair.same for pair in pairs], dtype=bool)


def _judged(gold: Bools, predicted: Bools) -> Scores:
    low, high = metrics.wilson(int((gold == predicted).sum()), len(gold))
    return {
        "accuracy": metrics.accuracy(gold, predicted),
        "accuracy_low": low,
        "accuracy_high": high,
        "f1": metrics.f1(gold, predicted),
    }


def _by_word(pairs: Sequence[Pair], gold: Bools, predicted: Bools) -> dict[str, Scores]:
    words = np.array([pair.first.target for pair in pairs])
    return {
        str(word): {"accuracy": metrics.accuracy(gold[words == word], predicted[words == word])}
        for word in dict.fromkeys(words.tolist())
    }


def _rows(pairs: Sequence[Pair], score: Floats, predicted: Bools) -> list[tuple[object, ...]]:
    return [
        (pair.first.target, pair.id, "T" if pair.same else "F", float(s), "T" if same else "F")
        for pair, s, same in zip(pairs, score, predicted, strict=True)
    ]
