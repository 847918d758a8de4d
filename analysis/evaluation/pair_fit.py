"""A PairModel for any encoder from SemCor: which usages are read, the fit, and its quality on lemmas it never saw."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from analysis import pair_learning, same_sense
from analysis.errors import BadOption
from analysis.evaluation import metrics
from analysis.evaluation.cache import Embedded
from analysis.evaluation.outcome import Options, encode
from analysis.evaluation.pairs import pair_scores
from analysis.evaluation.semcor import Tagged
from analysis.pair_learning import HELD_BACK
from analysis.same_sense import PairModel
from analysis.types import Encoder

LIMIT = 10_000  # texts read, each once for all its usages: what the fit costs
MOST_OF_A_LEMMA = 200  # usages: many lemmas teach more than many usages of one
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
    """The usages in at most `options.limit` texts (LIMIT where it is None), in the order they were in.

    The seed draws the texts, and of each lemma at most MOST_OF_A_LEMMA usages.
    """
    taught = [usage for usage in usages if usage.tag.lemma.lower() not in HELD_BACK]
    texts = list(dict.fromkeys(usage.occurrence.text for usage in taught))
    random = np.random.default_rng(options.seed)
    most = min(len(texts), options.limit or LIMIT)
    drawn = {texts[i] for i in random.choice(len(texts), most, replace=False).tolist()}
    by_lemma: dict[tuple[str, str], list[int]] = {}
    for number, usage in enumerate(taught):
        if usage.occurrence.text in drawn:
            by_lemma.setdefault((usage.tag.lemma, usage.tag.pos), []).append(number)
    kept: list[int] = []
    for _, own in sorted(by_lemma.items()):
        kept += random.choice(own, min(len(own), MOST_OF_A_LEMMA), replace=False).tolist()
    return [taught[number] for number in sorted(kept)]


def fit_pairs(encoder: Encoder, usages: Iterable[Tagged], options: Options, *, text: str) -> Fitted:
    """Read a sample of the usages and learn from it; `text` names where they come from.

    Raises BadOption where the sample is too small to learn from or to hold a tenth out of, and as `encode` does.
    """
    chosen = sample(usages, options)
    if not chosen:
        raise BadOption("no usage is tagged", remedy="give SemCor whole", where=("path",))
    layers = same_sense.middle_layers(encoder.info.layers)
    read = encode(encoder, [usage.occurrence for usage in chosen], options, layers)
    return Fitted(_fit(encoder, chosen, read, options, text), _held_out(encoder, chosen, read, options))


def _fit(encoder: Encoder, usages: list[Tagged], read: Embedded, options: Options, text: str) -> PairModel:
    tags = [usage.tag for usage in usages]
    name, digest = encoder.info.name, encoder.info.digest
    return pair_learning.fit(read.layers, read.context, tags, encoder=name, digest=digest, text=text, seed=options.seed)


def _held_out(encoder: Encoder, usages: list[Tagged], read: Embedded, options: Options) -> Quality:
    lemmas = sorted({usage.tag[:2] for usage in usages})
    random = np.random.default_rng(options.seed)
    out = {lemmas[i] for i in random.permutation(len(lemmas))[: -(-len(lemmas) // HELD_OUT)].tolist()}
    held = np.array([usage.tag[:2] in out for usage in usages])
    tests, rest = np.flatnonzero(held).tolist(), np.flatnonzero(~held).tolist()
    model = _fit(encoder, [usages[i] for i in rest], read.take(np.array(rest)), options, "nine tenths")
    pairs = pair_learning.draw_pairs([usages[i].tag for i in tests], seed=options.seed)
    each = min(int(pairs.same.sum()), int((~pairs.same).sum()))
    some = np.concatenate(
        [random.choice(np.flatnonzero(pairs.same == answer), each, False) for answer in (True, False)]
    )
    first, second = (read.take(np.array(tests)[side[some]]) for side in (pairs.first, pairs.second))
    probability = pair_scores(model, first, second)
    same = pairs.same[some]
    return Quality(
        auroc=metrics.auroc(probability, same),
        cosine_auroc=metrics.auroc(pair_scores(None, first, second), same),
        calibration_error=metrics.expected_calibration_error(probability, same),
        pairs=len(some),
    )
