"""Subwords to words: by hand, as properties, and against a plain loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.attention import (
    by_word,
    join_pieces,
    mean_matrix,
    pool_keys,
    pool_queries,
    rollout,
    select,
    without_special,
)
from analysis.errors import BadOption
from analysis.text import words
from analysis.types import Attention, Unit
from tests.fake import FakeEncoder

CLS, SEP = Unit("[CLS]", 0, 0, True), Unit("[SEP]", 0, 0, True)


def pieces_of(text: str, spans: list[tuple[int, int]]) -> list[Unit]:
    return [Unit(text[a:b], a, b) for a, b in spans]


def test_pieces_of_one_word_become_one_unit() -> None:
    text = "river embankment"
    pieces = [CLS, *pieces_of(text, [(0, 5), (6, 8), (8, 12), (12, 16)]), SEP]
    units, unit_of = join_pieces(pieces, text, words(text))
    assert [u.text for u in units] == ["[CLS]", "river", "embankment", "[SEP]"]
    assert unit_of.tolist() == [0, 1, 2, 2, 2, 3]


def test_words_that_share_a_piece_become_one_unit() -> None:
    text = "so ..."
    units, unit_of = join_pieces(pieces_of(text, [(0, 2), (3, 6)]), text, words(text))
    assert [(u.text, u.start, u.end) for u in units] == [("so", 0, 2), ("...", 3, 6)]
    assert unit_of.tolist() == [0, 1]


def test_a_piece_between_words_stands_for_itself() -> None:
    text = "a\nb"
    units, unit_of = join_pieces(pieces_of(text, [(0, 1), (1, 2), (2, 3)]), text, words(text))
    assert [u.text for u in units] == ["a", "\n", "b"]
    assert unit_of.tolist() == [0, 1, 2]


def test_pieces_with_a_leading_space_belong_to_the_word_after_it() -> None:
    text = "the bank"
    units, _ = join_pieces(pieces_of(text, [(0, 3), (3, 8)]), text, words(text))
    assert [(u.text, u.start) for u in units] == [("the", 0), ("bank", 4)]


def test_several_pieces_of_one_character_stay_one_unit() -> None:
    text = "a 🏦 b"  # byte-level tokenizers give the four bytes of an emoji the same offsets
    units, unit_of = join_pieces(pieces_of(text, [(0, 1), (2, 3), (2, 3), (2, 3), (4, 5)]), text, words(text))
    assert [u.text for u in units] == ["a", "🏦", "b"]
    assert unit_of.tolist() == [0, 1, 1, 1, 2]


def test_pooling_by_hand() -> None:
    # Two pieces of the first word, one of the second: keys add up, queries average.
    weights = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [0.2, 0.2, 0.6]], dtype=np.float32)
    unit_of = np.array([0, 0, 1])
    pooled = pool_queries(pool_keys(weights, unit_of, 2), unit_of, 2)
    np.testing.assert_allclose(pooled, [[0.5, 0.5], [0.4, 0.6]], atol=1e-6)


@given(st.lists(st.integers(1, 3), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_pooling_equals_a_plain_loop_and_rows_sum_to_one(sizes: list[int], seed: int) -> None:
    unit_of = np.repeat(np.arange(len(sizes)), sizes)
    weights = np.random.default_rng(seed).dirichlet(np.ones(len(unit_of)), size=(2, 3, len(unit_of))).astype(np.float32)
    pooled = pool_queries(pool_keys(weights, unit_of, len(sizes)), unit_of, len(sizes))
    assert pooled.shape == (2, 3, len(sizes), len(sizes))
    np.testing.assert_allclose(pooled.sum(-1), 1, atol=1e-5)
    for q in range(len(sizes)):
        for k in range(len(sizes)):
            rows = [weights[0, 0, i, unit_of == k].sum() for i in np.flatnonzero(unit_of == q)]
            assert pooled[0, 0, q, k] == pytest.approx(np.mean(rows), abs=1e-5)


def test_by_word_keeps_the_future_unseen() -> None:
    attention = by_word(FakeEncoder(causal=True).attention("The bank by the river"))
    future = np.triu(np.ones(attention.weights.shape[-2:], dtype=bool), k=1)
    assert (attention.weights[..., future] == 0).all()
    np.testing.assert_allclose(attention.weights.sum(-1), 1, atol=1e-6)


def test_select_and_its_error() -> None:
    attention = FakeEncoder().attention("The bank")
    assert select(attention, [2, 0], [1]).weights.shape[:2] == (2, 1)
    assert select(attention, None, None).weights.shape == attention.weights.shape
    with pytest.raises(BadOption, match="no layer 3: the model has 3 layers; choose from 0 to 2") as caught:
        select(attention, [0, 3], None)
    assert caught.value.where == ("layers", 1)
    with pytest.raises(BadOption, match="no head -1"):
        select(attention, None, [-1])


def test_without_special_says_what_it_hides() -> None:
    weights = np.array([[[[0.6, 0.3, 0.1], [0.5, 0.3, 0.2], [0.7, 0.2, 0.1]]]], dtype=np.float32)
    attention = Attention("a b", (CLS, Unit("a", 0, 1), Unit("b", 2, 3)), weights, causal=False)
    view, hidden = without_special(attention)
    assert [u.text for u in view.units] == ["a", "b"]
    np.testing.assert_allclose(mean_matrix(view), [[0.3, 0.2], [0.2, 0.1]])
    assert hidden == pytest.approx(0.6)


def test_attention_of_the_wrong_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="2 units"):
        Attention("a b", (Unit("a", 0, 1), Unit("b", 2, 3)), np.ones((1, 1, 3, 3), dtype=np.float32), causal=False)


# rollout


def test_rollout_of_two_layers_by_hand() -> None:
    """Half attention, half residual: [[.75 .25] [.5 .5]] after [[.5 .5] [0 1]], each the mean of two heads."""
    first = [[[0.0, 1.0], [0.0, 1.0]]] * 2  # with the residual: [[.5 .5] [0 1]]
    second = [[[0.0, 1.0], [1.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]]]  # mean [[.5 .5] [1 0]]; [[.75 .25] [.5 .5]]
    found = rollout(np.array([first, second], dtype=np.float32))
    # Row 0: .75 of (.5 .5) and .25 of (0 1); row 1: half of each.
    np.testing.assert_allclose(found, [[0.375, 0.625], [0.25, 0.75]])


@given(
    layers=st.integers(1, 5), heads=st.integers(1, 3), width=st.integers(1, 7), seed=st.integers(0, 999),
    causal=st.booleans(),
)  # fmt: skip
def test_rollout_against_a_plain_loop(layers: int, heads: int, width: int, seed: int, causal: bool) -> None:
    weights = np.random.default_rng(seed).random((layers, heads, width, width)).astype(np.float32) + 1e-3
    if causal:
        weights = np.tril(weights)
    weights /= weights.sum(axis=-1, keepdims=True)
    found = rollout(weights)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert (found >= 0).all()
    if causal:
        assert not np.triu(found, 1).any()
    # What reaches q from k: over all paths, layer by layer from the last down.
    for q in range(width):
        reach = [float(q == k) for k in range(width)]
        for layer in reversed(range(layers)):
            step = [
                sum(reach[m] * (0.5 * float(weights[layer, :, m, k].mean()) + 0.5 * (m == k)) for m in range(width))
                for k in range(width)
            ]
            reach = step
        np.testing.assert_allclose(found[q], reach, atol=1e-5)


def test_rollout_without_attention_elsewhere_stays_where_it_is() -> None:
    np.testing.assert_array_equal(rollout(np.eye(3, dtype=np.float32)[None, None].repeat(4, 0)), np.eye(3))
