"""Gradients through small real transformers: against finite differences, torch's own autograd, and deletion."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from analysis.corpus import documents
from analysis.drivers.methods import FADED, STEPS
from analysis.drivers.response import Response
from analysis.errors import UnsupportedModel
from analysis.model.encoder import TransformerEncoder
from analysis.senses import induce, represent
from analysis.text import find
from analysis.types import FloatArray, IntArray, Occurrence, Path, Perturbed
from tests.tiny import model_of, tiny

TEXTS = [
    "by the river bank my fish",
    "the bank of money, money and loan",  # "and" has three pieces
    "bank",
    "bank river water fish money loan cash by my of the cod bank",
    "cash, my bank.",
]
WIDTH = 16
STEP = 3e-3  # of a gate; a Llama takes its softmax in single precision whatever it is asked for


class Squashed:
    """tanh of a product with the vectors, and with the context: a response with a curve of its own."""

    def __init__(self, context: float = 0.15) -> None:
        random = np.random.default_rng(7)
        self.a, self.b = 0.1 * random.standard_normal(WIDTH), context * random.standard_normal(WIDTH)
        self.asked: list[int] = []

    def __call__(
        self, vectors: FloatArray, context: FloatArray, which: IntArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        self.asked += which.tolist()
        value = np.tanh(vectors @ self.a + context @ self.b)
        slope = (1 - value**2)[:, None]
        return value.astype(np.float32), (slope * self.a).astype(np.float32), (slope * self.b).astype(np.float32)

    def of(self, vectors: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """The same for one reading, differentiated by torch."""
        return torch.tanh(vectors @ torch.tensor(self.a) + context @ torch.tensor(self.b))


def occurrences(texts: list[str] = TEXTS) -> tuple[Occurrence, ...]:
    return find(documents(texts), "bank").occurrences


def laid_out(
    encoder: TransformerEncoder, occurrence: Occurrence
) -> tuple[torch.Tensor, Any, torch.Tensor, torch.Tensor]:
    """The ids as a plain call of the tokenizer gives them, the pieces' offsets, and which are target and context."""
    plain = encoder._tokenizer(occurrence.text, return_tensors="pt", return_offsets_mapping=True)
    offsets = plain["offset_mapping"][0].tolist()
    target = torch.tensor([a < occurrence.end and b > occurrence.start for a, b in offsets])
    special = torch.tensor([a == b for a, b in offsets])
    return plain["input_ids"], offsets, target, ~target & ~special


def by_word(encoder: TransformerEncoder, occurrence: Occurrence, of_piece: NDArray[Any], offsets: Any) -> list[float]:
    """The sums over the pieces of each word that `encode` reads."""
    (units,) = encoder.encode([occurrence]).words
    return [
        float(sum(x for x, (a, b) in zip(of_piece, offsets, strict=True) if a < unit.end and b > unit.start))
        for unit in units
    ]


@pytest.fixture(params=["bert", "mpnet", "llama", "gpt2"])
def encoder(request: pytest.FixtureRequest) -> TransformerEncoder:
    return tiny(request.param)


# gates


def gated(model: Any, respond: Squashed, reading: Any, gates: torch.Tensor, *, causal: bool) -> torch.Tensor:
    """The responses (G) of one reading under gates (G, T), in double precision, without padding."""
    ids, _, target, context = reading
    n = ids.shape[1]
    scores = gates.log()[:, None, None].repeat(1, 1, n, 1)
    if causal:
        scores[..., torch.ones(n, n, dtype=torch.bool).triu(1)] = -1e30
    with torch.no_grad():
        hidden = model(input_ids=ids.expand(len(gates), n), attention_mask=scores).last_hidden_state.double()
    weights = gates * context
    around = (weights[..., None] * hidden).sum(1) / weights.sum(1, keepdim=True).clamp(min=1e-12)
    return respond.of(hidden[:, target].mean(1), around)


@pytest.mark.parametrize("point", [1.0, 0.25, 0.05])
def test_what_a_word_adds_at_a_point_is_the_finite_difference_of_its_gates(
    encoder: TransformerEncoder, point: float
) -> None:
    respond = Squashed()
    found, _ = encoder.gradients(occurrences(), respond, path="gates", points=(point,))
    model = copy.deepcopy(model_of(encoder)).double()
    largest = max(np.abs(row).max() for row in found)
    assert largest > 0.02, "or nothing was tested"
    for i, occurrence in enumerate(occurrences()):
        reading = laid_out(encoder, occurrence)
        _, offsets, _, context = reading
        gates = torch.where(context, point, 1.0).double()
        step = STEP * point * torch.diag(context.double())
        up, down = (gated(model, respond, reading, gates + way, causal=encoder.info.causal) for way in (step, -step))
        expected = by_word(encoder, occurrence, ((up - down) / (2 * STEP * point)).numpy(), offsets)
        np.testing.assert_allclose(found[i], expected, atol=1e-3 * largest)


