"""Do the drivers shown drive? Measured by taking words away, against as many random words.

    comprehensiveness   the drop in the sense's probability when the top words go: large where they mattered
    sufficiency         the drop when only the top words stay: near 0, or below, where they were enough

(DeYoung et al. 2020, "ERASER"), each the mean over fractions of the words; the target always stays. A method that
takes words away is judged by its own operator half in a circle, so both are measured: words deleted, and masked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.drivers.response import Response
from analysis.errors import BadOption
from analysis.record import Estimate, Faithfulness, Measures
from analysis.types import (
    Attribution,
    Encoder,
    FloatArray,
    IntArray,
    Operator,
    Perturbed,
    Progress,
    Unit,
    Usages,
    silent,
)

FRACTIONS = (0.05, 0.1, 0.2, 0.5)
RESAMPLES = 2000


class Erased(NamedTuple):
    """`comprehensiveness` and `sufficiency` of each of N usages, f32 (N), mean over the fractions."""

    comprehensiveness: FloatArray
    sufficiency: FloatArray


def check_fractions(fractions: Sequence[float]) -> None:
    """Raises BadOption unless there are fractions, all within (0, 1]."""
    if not fractions:
        raise BadOption("no fraction of the words to take away", remedy="give one or more", where=("fractions",))
    for i, fraction in enumerate(fractions):
        if not 0 < fraction <= 1:  # NaN is not, either
            raise BadOption(
                f"{fraction} is no fraction of the words", remedy="give more than 0, up to 1", where=("fractions", i)
            )


def operators(encoder: Encoder) -> tuple[Operator, ...]:
    """Those that the model can serve."""
    return ("delete", "mask") if "mask" in encoder.abilities else ("delete",)


def count(fraction: float, n_words: int) -> int:
    """How many of the words a fraction is: rounded up, so that it is one at least."""
    return int(np.ceil(fraction * n_words - 1e-9))


def erase(
    encoder: Encoder,
    usages: Usages,
    words: Sequence[Sequence[Unit]],
    rankings: Mapping[str, Sequence[IntArray]],
    response: Response,
    *,
    operator: Operator,
    fractions: Sequence[float] = FRACTIONS,
    progress: Progress = silent,
) -> dict[str, Erased]:
    """Both measures of N usages for each ranking of their context `words`, the one that drives most first.

    Costs two passes a fraction, usage and ranking; equal readings, also of different rankings, are computed once. A
    usage without context words counts as 0. Raises BadOption as `check_fractions` does.
    """
    check_fractions(fractions)
    readings: list[Perturbed] = []
    of: list[int] = []
    for ranking in rankings.values():
        for i, order in enumerate(ranking):
            for fraction in fractions:
                top = count(fraction, len(order))
                for gone in (order[:top], order[top:]):
                    spans = tuple(words[i][k].span for k in np.sort(gone))
                    readings.append(Perturbed(usages.occurrences[i], spans, operator))
                    of.append(i)
    which, n = np.array(of, dtype=np.int64), len(usages)
    read = encoder.encode(readings, progress=progress)
    whole = response.slope(usages.vectors, usages.context, np.arange(n))[0]
    left = response.slope(read.vectors, read.context, which)[0]
    drops = (whole[which] - left).reshape(len(rankings), n, len(fractions), 2).mean(axis=2)
    return {name: Erased(*drops[r].T) for r, name in enumerate(rankings)}


def random_rankings(attributions: Sequence[Attribution], seed: int) -> list[IntArray]:
    """For each usage its words in a random order."""
    rng = np.random.default_rng(seed)
    return [rng.permutation(len(attribution.words)) for attribution in attributions]


def faithfulness(
    encoder: Encoder,
    usages: Usages,
    attributions: Sequence[Attribution],
    response: Response,
    *,
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
    progress: Progress = silent,
) -> tuple[Faithfulness, ...]:
    """How the drivers of N usages compare with random words: for all usages and for each sense, under each operator.

    Intervals are 95 %, by bootstrap over usages; `advantage` is the comprehensiveness less that of random words, usage
    by usage. Nothing where there is no usage with context words.
    """
    chosen = [i for i, attribution in enumerate(attributions) if len(attribution.words)]
    if not chosen:
        return ()
    usages, attributions = usages.take(chosen), [attributions[i] for i in chosen]
    response = response.take(chosen)
    rankings = {"drivers": [a.ranking for a in attributions], "random": random_rankings(attributions, seed)}
    words = [a.words for a in attributions]
    found = []
    for operator in operators(encoder):
        measured = erase(
            encoder, usages, words, rankings, response, operator=operator, fractions=fractions, progress=progress
        )
        levels = {"analysis": np.arange(len(chosen))}
        levels |= {response.model.senses[k]: np.flatnonzero(response.sense == k) for k in np.unique(response.sense)}
        for level, members in levels.items():
            own, chance = (Erased(*(a[members] for a in measured[name])) for name in ("drivers", "random"))
            found.append(
                Faithfulness(
                    method=attributions[0].method,
                    operator=operator,
                    level=level,
                    n=len(members),
                    fractions=tuple(fractions),
                    comprehensiveness=estimate(own.comprehensiveness, seed),
                    sufficiency=estimate(own.sufficiency, seed),
                    random=Measures(estimate(chance.comprehensiveness, seed), estimate(chance.sufficiency, seed)),
                    advantage=estimate(own.comprehensiveness - chance.comprehensiveness, seed),
                )
            )
    return tuple(found)


def passes(n_usages: int, encoder: Encoder, *, fractions: Sequence[float] = FRACTIONS) -> int:
    """How many passes `faithfulness` asks of the encoder for so many usages."""
    return n_usages * 2 * 2 * len(fractions) * len(operators(encoder))


def estimate(values: FloatArray | NDArray[np.float64], seed: int) -> Estimate:
    """The mean of N values with its 95 % percentile bootstrap interval; none for a single value."""
    mean = round(float(np.mean(values)), 6)
    if len(values) < 2:
        return Estimate(mean, None, None)
    drawn = resampled(values, seed)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Estimate(mean, round(float(low), 6), round(float(high), 6))


def resampled(values: FloatArray | NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """(RESAMPLES, ...): means of N values (N, ...), drawn with replacement."""
    rows = np.random.default_rng(seed).integers(len(values), size=(RESAMPLES, len(values)))
    means: NDArray[np.float64] = np.asarray(values, dtype=np.float64)[rows].mean(axis=1)
    return means
