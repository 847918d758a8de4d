"""Sense vectors, the scores made of them, and the names of senses: by hand, by property, and against plain loops."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from analysis.errors import BadFile, BadOption, ModelMismatch
from analysis.lexicon import fit, scoring, vectors
from analysis.lexicon.glosses import EntryVectors
from analysis.lexicon.naming import assign
from analysis.lexicon.pos import evidence
from analysis.lexicon.wordnet import Entry, Pos
from analysis.types import FloatArray, Occurrence

WIDTH = 6


def entry(key: str, *, count: int = 0, synset: str = "", file: str = "noun.act", above: tuple[str, ...] = ()) -> Entry:
    pos: Pos = "n" if key[key.index("%") + 1] == "1" else "v"
    return Entry(key, synset or f"{key}.n.01", key[: key.index("%")], pos, "gloss", (), (), count, file, above)


A, B, C = entry("bank%1:01:00::", count=9), entry("bank%1:02:00::", count=3), entry("bank%1:03:00::")
LEXICON = {one.key: one for one in (A, B, C)}


class Shelf:
    """The part of a Lexicon that a fit asks for."""

    def by_key(self, key: str) -> Entry | None:
        return LEXICON.get(key)


def usages(n: int = 12, seed: int = 0) -> tuple[FloatArray, list[fit.Tagged]]:
    """Usages of two senses, far apart on the first axis and much varied on the second."""
    random = np.random.default_rng(seed)
    rows = random.normal(0, [0.1, 2, 0.1, 0.1, 0.1, 0.1], (n, WIDTH))
    rows[::2, 0] += 1
    rows[1::2, 0] -= 1
    tagged = [fit.Tagged((A.key if i % 2 == 0 else B.key,), (A, B, C), f"d{i % 3}") for i in range(n)]
    return rows.astype(np.float32), tagged


def made(seed: int = 0) -> vectors.SenseVectors:
    from analysis.types import ModelInfo

    info = ModelInfo("fake", "tests", "1", "0" * 64, 1, 1, WIDTH, 64, False)
    space = fit.geometry(*usages(seed=seed))
    weights = np.zeros((4, 9 + len(vectors.TAGGED)))
    return fit.vectors_of(space, {A.key: 6, B.key: 6}, Shelf(), weights, info, "a test", 3, seed)  # type: ignore[arg-type]


def test_a_new_usage_is_nearest_to_the_sense_of_its_own_kind() -> None:
    found = made()
    assert found.keys == (A.key, B.key)
    assert found.counts == {A.key: 6, B.key: 6}
    rows, tagged = usages(seed=1)
    for row, one in zip(rows, tagged, strict=True):
        cosines = found.features((A, B, C), row)[:, 0]
        assert (A, B)[int(cosines[:2].argmax())].key in one.keys
        assert cosines[2] == 0


def test_the_map_whitens_what_varies_within_senses() -> None:
    found = made()
    axes = found.axes.astype(np.float64)
    # The second axis varies most, and tells nothing: a step along it moves a usage less than one along the first.
    assert np.linalg.norm(axes[1]) < np.linalg.norm(axes[0]) / 2


def test_a_sense_that_was_not_seen_backs_off() -> None:
    found = made()
    row = usages()[0][0]
    twin = replace(C, synset=A.synset)
    child = replace(C, above=(A.synset, B.synset))
    own, of_twin, of_child, of_none = found.features((A, twin, child, C), row)
    nearest, seen = vectors.TAGGED.index("the nearest of these that was seen"), vectors.TAGGED.index("was seen")
    assert_allclose(of_twin[nearest], own[nearest])
    assert_allclose(of_child[nearest], max(found.features((A, B), row)[:, 0]))
    assert [one[seen] for one in (own, of_twin, of_child, of_none)] == [1, 0, 0, 0]
    assert of_none[nearest] == of_none[vectors.TAGGED.index("cosine to the file's")] != 0


@given(st.integers(0, 50))
def test_bytes_are_within_a_127th_of_the_largest(seed: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(5, 7))
    places, scales = vectors.quantised(rows)
    assert np.abs(places * scales[:, None] - rows).max() <= np.abs(rows).max() / 127


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    found = made()
    file = vectors.save(found, tmp_path)
    again = vectors.load(file, digest="0" * 64)
    assert again.digest == found.digest
    assert again.learnt == found.learnt
    row = usages()[0][0]
    assert_allclose(again.features((A, B, C), row), found.features((A, B, C), row))


def test_a_file_that_is_not_what_was_written(tmp_path: Path) -> None:
    file = vectors.save(made(), tmp_path)
    whole = file.read_bytes()
    with pytest.raises(ModelMismatch, match="run `polyseme lexicon fit` with the model"):
        vectors.load(file, digest="1" * 64)
    for data in (whole[:-9], b"", whole[:-1] + bytes([whole[-1] ^ 1])):
        file.write_bytes(data)
        with pytest.raises(BadFile, match="run `polyseme lexicon fit` again"):
            vectors.load(file)


def test_text_that_teaches_nothing() -> None:
    rows, tagged = usages()
    with pytest.raises(BadOption, match="no lemma with two senses"):
        fit.geometry(rows[::2], tagged[::2])


def test_the_features_by_hand() -> None:
    one = EntryVectors(*(np.array(v, np.float32) for v in ([1, 0], [0, 2], [[3, 0], [0, 1]])))
    two = EntryVectors(np.array([1, 1], np.float32), np.array([1, 0], np.float32), np.zeros((0, 2), np.float32))
    found = scoring.features(
        (A, C), [one, two], np.array([2, 0], np.float32), np.array([0, 1], np.float32), (3, 0), None
    )
    share = np.log([3.3 / 3.6, 0.3 / 3.6])
    half = np.sqrt(0.5)
    assert_allclose(found[:, :4], [[np.log(3.5), share[0], 1, 1], [np.log(0.5), share[1], 0, 0.5]], atol=1e-6)
    # The second has no example, and gets the mean of those that have one.
    assert_allclose(found[:, 4:], [[1, 0, 1, 1, 1], [half, 1, 0, 1, 0]], atol=1e-6)


def test_of_equal_counts_the_earlier_sense_ranks_first() -> None:
    assert scoring.prior((0, 2, 2, 0))[:, 3].tolist() == [1 / 3, 1, 1 / 2, 1 / 4]


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=9), st.floats(-100, 100))
def test_probabilities_sum_to_1_and_a_constant_changes_none(given_: list[float], constant: float) -> None:
    found = scoring.softmax(np.array(given_))
    assert_allclose(found.sum(), 1)
    assert_allclose(scoring.softmax(np.array(given_) + constant), found, atol=1e-9)


def test_weights_are_where_no_small_step_makes_the_right_senses_likelier() -> None:
    random = np.random.default_rng(3)
    rows = [random.normal(size=(n, 3)) for n in random.integers(2, 6, 60)]
    right = [row[:, 0] + 0.5 * random.normal(size=len(row)) for row in rows]
    right_ = [own == own.max() for own in right]
    weights = scoring.learn(rows, right_)
    assert weights[0] > 5 * np.abs(weights[1:]).max()

    def loss(w: np.ndarray) -> float:
        scale = np.concatenate(rows).std(axis=0)
        likely = [np.log(scoring.softmax(row @ w)[own].sum()) for row, own in zip(rows, right_, strict=True)]
        return float(-np.sum(likely) + scoring.RIDGE * ((w * scale) ** 2).sum() / 2)

    for axis in range(3):
        for step in (-0.05, 0.05):
            assert loss(weights + step * np.eye(3)[axis]) > loss(weights)


def test_two_senses_share_a_dictionary_sense_only_where_it_is_worth_the_price() -> None:
    near, far = np.array([[5.0, 4.5, 0], [5.0, 4.0, 0]]), np.array([[5.0, 1.0, 0], [5.0, 0.5, 0]])
    assert assign(near, price=2) == [1, 0]
    assert assign(far, price=2) == [0, 0]
    assert assign(np.array([[1.0, 2.0, 3.0], [0.0, 9.0, 3.0], [0.0, 1.0, 3.0]]), price=2) == [None, 1, None]
    assert assign(np.array([[-np.inf, -np.inf, 0.0]]), price=2) == [None]


@given(st.integers(0, 200))
def test_no_other_assignment_is_worth_more(seed: int) -> None:
    from itertools import product

    scores = np.random.default_rng(seed).normal(size=(3, 3)).round(3)

    def worth(chosen: tuple[int, ...]) -> float:
        again = sum(max(0, chosen.count(column) - 1) for column in (0, 1))
        return float(sum(scores[row, column] for row, column in enumerate(chosen)) - 0.5 * again)

    found = tuple(2 if column is None else column for column in assign(scores, price=0.5))
    assert worth(found) == pytest.approx(max(worth(other) for other in product(range(3), repeat=3)))


def test_the_word_before_tells_a_noun_from_a_verb() -> None:
    def said(text: str) -> tuple[float, float]:
        found = evidence(Occurrence(text, "bank", text.index("bank"), text.index("bank") + 4, "1"))
        return found.get("n", 0.0), found.get("v", 0.0)

    assert said("by the bank")[0] > said("by the bank")[1] + 3
    assert said("They bank here")[1] > said("They bank here")[0] + 3
    assert said("bank") == said("steep bank") == (0.0, 0.0)
