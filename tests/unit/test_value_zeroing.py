"""Value zeroing against a plain loop: each layer of a small real transformer called by itself, one word at a time."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from analysis.corpus import documents
from analysis.errors import UnsupportedModel
from analysis.text import find
from analysis.types import Occurrence
from tests.tiny import model_of, tiny

TEXTS = [
    "by the river bank my fish",
    "the bank of money, money and loan",  # "and" has three pieces
    "bank",
    "the cod of the banks by my loan and cash, the cod, water",  # more words than are tried at once
    "river bank",
]


def occurrences() -> tuple[Occurrence, ...]:
    return find(documents(TEXTS), "bank").occurrences


class Without(torch.nn.Module):
    """A projection to values, nought at some positions."""

    def __init__(self, inner: Any, gone: list[int]) -> None:
        super().__init__()
        self.inner, self.gone = inner, gone

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        values = self.inner(states).clone()
        values[:, self.gone] = 0
        return values


def called(model: Any, layer: int, states: torch.Tensor, gone: list[int]) -> torch.Tensor:
    """The output (T, D) of one layer for its input (T, D), without the values of some positions."""
    n = len(states)
    if hasattr(model, "encoder"):
        block = copy.deepcopy(model.encoder.layer[layer])
        block.attention.self.value = Without(block.attention.self.value, gone)
        output = block(states[None])
    else:
        block = copy.deepcopy(model.layers[layer])
        block.self_attn.v_proj = Without(block.self_attn.v_proj, gone)
        later = torch.full((n, n), -1e30).triu(1)[None, None]
        rotary = model.rotary_emb(states[None], torch.arange(n)[None])
        output = block(states[None], attention_mask=later, position_embeddings=rotary)
    return (output if isinstance(output, torch.Tensor) else output[0])[0]


@torch.no_grad()
def by_hand(kind: str, occurrence: Occurrence) -> list[float]:
    encoder = tiny(kind)
    model = model_of(encoder)
    plain = encoder._tokenizer(occurrence.text, return_tensors="pt", return_offsets_mapping=True)
    offsets = plain["offset_mapping"][0].tolist()
    target = [t for t, (a, b) in enumerate(offsets) if a < occurrence.end and b > occurrence.start]
    states = model(input_ids=plain["input_ids"], output_hidden_states=True).hidden_states
    (units,) = encoder.encode([occurrence]).words
    shares = np.zeros((2, len(units)))
    for layer in range(2):
        whole = called(model, layer, states[layer][0], [])
        for w, unit in enumerate(units):
            pieces = [t for t, (a, b) in enumerate(offsets) if a < unit.end and b > unit.start]
            if unit.special or set(pieces) & set(target):
                continue
            changed = called(model, layer, states[layer][0], pieces)
            cosine = torch.nn.functional.cosine_similarity(whole[target], changed[target], dim=-1)
            shares[layer, w] = (1 - cosine).mean()
        shares[layer] /= shares[layer].sum() or 1
    return shares.mean(axis=0).tolist()


@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_value_zeroing_equals_a_plain_loop_over_layers_and_words(kind: str) -> None:
    found = tiny(kind).value_zeroing(occurrences())
    for shares, occurrence in zip(found, occurrences(), strict=True):
        expected = by_hand(kind, occurrence)
        np.testing.assert_allclose(shares, expected, atol=1e-4)
    assert np.ptp(found[0][found[0] > 0]) > 0.01, "words differ, or nothing was tested"


def test_shares_are_of_the_context_and_sum_to_1() -> None:
    encoder = tiny("bert")
    words = encoder.encode(occurrences()).words
    for shares, units, occurrence in zip(encoder.value_zeroing(occurrences()), words, occurrences(), strict=True):
        assert shares.dtype == np.float32
        assert (shares >= 0).all()
        assert shares.sum() == pytest.approx(0 if occurrence.text == "bank" else 1, abs=1e-5)
        for share, unit in zip(shares, units, strict=True):
            assert not share or not (unit.special or unit.span.overlaps(occurrence.span))


def test_a_causal_target_mixes_in_nothing_after_it() -> None:
    encoder = tiny("llama")
    for shares, units, use in zip(
        encoder.value_zeroing(occurrences()), encoder.encode(occurrences()).words, occurrences(), strict=True
    ):
        later = [share for share, unit in zip(shares, units, strict=True) if unit.start >= use.end]
        np.testing.assert_allclose(later, 0, atol=1e-6)


def test_the_model_is_as_it_was_before() -> None:
    encoder, told = tiny("bert"), list[int]()

    def hooks() -> int:
        return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model_of(encoder).modules())

    before = encoder.encode(occurrences(), attention=True)
    n_hooks = hooks()  # transformers has its own, by which it keeps attention
    encoder.value_zeroing(occurrences(), progress=told.append)
    assert hooks() == n_hooks
    after = encoder.encode(occurrences(), attention=True)
    np.testing.assert_array_equal(before.vectors, after.vectors)
    assert len(told) == len(TEXTS)
    # Signs are words of the context, too, and "banks" is the target.
    assert sum(told) == 5 + 7 + 0 + 14 + 1


def test_a_model_with_one_matrix_for_all_is_refused() -> None:
    encoder = tiny("gpt2")
    with pytest.raises(UnsupportedModel, match="matrix of its own") as caught:
        encoder.value_zeroing(occurrences())
    assert caught.value.where == ("drivers",)
    assert len(encoder.encode(occurrences()).vectors) == 5, "anything else works"
