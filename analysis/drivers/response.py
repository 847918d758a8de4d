"""The thing that is explained: how probable each sense of a usage is, and how that changes with what is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.grouping import unit
from analysis.senses import own_centroids, own_probabilities, probabilities, represent, represent_backward
from analysis.types import FloatArray, IntArray, SenseModel


@dataclass(frozen=True, eq=False)
class Response:
    """The probability of `sense` (N), an index into the model's senses, for each of N usages; K senses.

    The probability is the model's: a softmax over similarity. `members` f32 (N, R) are the rows that took part in the
    centroids, each left out of its own sense's; None where the usages are new to the model. `which` (n) says of which
    usage each of n readings is, whole or with words taken away. `Respond` of analysis/types.py is `slope`.
    """

    model: SenseModel
    sense: IntArray
    members: FloatArray | None = None

    def probabilities(self, vectors: FloatArray, context: FloatArray, which: IntArray) -> FloatArray:
        """f32 (n, K) of readings whose target's vectors and context are (n, D); rows sum to 1."""
        represented = represent(vectors, context)
        if self.members is None:
            return probabilities(self.model, represented)
        return own_probabilities(self.model, represented, self.sense[which], self.members[which])

    def slope(
        self, vectors: FloatArray, context: FloatArray, which: IntArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The probability of the sense, f32 (n), and its derivatives by the vectors and by the context, f32 (n, D)."""
        every, at = self.probabilities(vectors, context, which).astype(np.float64), np.arange(len(which))
        sense, directions = self.sense[which], self._directions(which)
        own = every[at, sense]
        towards = directions[at, sense] - np.einsum("nk,nkr->nr", every, directions)
        changes = represent_backward(vectors, context, own[:, None] * towards / self.model.temperature)
        return own.astype(np.float32), *changes

    def take(self, indices: Sequence[int]) -> Response:
        """The usages at the indices, in that order."""
        rows = list(indices)
        return Response(self.model, self.sense[rows], None if self.members is None else self.members[rows])

    def runner_up(self, chances: FloatArray) -> IntArray:
        """(N): the likeliest sense but the explained one, of the probabilities (N, K) of the usages; -1 if none."""
        if chances.shape[1] < 2:
            return np.full(len(chances), -1, dtype=np.int64)
        others = chances.copy()
        others[np.arange(len(others)), self.sense] = -1
        second: IntArray = others.argmax(axis=1)
        return second

    def _directions(self, which: IntArray) -> NDArray[np.float64]:
        """(n, K, R): the vector that each sense's score is the product with."""
        model = self.model
        rows = unit(model.centroids) if model.weights is None else model.weights[:, :-1].astype(np.float64)
        directions = np.repeat(rows[None], len(which), axis=0)
        if self.members is not None:
            sense = self.sense[which]
            directions[np.arange(len(which)), sense] = own_centroids(model, sense, self.members[which])
        return directions
