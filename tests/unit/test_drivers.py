"""The methods of drivers with an encoder without weights: effects against a plain loop over single readings, costs as
the encoder counts them, and what cannot be asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from analysis.corpus import documents
from analysis.drivers.methods import (
    FADED,
    METHODS,
    NAMES,
    NEARLY_GONE,
    STEPS,
    check_method,
    context_words,
    explain,
    passes,
)
from analysis.drivers.response import Response
from analysis.errors import BadOption, UnsupportedModel
from analysis.senses import induce, represent
from analysis.text import find, words
from analysis.types import Attribution, FloatArray, Operator, Perturbed, Usages
from tests.fake import FakeEncoder
from tests.labelled import MONEY, RIVER

TOPICS = ["river", "water", "fish", "shore", "money", "loan", "cash", "the", "of"]
Row = NDArray[np.float64]


class Case(NamedTuple):
    encoder: FakeEncoder
    usages: Usages
    response: Response

    def explain(self, **chosen: Any) -> tuple[Attribution, ...]:
        return explain(*self, **chosen)

    def passes(self, **chosen: Any) -> int:
        return passes(*self, **chosen)


def case(texts: Sequence[str], n_senses: int | None = 2, **fake: Any) -> Case:
    """Usages of "bank" with their senses; what the encoder was asked for until then is forgotten."""
    encoder = FakeEncoder(**fake)
    usages = encoder.encode(find(documents(texts), "bank").occurrences, attention=True)
    model, assignment = induce(usages.vectors, usages.context, target="bank", n_senses=n_senses)
    encoder.asked.clear()
    return Case(encoder, usages, Response(model, assignment.sense, represent(usages.vectors, usages.context)))


def unevenly_attended(usages: Usages, seed: int = 0) -> Usages:
    """The same usages, with rows of attention that differ from word to word, from layer to layer, head to head."""
    random = np.random.default_rng(seed)
    assert usages.target_attention is not None
    rows = [random.random(row.shape, dtype=np.float32) for row in usages.target_attention]
    return replace(usages, target_attention=tuple(row / row.sum(axis=-1, keepdims=True) for row in rows))


# occlusion


def represented_by_hand(vector: FloatArray, context: FloatArray) -> Row:
    """The target's vector beside half its context, each and both of length 1."""
    parts = [vector.astype(np.float64), context.astype(np.float64)]
    unit = [part / (np.linalg.norm(part) or 1) for part in parts]
    both = np.concatenate([unit[0], 0.5 * unit[1]])
    whole: Row = both / np.linalg.norm(both)
    return whole


def drops_by_hand(given_case: Case, i: int, operator: Operator) -> dict[str, list[float]]:
    """What every context word of usage i does to each sense, one reading after the other; keys tell twins apart."""
    encoder, usages, response = given_case
    model, sense = response.model, response.sense
    rows = [represented_by_hand(v, c) for v, c in zip(usages.vectors, usages.context, strict=True)]

    def probabilities(row: Row) -> Row:
        powers = []
        for k in range(len(model.senses)):
            members = [rows[j] for j in range(len(rows)) if sense[j] == k and j != i] or [rows[i]]
            centroid = np.mean(members, axis=0)
            powers.append(np.exp(row @ centroid / np.linalg.norm(centroid) / model.temperature))
        chances: Row = np.array(powers) / sum(powers)
        return chances

    occurrence = usages.occurrences[i]
    drops: dict[str, list[float]] = {}
    for unit in words(occurrence.text):
        if unit.span == occurrence.span or not any(letter.isalnum() for letter in unit.text):
            continue
        without = encoder.encode([Perturbed(occurrence, (unit.span,), operator)])
        changed = represented_by_hand(without.vectors[0], without.context[0])
        drops[f"{unit.text}@{unit.start}"] = (probabilities(rows[i]) - probabilities(changed)).tolist()
    return drops


