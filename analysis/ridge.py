"""Groups of usages settled by what all others say of each.

    settle(usages, groups) -> Settled;  Settled.nearest(usages) -> groups

What tells two senses apart stands along many axes, most of them too faint for a distribution to be learnt along them.
A linear classifier learns from all of them at once: ridge regression on the groups (Hoerl and Kennard 1970), each group
weighing the same. The one learnt from all usages but one says where that one belongs, which takes no learning anew
(Allen 1974); those that it says belong elsewhere move, until none does. Of fewer than FEWEST usages each one counts too
much for its group to be known without it, and none moves.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.types import FloatArray, IntArray

STRENGTH = 1.0  # of what is learnt against the penalty of what it weighs; 0.5 does nearly as well
ROUNDS = 30  # at most; most often three are enough
FEWEST = 50  # usages

Matrix = NDArray[np.float64]


class Settled(NamedTuple):
    """The `groups` (N) of usages; and `weights` (R, K) and `intercepts` (K) of a classifier round `centre` (R)."""

    groups: IntArray
    centre: Matrix
    weights: Matrix
    intercepts: Matrix

    def nearest(self, usages: FloatArray | Matrix) -> IntArray:
        """(M) the group of each of other usages (M, R)."""
        found: IntArray = ((usages - self.centre) @ self.weights + self.intercepts).argmax(axis=1)
        return found


def settle(usages: Matrix, groups: IntArray) -> Settled:
    """Usages (N, R) of unit length in K >= 2 `groups` (N), moved to where the others say; it stops before it would
    lose a group."""
    n = int(groups.max()) + 1
    centre: Matrix = usages.mean(axis=0)
    rows = usages - centre
    alike = rows @ rows.T + 1  # the one stands for the intercept
    told, inverse = _learn(alike, groups, n)
    for _ in range(ROUNDS if len(groups) >= FEWEST else 0):
        without = np.eye(n)[groups] - told / np.diag(inverse)[:, None]
        moved = without.argmax(axis=1)
        if len(np.unique(moved)) < n or np.array_equal(moved, groups):
            break
        groups = moved
        told, inverse = _learn(alike, groups, n)
    return Settled(groups, centre, rows.T @ told, told.sum(axis=0))


def _learn(alike: Matrix, groups: IntArray, n: int) -> tuple[Matrix, Matrix]:
    """(N, K) how much each usage says for each group; and the inverse (N, N) that it came from."""
    sizes = np.bincount(groups, minlength=n)
    penalty = n * sizes[groups] / (STRENGTH * len(groups))
    inverse = np.asarray(np.linalg.inv(alike + np.diag(penalty)), np.float64)
    return inverse @ np.eye(n)[groups], inverse
