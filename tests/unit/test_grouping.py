"""How a tree of usages is cut, and what few usages are judged by."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import cut_tree, linkage

from analysis import mixture
from analysis.grouping import LogOdds, _cut, group, of_rows, unit
from analysis.types import IntArray
from tests.unit.test_senses import same_grouping
from tests.unit.test_stability import planted


@pytest.mark.parametrize("seed", range(10))
def test_a_tree_is_cut_as_scipy_cuts_it(seed: int) -> None:
    """Rounded, so that some merges are equally near."""
    random = np.random.default_rng(seed)
    rows = random.standard_normal((random.integers(9, 80), 3)).round(1)
    tree = linkage(rows, method="ward")
    for n in range(1, 10):
        assert (_cut(tree, n) == cut_tree(tree, n_clusters=n)[:, 0]).all()


def test_as_many_groups_as_usages() -> None:
    assert _cut(linkage(np.arange(4.0)[:, None] ** 2, method="ward"), 4).tolist() == [0, 1, 2, 3]


def odds_of(sense: IntArray, between: float) -> LogOdds:
    """`between` for two usages of different senses, and 1 for all others."""
    return lambda rows: np.where(sense[rows][:, None] == sense[rows], 1.0, between)


def test_two_usages_are_told_apart_by_what_was_learnt_alone() -> None:
    rows = np.eye(2, dtype=np.float32)
    assert group(rows).tolist() == [0, 0]
    assert same_grouping(group(rows, log_odds=odds_of(np.arange(2), 0.1)), np.array([0, 0]))
    assert same_grouping(group(rows, log_odds=odds_of(np.arange(2), -0.1)), np.array([0, 1]))
    thrice = np.array([0, 1, 0])
    assert same_grouping(group(rows[thrice], log_odds=odds_of(thrice, -0.1)), thrice)


def test_what_was_learnt_moves_the_bound_of_few_usages_both_ways() -> None:
    dim, _ = planted([3, 3], apart=0.8)
    halves = group(dim, n_senses=2)
    assert group(dim).max() == group(dim, log_odds=odds_of(halves, 0.0)).max() == 0
    assert same_grouping(group(dim, log_odds=odds_of(halves, -2.0)), halves)
    clear, sense = planted([3, 3], apart=1.2)
    assert same_grouping(group(clear), sense)
    assert same_grouping(group(clear, log_odds=odds_of(sense, 0.0)), sense)
    assert group(clear, log_odds=odds_of(sense, 2.0)).max() == 0


def test_what_was_learnt_moves_the_bound_of_a_rare_sense_too() -> None:
    rows, sense = planted([12, 4], apart=1.5)
    assert same_grouping(group(rows, log_odds=odds_of(sense, 1.0)), sense)
    assert group(rows, log_odds=odds_of(sense, 2.0)).max() == 0


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(9)))
def test_the_order_changes_nothing_where_the_learnt_has_a_say(order: list[int]) -> None:
    rows, sense = planted([5, 4], apart=1.2)
    rows[8] = rows[7]
    assert group(rows).max() == 0
    odds = odds_of(sense, -2.0)
    assert group(rows, log_odds=odds).max() == 1
    again = group(rows[order], log_odds=of_rows(odds, np.array(order)))
    assert again.tolist() == group(rows, log_odds=odds)[order].tolist()


def test_of_few_usages_an_odd_one_is_no_group() -> None:
    """The likeliest two distributions of six usages have the odd one alone, so they are not asked."""
    kept = alone = 0
    for seed in range(20):
        rows, sense = planted([3, 3], seed=seed, apart=2.0)
        rows[0, -1] += 2
        rows = unit(rows)
        kept += same_grouping(group(rows.astype(np.float32), n_senses=2), sense)
        likeliest = mixture.fit(rows, [sense]).nearest(rows)
        alone += same_grouping(likeliest, np.array([0, 1, 1, 1, 1, 1]))
    assert kept >= 18
    assert alone >= 10