@settings(max_examples=12, deadline=None)
@given(
    texts=st.lists(st.lists(st.sampled_from(TOPICS), max_size=5).map(lambda drawn: " ".join(["bank", *drawn]))),
    before=st.booleans(),
    method=st.sampled_from(["occlusion-exact", "occlusion-mask", "occlusion"]),
    budget=st.integers(1, 6),
)
def test_an_effect_is_the_drop_of_the_probability_of_the_sense(
    texts: list[str], before: bool, method: str, budget: int
) -> None:
    texts = ["money loan, bank", "bank by river water", *texts[:5]]
    found = case([f"my {text}" if before else text for text in texts])
    for i, attribution in enumerate(found.explain(method=method, budget=budget)):
        by_hand = drops_by_hand(found, i, "mask" if method == "occlusion-mask" else "delete")
        keys = [f"{unit.text}@{unit.start}" for unit in attribution.words]
        assert keys == list(by_hand), "every word, in the order of the text"
        tried = ~np.isnan(attribution.effects)
        assert tried.sum() == (min(budget, len(keys)) if method == "occlusion" else len(keys))
        expected = np.array([by_hand[key] for key in keys]).reshape(len(keys), 2)
        own = expected[:, found.response.sense[i]]
        np.testing.assert_allclose(attribution.effects[tried], own[tried], atol=2e-4)
        if not keys:
            continue
        assert attribution.on_senses is not None
        np.testing.assert_allclose(attribution.on_senses[tried], expected[tried], atol=2e-4)
        assert np.isnan(attribution.on_senses[~tried]).all()
        assert attribution.gap is None


def test_the_words_that_make_the_sense_drive_it() -> None:
    found = case(["the bank river water", "the bank river water fish", "the bank money loan", "the bank money loan in"])
    for method in ("occlusion", "occlusion-exact", "occlusion-mask"):
        for attribution in found.explain(method=method):
            effects = dict(zip([unit.text for unit in attribution.words], attribution.effects.tolist(), strict=True))
            little = effects.pop("the"), effects.pop("in", 0.0)
            assert little == pytest.approx((0, 0), abs=1e-2), "the fake gives them no part in the context"
            assert sum(effects.values()) > 10 * sum(map(abs, little))


def test_a_word_can_argue_against_the_sense() -> None:
    found = case([*RIVER, *MONEY, "the bank river water fish loan"])
    *_, mixed = found.explain(method="occlusion-exact")
    effects = dict(zip([unit.text for unit in mixed.words], mixed.effects.tolist(), strict=True))
    assert effects["loan"] < -0.002 < 0.002 < effects["river"]
    assert mixed.words[mixed.ranking[-1]].text == "loan"


@pytest.mark.parametrize("method", [name for name in METHODS if name.startswith(("occlusion", "g", "integrated"))])
def test_with_one_sense_there_is_nothing_to_choose(method: str) -> None:
    for attribution in case(RIVER, n_senses=1).explain(method=method):
        np.testing.assert_allclose(attribution.effects, np.zeros(len(attribution.words)), atol=1e-6)


@pytest.mark.parametrize("method", [*METHODS, "attention:2", "attention:0:1"])
def test_a_text_of_one_word_has_no_drivers(method: str) -> None:
    found = case(["bank", "bank!", *RIVER, *MONEY])
    alone, signs, other, *_ = found.explain(method=method)
    assert alone.words == signs.words == ()
    assert alone.effects.shape == alone.attention.shape == alone.ranking.shape == (0,)
    assert len(other.words) == len(other.effects) == 5
    only = case(["bank"], n_senses=1)
    assert only.explain(method=method)[0].words == ()


def test_only_words_of_the_context_can_be_drivers() -> None:
    usages = case(["Our bank, their bank & 2 loans — ok?", "the bank river"]).usages
    assert [[usages.words[i][k].text for k in context_words(usages, i)] for i in range(3)] == [
        ["Our", "their", "bank", "2", "loans", "ok"],
        ["Our", "bank", "their", "2", "loans", "ok"],
        ["the", "river"],
    ]


