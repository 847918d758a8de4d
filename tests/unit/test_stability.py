"""Stability on planted clouds: what is clear holds, what is noise does not, and nothing depends on the order."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.grouping import Matrix, of_rows
from analysis.senses import group, represent
from analysis.stability import FEWEST, _jaccard, stability
from analysis.types import FloatArray, IntArray
from tests.unit.test_senses import WIDTH, clouds


def planted(sizes: list[int], *, seed: int = 0, apart: float = 2.0) -> tuple[FloatArray, IntArray]:
    vectors, context, gold = clouds(sizes, seed=seed, apart=apart)
    return represent(vectors, context), gold


def test_clear_senses_hold_wholly() -> None:
    rows, gold = planted([30, 20])
    held = stability(rows, gold)
    assert held is not None
    assert held[:3] == (1.0, 1.0, 1.0)
    assert held.jaccard == (1.0, 1.0)


def test_groups_that_are_not_in_the_data_do_not_hold() -> None:
    rows, _ = planted([40])
    invented = np.random.default_rng(1).integers(0, 2, 40)
    held = stability(rows, invented, n_senses=2)
    assert held is not None
    assert held.ari < 0.2
    assert held.low <= held.ari <= held.high


def test_clouds_that_overlap_hold_less_than_clouds_that_do_not() -> None:
    figures = []
    for apart in (0.5, 2.0):
        rows, _ = planted([30, 30], apart=apart)
        held = stability(rows, group(rows, n_senses=2), n_senses=2)
        assert held is not None
        figures.append(held.ari)
    assert figures[0] < figures[1]


def test_a_single_sense_is_not_called_stable() -> None:
    rows, gold = planted([40])
    held = stability(rows, gold)
    assert held is not None
    assert held[:3] == (0.0, 0.0, 0.0)


def test_too_few_usages_say_nothing() -> None:
    rows, gold = planted([4, 3])
    assert len(rows) == FEWEST - 1
    assert stability(rows, gold) is None


def test_the_seed_and_nothing_else_decides_the_draws() -> None:
    rows, _ = planted([20, 20], apart=0.6)
    sense = group(rows, n_senses=2)
    mixed = np.random.default_rng(3).permutation(len(rows))
    figures = [
        stability(rows, sense, n_senses=2, seed=5),
        stability(rows, sense, n_senses=2, seed=5),
        stability(rows[mixed], sense[mixed], n_senses=2, seed=5),
    ]
    assert figures[0] == figures[1] == figures[2]


def test_more_usages_than_a_draw_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analysis.stability.MOST", 30)
    rows, gold = planted([60, 40])
    held = stability(rows, gold)
    assert held is not None
    assert held.ari > 0.95


def test_the_number_of_senses_given_is_kept_where_copies_allow_it() -> None:
    rows = np.repeat(np.eye(WIDTH, dtype=np.float32)[:3], 4, axis=0)
    sense = np.repeat([0, 1, 2], 4)
    held = stability(rows, sense, n_senses=3)
    assert held is not None
    assert held.ari > 0.6


def test_what_was_learnt_has_its_say_in_the_halves_too() -> None:
    rows, gold = planted([5, 5], apart=0.8)

    def odds(rows: IntArray) -> Matrix:
        return np.where(gold[rows][:, None] == gold[rows], 1.0, -6.0)

    sense = group(rows, log_odds=odds)
    assert sense.max() == 1
    alone, held = stability(rows, sense), stability(rows, sense, log_odds=odds)
    assert alone is not None
    assert held is not None
    assert held.ari > alone.ari + 0.3
    order = np.random.default_rng(0).permutation(10)
    assert stability(rows[order], sense[order], log_odds=of_rows(odds, order)) == held


def test_jaccard_worked_by_hand() -> None:
    # sense 0 = {0, 1, 2}, of which group 0 holds two of its three: 2 / (3 + 3 - 2); sense 1 = {3, 4}: 1 of 3 + 2 - 1
    sense, again = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 0, 2])
    assert _jaccard(sense, again, 2) == [pytest.approx(2 / 4), pytest.approx(1 / 2)]
