"""How far the senses hold when only half of the usages are seen.

Half of the usages are drawn without replacement (with it, copies of one usage would make groups of their own) and
grouped anew; every other usage joins one of the senses found there; and the result is compared with the senses
of all usages by the adjusted Rand index (Hubert and Arabie 1985). For each sense, the Jaccard index of the group most
like it is averaged over the draws (Hennig 2007). A draw can differ in the number of senses, and in who shares one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sklearn.metrics import adjusted_rand_score

from analysis import grouping, senses
from analysis.grouping import LogOdds
from analysis.types import FloatArray, IntArray

DRAWS = 20
FEWEST = 2 * senses.LEAST  # usages, so that each half can say something
MOST = 500  # usages that a draw is taken from, so that the cost stays in bounds


class Stability(NamedTuple):
    """`ari` the mean over the draws, `low` and `high` its 2.5 and 97.5 percentiles; `jaccard` f64 (K), 0 to 1.

    One group agrees with itself whatever the data, so a single sense counts as 0 and not as stable.
    """

    ari: float
    low: float
    high: float
    jaccard: tuple[float, ...]


def stability(
    represented: FloatArray,
    sense: IntArray,
    *,
    n_senses: int | None = None,
    seed: int = 0,
    draws: int = DRAWS,
    log_odds: LogOdds | None = None,
) -> Stability | None:
    """Of the senses (N) of usages (N, R), which were induced with `n_senses` and `log_odds`, as `senses.induce` says.

    None for fewer than `FEWEST` usages. Of more than `MOST` usages a seeded sample stands for all.
    """
    random = np.random.default_rng(seed)
    if len(sense) < FEWEST:
        return None
    order = np.lexsort(represented[:, :3].T)  # so that the order the usages came in changes nothing
    if len(order) > MOST:
        order = order[random.choice(len(order), MOST, replace=False)]
    represented, sense, k = represented[order], sense[order], int(sense.max()) + 1
    odds = grouping.of_rows(log_odds, order)
    agreed, alike = [], []
    for _ in range(draws):
        again = _again(represented, n_senses, odds, random)
        both_several = sense.max() > 0 and again.max() > 0
        agreed.append(adjusted_rand_score(sense, again) if both_several else 0.0)
        alike.append(_jaccard(sense, again, k))
    low, high = np.quantile(agreed, [0.025, 0.975])
    return Stability(float(np.mean(agreed)), float(low), float(high), tuple(np.mean(alike, axis=0).tolist()))


def _again(
    represented: FloatArray, n_senses: int | None, log_odds: LogOdds | None, random: np.random.Generator
) -> IntArray:
    """(N) the senses of all usages, found in a random half of them."""
    half = np.sort(random.choice(len(represented), (len(represented) + 1) // 2, replace=False))
    given = None if n_senses is None else min(n_senses, len(np.unique(np.round(represented[half], 5), axis=0)))
    return grouping.group(represented, n_senses=given, learnt_from=half, log_odds=log_odds)


def _jaccard(sense: IntArray, again: IntArray, k: int) -> list[float]:
    """For each of K senses the largest Jaccard index of any group with it; 0 for a sense that has no usage."""
    both = np.zeros((k, int(again.max()) + 1))
    np.add.at(both, (sense, again), 1)
    union = both.sum(axis=1)[:, None] + both.sum(axis=0) - both
    best: list[float] = (both / np.maximum(union, 1)).max(axis=1).tolist()
    return best
