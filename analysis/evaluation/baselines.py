"""What needs no model: the answers that every figure stands beside, scored by the same metrics."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis.evaluation.metrics import Bools, Labels

ONE_CLUSTER, ONE_EACH, RANDOM, MAJORITY = "one_cluster", "one_each", "random", "majority"


def clusterings(n: int, k: int, *, seed: int) -> dict[str, NDArray[np.int64]]:
    """By name, a cluster for each of `n` usages: one for all, one each, and one of `k` at random, all as likely."""
    return {
        ONE_CLUSTER: np.zeros(n, dtype=np.int64),
        ONE_EACH: np.arange(n, dtype=np.int64),
        RANDOM: np.random.default_rng(seed).integers(0, max(k, 1), n),
    }


def labellings(train: Labels, n: int, *, seed: int) -> dict[str, Labels]:
    """By name, a label for each of `n` usages: the commonest of `train`, and one of its classes at random."""
    classes, counts = np.unique(train, return_counts=True)
    return {
        MAJORITY: np.full(n, classes[counts.argmax()]),
        RANDOM: np.random.default_rng(seed).choice(classes, n),
    }


def judgements(train: Bools, n: int, *, seed: int) -> dict[str, Bools]:
    """By name, for each of `n` pairs whether it is of one sense: always, never, either at random; and where `train`
    has judgements, the commoner of them."""
    found: dict[str, Bools] = {
        ONE_CLUSTER: np.ones(n, dtype=bool),
        ONE_EACH: np.zeros(n, dtype=bool),
        RANDOM: np.random.default_rng(seed).random(n) < 0.5,
    }
    return found | ({MAJORITY: np.full(n, bool(train.mean() >= 0.5))} if len(train) else {})
