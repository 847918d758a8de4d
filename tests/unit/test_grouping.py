"""How a tree of usages is cut."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.cluster.hierarchy import cut_tree, linkage

from analysis.grouping import _cut


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