@pytest.mark.parametrize("method", [*METHODS, "attention:1", "attention:2:0"])
def test_every_method_ranks_all_words_by_what_it_found(method: str) -> None:
    texts = ["the bank, river river water", "my bank on the fish shore", *MONEY[:3], "a loan bank"]
    found = case(texts)
    found = found._replace(usages=unevenly_attended(found.usages))
    attributions = found.explain(method=method, budget=2)
    assert [a.method for a in attributions] == [method] * 6
    for i, attribution in enumerate(attributions):
        n = len(attribution.words)
        assert attribution.occurrence == found.usages.occurrences[i]
        assert [unit.text for unit in attribution.words] == [
            unit.text for k, unit in enumerate(found.usages.words[i]) if k in context_words(found.usages, i)
        ]
        assert sorted(attribution.ranking.tolist()) == list(range(n))
        assert len(attribution.effects) == len(attribution.attention) == n
        told = attribution.effects[attribution.ranking]
        tried = ~np.isnan(told)
        assert tried.tolist() == [True] * tried.sum() + [False] * (n - tried.sum()), "those not tried come last"
        assert (np.diff(told[tried]) <= 0).all()
        assert (attribution.gap is None) == (method not in ("gates", "integrated-gradients"))


# what it costs


@settings(max_examples=12, deadline=None)
@given(budget=st.integers(1, 7), seed=st.integers(0, 100))
def test_the_budget_goes_to_the_words_that_the_gates_rank_first(budget: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    drawn = [" ".join(["bank", *random.choice(TOPICS, 5)]) for _ in range(3)]
    found = case(["bank", "the bank loan", *drawn, *RIVER[:2], *MONEY[:2]])
    attributions = found.explain(budget=budget)
    asked = sum(found.encoder.asked)
    scores = found.encoder.gradients(found.usages.occurrences, found.response.slope, path="gates", points=FADED)
    for i, attribution in enumerate(attributions):
        order = np.argsort(-scores.effects[i][context_words(found.usages, i)], kind="stable")
        assert set(np.flatnonzero(~np.isnan(attribution.effects))) == set(order[:budget])
        assert attribution.ranking[budget:].tolist() == order[budget:].tolist()
    assert asked == found.passes(method="occlusion", budget=budget)
    # A text without a context costs nothing.
    assert asked == sum(3 + min(budget, n) for n in [2, *[5] * 7])


def test_in_a_long_text_a_second_gradient_ranks_the_words_behind_the_first() -> None:
    long = ["bank of a river where water and fish meet the shore at noon with cash", "my " * 9 + "bank loan money cash"]
    found = case([*long, *RIVER, *MONEY])
    attributions = found.explain(budget=4)
    asked = sum(found.encoder.asked)
    first = found.encoder.gradients(found.usages.occurrences, found.response.slope, path="gates", points=FADED)
    for i in range(len(long)):
        units = found.usages.words[i]
        keys = context_words(found.usages, i)
        order = keys[np.argsort(-first.effects[i][keys], kind="stable")]
        n_top = -(-len(keys) // 10)
        left = Perturbed(found.usages.occurrences[i], tuple(units[k].span for k in order[:n_top]))
        second = found.encoder.gradients([left], found.response.take([i]).slope, path="gates", points=NEARLY_GONE)
        (read,) = found.encoder.encode([left]).words
        added = {unit.start: effect for unit, effect in zip(read, second.effects[0], strict=True) if not unit.special}
        rest = sorted(order[n_top:], key=lambda k: -added[units[k].start])
        expected = [units[k].start for k in (*order[:n_top], *rest)]
        assert [attributions[i].words[k].start for k in attributions[i].ranking] == expected
    assert asked == 2 * (6 + 1) + 12 * (3 + 4) == found.passes(method="occlusion", budget=4)


def test_a_function_word_is_tried_only_where_no_other_stands_before_it() -> None:
    function_words = ("river", "loan", "fish")
    found = case(["River bank fish shore", "Fish bank River water", "loan bank cash river", *RIVER[:4], *MONEY[:4]])
    # With a budget of one, the word that stands first is the one that was tried.
    leaders = [a.words[a.ranking[0]].text.lower() for a in found.explain(budget=1)]

    def tried(attribution: Attribution) -> list[str]:
        pairs = zip(attribution.words, attribution.effects, strict=True)
        return sorted(unit.text.lower() for unit, effect in pairs if not np.isnan(effect))

    spared = 0
    free, bound = found.explain(budget=99), found.explain(budget=99, function_words=function_words)
    for leader, every, some in zip(leaders, free, bound, strict=True):
        assert tried(every) == sorted(unit.text.lower() for unit in every.words)
        assert tried(some) == [word for word in tried(every) if word == leader or word not in function_words]
        spared += len(tried(every)) - len(tried(some))
        assert sorted(some.ranking) == sorted(every.ranking), "it stands in the ranking all the same"
    assert set(leaders) & set(function_words), "or not all was tested"
    assert spared > 3


def test_a_word_has_the_same_effect_whatever_the_budget() -> None:
    found = case(RIVER + MONEY)
    exact = found.explain(method="occlusion-exact")
    for little, much, whole in zip(found.explain(budget=2), found.explain(budget=99), exact, strict=True):
        assert not np.isnan(much.effects).any()
        tried = ~np.isnan(little.effects)
        np.testing.assert_allclose(little.effects[tried], much.effects[tried], atol=1e-6)
        np.testing.assert_allclose(much.effects, whole.effects, atol=1e-6)
        assert much.ranking.tolist() == whole.ranking.tolist()


@pytest.mark.parametrize(
    ("method", "cost"),
    [
        ("occlusion", 6 * 12),
        ("occlusion-exact", 5 * 12),
        ("occlusion-mask", 5 * 12),
        ("gates", 32 * 12),
        ("integrated-gradients", 32 * 12),
        ("gradient-x-input", 3 * 12),
        ("value-zeroing", 5 * 12),
        ("attention", 0),
        ("attention-max", 0),
        ("attention:1", 0),
        ("attention:1:1", 0),
        ("rollout", 12),
    ],
)
def test_progress_is_told_of_every_pass(method: str, cost: int) -> None:
    told: list[int] = []
    found = case(RIVER + MONEY)
    found.explain(method=method, budget=3, progress=told.append)
    assert found.passes(method=method, budget=3) == cost
    assert sum(told) == cost


def test_attention_costs_nothing_and_is_the_mean_over_layers_and_heads() -> None:
    found = case(["fish at my bank", *MONEY])
    usages = unevenly_attended(found.usages)
    assert usages.target_attention is not None
    row = usages.target_attention[0]  # over [CLS] fish at my bank [SEP]
    mean = [sum(row[layer, head, k] for layer in range(3) for head in range(2)) / 6 for k in (1, 2, 3)]
    most = [sum(max(row[layer, head, k] for head in range(2)) for layer in range(3)) / 3 for k in (1, 2, 3)]
    for method, expected in {
        "attention": mean,
        "attention-max": most,
        "attention:2": [(row[2, 0, k] + row[2, 1, k]) / 2 for k in (1, 2, 3)],
        "attention:0:1": [row[0, 1, k] for k in (1, 2, 3)],
        "attention:002:00": [row[2, 0, k] for k in (1, 2, 3)],
    }.items():
        first = found._replace(usages=usages).explain(method=method)[0]
        np.testing.assert_allclose(first.attention, mean, rtol=1e-5)
        np.testing.assert_allclose(first.effects, expected, rtol=1e-5)
        assert [unit.text for unit in first.words] == ["fish", "at", "my"]
        assert first.method == method
        assert first.on_senses is None
    assert found.encoder.asked == []


def test_a_causal_target_attends_to_nothing_after_it() -> None:
    found = case(["fish at my bank loan", *MONEY], causal=True)
    np.testing.assert_allclose(found.explain(method="attention")[0].attention, [0.2, 0.2, 0.2, 0.0], rtol=1e-6)
    assert found.explain(method="rollout")[0].effects[3] == 0


def test_rollout_is_the_targets_row_without_special_tokens_and_target() -> None:
    """The fake attends evenly: after L layers a row is 2^-L of itself and the rest even over all W units."""
    found = case(["fish at my bank", *MONEY])
    np.testing.assert_allclose(found.explain(method="rollout")[0].effects, [(1 - 2**-3) / 6] * 3, rtol=1e-5)


def test_gates_and_integrated_gradients_report_what_they_leave_unexplained() -> None:
    found = case(RIVER + MONEY)
    for path, method in (("gates", "gates"), ("mask", "integrated-gradients")):
        told = found.encoder.gradients(
            found.usages.occurrences, found.response.slope, path=path, points=STEPS, ends=True
        )
        assert told.ends is not None
        for i, attribution in enumerate(found.explain(method=method)):
            gain = told.ends[i, 1] - told.ends[i, 0]
            assert attribution.gap == pytest.approx(gain - told.effects[i].sum(), abs=1e-6)
            np.testing.assert_array_equal(attribution.effects, told.effects[i][context_words(found.usages, i)])


# what cannot be asked for


@pytest.mark.parametrize(
    "name",
    ["magic", "", "none", "Occlusion", "attention:", "attention:x", "attention:-1", "attention:1:", "attention:1:1:1",
     "attention:1 ", "attention:99999", "rollout:1", "operator"],
)  # fmt: skip
def test_an_unknown_method_is_told_the_others(name: str) -> None:
    found = case(RIVER + MONEY)
    for ask in (lambda: check_method(name, found.encoder), lambda: found.explain(method=name)):
        with pytest.raises(BadOption) as caught:
            ask()
        assert caught.value.where == ("drivers",)
        assert repr(name) in str(caught.value)
        assert all(f"{known}," in str(caught.value) for known in NAMES[:-1])
    assert found.encoder.asked == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("attention:99", "no layer 99 for the drivers: the model has 3 layers; choose from 0 to 2"),
        ("attention:3:0", "no layer 3"),
        ("attention:0:2", "no head 2 for the drivers: the model has 2 heads; choose from 0 to 1"),
        ("attention:9999:9999", "no layer 9999"),
    ],
)
def test_a_layer_or_head_that_is_not_there(name: str, says: str) -> None:
    with pytest.raises(BadOption, match=says) as caught:
        check_method(name, FakeEncoder())
    assert caught.value.where == ("drivers",)


@pytest.mark.parametrize("name", ["occlusion-mask", "integrated-gradients"])
def test_a_model_without_a_mask_says_what_it_can_serve(name: str) -> None:
    found = case(RIVER + MONEY, causal=True)
    with pytest.raises(UnsupportedModel, match="no mask token") as caught:
        found.explain(method=name)
    assert caught.value.where == ("drivers",)
    offered = str(caught.value).partition("choose from ")[2].split(", ")
    assert set(offered) == set(NAMES) - {"occlusion-mask", "integrated-gradients"}
    for other in set(METHODS) & set(offered):
        assert len(found.explain(method=other)) == 12
    assert found.encoder.asked


def test_no_budget_and_no_attention_are_refused() -> None:
    found = case(RIVER + MONEY)
    for budget in (0, -1):
        with pytest.raises(BadOption, match=f"a budget of {budget} words") as caught:
            found.explain(budget=budget)
        assert caught.value.where == ("budget",)
    with pytest.raises(ValueError, match="attention=True"):
        found._replace(usages=replace(found.usages, target_attention=None)).explain()
    assert found.encoder.asked == []