def test_at_point_1_the_text_is_read_as_it_is(encoder: TransformerEncoder) -> None:
    respond, usages = Squashed(), encoder.encode(occurrences())
    expected = respond(usages.vectors, usages.context, np.arange(len(usages)))[0]
    paths: tuple[Path, ...] = ("gates", "zero")
    for path in paths:
        ends = encoder.gradients(occurrences(), respond, path=path, points=(1.0,), ends=True).ends
        assert ends is not None
        np.testing.assert_allclose(ends[:, 1], expected, atol=1e-5)


def test_shut_gates_are_deletion_where_positions_do_not_matter() -> None:
    encoder, respond = tiny("bert without positions"), Squashed(context=0)
    found = occurrences()
    ends = encoder.gradients(found, respond, path="gates", points=(1.0,), ends=True).ends
    assert ends is not None
    deleted = encoder.encode([_without(encoder, occurrence, "delete") for occurrence in found])
    expected = respond(deleted.vectors, deleted.context, np.arange(len(found)))[0]
    np.testing.assert_allclose(ends[:, 0], expected, atol=1e-4)
    assert np.abs(ends[:, 1] - ends[:, 0]).max() > 0.05, "the context matters"


def _without(encoder: TransformerEncoder, occurrence: Occurrence, operator: Any) -> Perturbed:
    """The occurrence without any of its context."""
    (units,) = encoder.encode([occurrence]).words
    gone = tuple(unit.span for unit in units if not unit.special and not unit.span.overlaps(occurrence.span))
    return Perturbed(occurrence, gone, operator)


# the embeddings' paths


def embedded(encoder: TransformerEncoder, reading: Any, start: torch.Tensor, point: float, respond: Squashed) -> Any:
    """(response, gradient by the embeddings times their way from `start`, by piece), by torch's autograd alone."""
    ids, _, target, context = reading
    model = copy.deepcopy(model_of(encoder)).double()
    whole = model.get_input_embeddings()(ids)
    way = (whole - start) * context[None, :, None]
    moved = (whole - (1 - point) * way).detach().requires_grad_()
    hidden = model(inputs_embeds=moved, attention_mask=torch.ones_like(ids)).last_hidden_state[0]
    around = hidden[context].mean(0) if context.any() else torch.zeros(WIDTH, dtype=torch.double)
    value = respond.of(hidden[target].mean(0), around)
    (slope,) = torch.autograd.grad(value, moved)
    return float(value.detach()), (slope * way).sum(-1)[0].detach().numpy()


def test_gradient_x_input_is_torchs_gradient_times_the_embeddings(encoder: TransformerEncoder) -> None:
    respond = Squashed()
    found, ends = encoder.gradients(occurrences(), respond, path="zero", points=(1.0,))
    assert ends is None
    for i, occurrence in enumerate(occurrences()):
        reading = laid_out(encoder, occurrence)
        _, pieces = embedded(encoder, reading, torch.zeros(WIDTH, dtype=torch.double), 1.0, respond)
        expected = by_word(encoder, occurrence, pieces, reading[1])
        np.testing.assert_allclose(found[i], expected, atol=1e-4 * max(1.0, np.abs(expected).max()))
    assert max(np.abs(row).max() for row in found) > 0.02


def test_integrated_gradients_are_the_mean_over_their_points() -> None:
    encoder, respond, used = tiny("bert"), Squashed(), occurrences(TEXTS[:3])
    found, ends = encoder.gradients(used, respond, path="mask", points=STEPS, ends=True)
    assert ends is not None
    mask = copy.deepcopy(model_of(encoder)).double().get_input_embeddings().weight[4].detach()
    for i, occurrence in enumerate(used):
        reading = laid_out(encoder, occurrence)
        pieces = np.mean([embedded(encoder, reading, mask, point, respond)[1] for point in STEPS], axis=0)
        expected = by_word(encoder, occurrence, pieces, reading[1])
        np.testing.assert_allclose(found[i], expected, atol=1e-4 * max(1.0, np.abs(expected).max()))
        values = [embedded(encoder, reading, mask, point, respond)[0] for point in (0.0, 1.0)]
        np.testing.assert_allclose(ends[i], values, atol=1e-5)


def test_integrated_gradients_begin_at_the_masked_text() -> None:
    encoder, respond = tiny("bert"), Squashed(context=0)
    ends = encoder.gradients(occurrences(), respond, path="mask", points=(0.5,), ends=True).ends
    masked = encoder.encode([_without(encoder, occurrence, "mask") for occurrence in occurrences()])
    expected = respond(masked.vectors, masked.context, np.arange(len(masked.words)))[0]
    assert ends is not None
    np.testing.assert_allclose(ends[:, 0], expected, atol=1e-5)


@pytest.mark.parametrize("path", ["mask", "zero"])
def test_with_many_points_the_effects_sum_to_the_gain(path: Path) -> None:
    """Completeness (Sundararajan et al. 2017, proposition 1)."""
    encoder, points = tiny("bert"), [(k + 0.5) / 100 for k in range(100)]
    found, ends = encoder.gradients(occurrences(TEXTS[:2]), Squashed(), path=path, points=points, ends=True)
    assert ends is not None
    gains = ends[:, 1] - ends[:, 0]
    np.testing.assert_allclose([row.sum() for row in found], gains, atol=2e-3)
    assert np.abs(gains).max() > 0.02


