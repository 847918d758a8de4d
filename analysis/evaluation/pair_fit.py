"""A PairModel for any encoder from SemCor: which usages are read, the fit, and its quality on lemmas it never saw."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from analysis import same_sense
from analysis.errors import BadOption
from analysis.evaluation import metrics
from analysis.evaluation.outcome import Options, encode
from analysis.evaluation.pairs import pair_scores
from analysis.evaluation.semcor import Tagged
from analysis.same_sense import HELD_BACK, PairModel
from analysis.types import Encoder, FloatArray

LIMIT = 6_000  # usages read: the encoder reads a text once a usage, so this is what the fit costs
MOST_OF_A_LEMMA = 12  # many lemmas teach more than many usages of one
HELD_OUT = 10  # one lemma in so many is held out


@dataclass(frozen=True, slots=True)
class Quality:
    """On balanced pairs of lemmas held out: `auroc` of the probability, its expected calibration error (15 bins of
    equal mass), and the number of pairs; `cosine_auroc` is that of the cosine of `senses.represent` on the same pairs,
    which a model learnt from too little text may not reach."""

    auroc: float
    cosine_auroc: float
    calibration_error: float
    pairs: int


class Fitted(NamedTuple):
    """The model learnt on all lemmas, and the quality of one learnt likewise on nine tenths of them."""

    model: PairModel
    held_out: Quality


def sample(usages: Iterable[Tagged], options: Options) -> list[Tagged]:
    """At most `options.limit` usages (LIMIT where it is None), drawn by the seed in the order they were in.

    Of lemmas that have two senses in different lexicographer files, lemma after lemma in random order, at most
    MOST_OF_A_LEMMA of each.
    """
    by_lemma: dict[tuple[str, str], list[tuple[int, Tagged]]] = {}
    for number, usage in enumerate(usages):
        by_lemma.setdefault((usage.tag.lemma, usage.tag.pos), []).append((number, usage))
    telling = [
        own
        for (lemma, _), own in sorted(by_lemma.items())
        if lemma.lower() not in HELD_BACK and len({usage.tag.file for _, usage in own}) > 1
    ]
    random = np.random.default_rng(options.seed)
    found: list[tuple[int, Tagged]] = []
    for i in random.permutation(len(telling)).tolist():
        own = telling[i]
        some = random.choice(len(own), min(len(own), MOST_OF_A_LEMMA), replace=False)
        found += [own[row] for row in some.tolist()]
    kept = found[: options.limit or LIMIT]
    return [usage for _, usage in sorted(kept, key=lambda item: item[0])]


def fit_pairs(encoder: Encoder, usages: Iterable[Tagged], options: Options, *, text: str) -> Fitted:
    """Read a sample of the usages and learn from it; `text` names where they come from.

    Raises BadOption where the sample is too small to learn from or to hold a tenth out of, and as `encode` does.
    """
    chosen = sample(usages, options)
    if not chosen:
        remedy = "give SemCor whole"
        raise BadOption("no lemma has senses in two lexicographer files", remedy=remedy, where=("path",))
    vectors, context = encode(encoder, [usage.occurrence for usage in chosen], options)
    return Fitted(
        _fit(encoder, chosen, vectors, context, options, text),
        _held_out(encoder, chosen, vectors, context, options),
    )


def _fit(
    encoder: Encoder, usages: list[Tagged], vectors: FloatArray, context: FloatArray, options: Options, text: str
) -> PairModel:
    tags = [usage.tag for usage in usages]
    name, digest = encoder.info.name, encoder.info.digest
    return same_sense.fit(vectors, context, tags, encoder=name, digest=digest, text=text, seed=options.seed)


def _held_out(
    encoder: Encoder, usages: list[Tagged], vectors: FloatArray, context: FloatArray, options: Options
) -> Quality:
    lemmas = sorted({usage.tag[:2] for usage in usages})
    random = np.random.default_rng(options.seed)
    out = {lemmas[i] for i in random.permutation(len(lemmas))[: -(-len(lemmas) // HELD_OUT)].tolist()}
    held = np.array([usage.tag[:2] in out for usage in usages])
    tests, rest = np.flatnonzero(held).tolist(), np.flatnonzero(~held).tolist()
    model = _fit(encoder, [usages[i] for i in rest], vectors[rest], context[rest], options, "nine tenths")
    pairs = same_sense.draw_pairs([usages[i].tag for i in tests], seed=options.seed)
    each = min(int(pairs.same.sum()), int((~pairs.same).sum()))
    some = np.concatenate(
        [random.choice(np.flatnonzero(pairs.same == answer), each, False) for answer in (True, False)]
    )
    first, second = np.array(tests)[pairs.first[some]], np.array(tests)[pairs.second[some]]
    sides = (vectors[first], context[first], vectors[second], context[second])
    probability = same_sense.same_sense(model, *sides)
    same = pairs.same[some]
    return Quality(
        auroc=metrics.auroc(probability, same),
        cosine_auroc=metrics.auroc(pair_scores(None, *sides), same),
        calibration_error=metrics.expected_calibration_error(probability, same),
        pairs=len(some),
    )