# of both


@settings(max_examples=4, deadline=None)
@given(order=st.permutations(range(len(occurrences()))), path=st.sampled_from(["gates", "mask", "zero"]))
def test_padding_batches_and_order_change_nothing(order: list[int], path: Path) -> None:
    encoder, respond = tiny("bert"), Squashed()
    every = occurrences()
    together, ends = encoder.gradients(
        [every[i] for i in order] * 2, respond, path=path, points=(0.25, 0.75), ends=True
    )
    assert ends is not None
    for place, i in enumerate(order):
        alone, own_ends = encoder.gradients([every[i]], respond, path=path, points=(0.25, 0.75), ends=True)
        assert own_ends is not None
        for copy_ in (place, place + len(order)):
            np.testing.assert_allclose(together[copy_], alone[0], atol=1e-5)
            np.testing.assert_allclose(ends[copy_], own_ends[0], atol=1e-5)


def test_every_point_of_every_usage_is_asked_about_once() -> None:
    encoder, respond, told = tiny("llama"), Squashed(), []
    n = len(occurrences())
    encoder.gradients(occurrences(), respond, path="gates", points=(0.2, 0.6, 0.9), ends=True, progress=told.append)
    assert sorted(respond.asked) == sorted(list(range(n)) * 5)
    assert sum(told) == n * (3 * 3 + 2)


@pytest.mark.parametrize("path", ["gates", "zero"])
def test_a_causal_target_is_moved_by_nothing_after_it(path: Path) -> None:
    for kind in ("llama", "bert"):
        encoder = tiny(kind)
        found, _ = encoder.gradients(occurrences(), Squashed(context=0), path=path, points=(0.3,))
        later = [
            abs(effect)
            for row, words, use in zip(found, encoder.encode(occurrences()).words, occurrences(), strict=True)
            for effect, unit in zip(row.tolist(), words, strict=True)
            if unit.start >= use.end and not unit.special
        ]
        assert len(later) > 10
        assert (max(later) > 1e-3) == (kind == "bert")
        if kind == "llama":
            assert max(later) == 0
            assert max(np.abs(row).max() for row in found) > 1e-3


@pytest.mark.parametrize("path", ["gates", "zero", "mask"])
def test_the_target_and_special_tokens_add_nothing(path: Path) -> None:
    encoder = tiny("bert")
    found, _ = encoder.gradients(occurrences(), Squashed(), path=path, points=FADED)
    for row, words, use in zip(found, encoder.encode(occurrences()).words, occurrences(), strict=True):
        assert len(row) == len(words)
        assert row.dtype == np.float32
        for effect, unit in zip(row.tolist(), words, strict=True):
            if unit.special or unit.span.overlaps(use.span):
                assert effect == 0
    assert not found[2].any(), "nothing but the target"


def test_a_model_without_a_mask_has_no_path_from_it() -> None:
    with pytest.raises(UnsupportedModel, match="no mask token"):
        tiny("llama").gradients(occurrences(), Squashed(), path="mask", points=(1.0,))


def test_the_model_is_as_it_was_before(encoder: TransformerEncoder) -> None:
    before = encoder.encode(occurrences(), attention=True)
    encoder.gradients(occurrences(), Squashed(), path="gates", points=FADED, ends=True)
    after = encoder.encode(occurrences(), attention=True)
    np.testing.assert_array_equal(before.vectors, after.vectors)
    assert all(p.grad is None and not p.requires_grad for p in model_of(encoder).parameters())
    assert torch.is_grad_enabled()


def test_the_probability_of_a_sense_through_a_model() -> None:
    """The whole chain at once: what all words add at a point is how the probability changes along the path there."""
    encoder = tiny("bert")
    found = occurrences([*TEXTS, "river bank", "water bank of fish", "my loan bank"])
    usages = encoder.encode(found)
    model, assignment = induce(usages.vectors, usages.context, target="bank", n_senses=2)
    response = Response(model, assignment.sense, represent(usages.vectors, usages.context))
    seen: dict[int, float] = {}

    def listen(vectors: FloatArray, context: FloatArray, which: IntArray) -> Any:
        told = response.slope(vectors, context, which)
        seen.update(zip(which.tolist(), told[0].tolist(), strict=True))
        return told

    def at(point: float) -> NDArray[np.float64]:
        seen.clear()
        encoder.gradients(found, listen, path="gates", points=(point,))
        return np.array([seen[i] for i in range(len(found))])

    added, _ = encoder.gradients(found, response.slope, path="gates", points=(0.5,))
    slope = (at(0.505) - at(0.495)) / 0.01
    np.testing.assert_allclose([row.sum() for row in added], slope, atol=0.01 * np.abs(slope).max())
    assert np.abs(slope).max() > 0.02
