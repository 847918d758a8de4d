"""Drivers through real models: what is claimed of the methods holds for weights that were trained."""

from __future__ import annotations

import copy
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
import torch

from analysis.corpus import documents
from analysis.drivers.methods import METHODS, explain
from analysis.drivers.response import Response
from analysis.errors import UnsupportedModel
from analysis.model.encoder import TransformerEncoder
from analysis.senses import induce, represent
from analysis.text import FUNCTION_WORDS, find
from analysis.types import Attribution, Perturbed, Usages

SEED_SENTENCES = ["I went to the bank to deposit money", "I sat by the bank watching the river"]
TEXTS = [
    *SEED_SENTENCES,
    "The bank lends money at five percent.",
    "We fished from the muddy bank of the river.",
    "She opened an account at the bank on the corner.",
    "Wildflowers grew along the bank where the stream slows down.",
    "The bank's cash machine swallowed my card on Sunday.",
    "The canoe drifted towards the far bank of the river.",
    "He borrowed ten thousand from the bank for a car.",
    "Cattle came down the steep bank to drink.",
    "The bank refused to change my notes.",
    "Otters had dug holes in the bank above the water.",
]


class Case(NamedTuple):
    encoder: TransformerEncoder
    usages: Usages
    response: Response

    def explain(self, method: str, chosen: list[int] | None = None) -> tuple[Attribution, ...]:
        which = list(range(len(self.usages))) if chosen is None else chosen
        return explain(
            self.encoder, self.usages.take(which), self.response.take(which), method=method,
            function_words=FUNCTION_WORDS["en"],
        )  # fmt: skip


@cache
def case(encoder: TransformerEncoder) -> Case:
    usages = encoder.encode(find(documents(TEXTS), "bank").occurrences, attention=True)
    model, assignment = induce(usages.vectors, usages.context, target="bank", n_senses=2)
    return Case(encoder, usages, Response(model, assignment.sense, represent(usages.vectors, usages.context)))


def test_the_seed_sentences_are_driven_by_their_content_words(minilm: TransformerEncoder) -> None:
    money, river = case(minilm).explain("occlusion", [0, 1])
    top = [{a.words[k].text for k in a.ranking[:2]} for a in (money, river)]
    assert top[0] <= {"deposit", "money", "went"}
    assert top[1] <= {"river", "watching", "sat"}


def test_integrated_gradients_of_ten_points_nearly_sum_to_the_gain(minilm: TransformerEncoder) -> None:
    found, chosen = case(minilm), [0, 1, 3, 4]
    use, respond = found.usages.take(chosen).occurrences, found.response.take(chosen).slope
    ends = minilm.gradients(use, respond, path="mask", points=(0.5,), ends=True).ends
    assert ends is not None
    gains = ends[:, 1] - ends[:, 0]
    attributions = found.explain("integrated-gradients", chosen)
    gaps = np.array([attribution.gap for attribution in attributions])
    np.testing.assert_allclose(gaps, gains - [a.effects.sum() for a in attributions], atol=0.02 * np.abs(gains).max())
    assert np.abs(gains).max() > 0.3, "or there is nothing to explain"
    assert np.abs(gaps).mean() < 0.1 * np.abs(gains).mean()


def test_value_zeroing_equals_a_plain_loop_over_layers_and_words(minilm: TransformerEncoder) -> None:
    """The first sentence: each layer called by itself on its true input, a word's values at nought."""
    occurrence = case(minilm).usages.occurrences[0]
    (shares,), model = minilm.value_zeroing([occurrence]), minilm._model
    ids = torch.tensor([minilm._tokenizer(occurrence.text)["input_ids"]])
    turned = np.zeros((6, 8))  # every word is one piece: [CLS] I went to the bank to deposit money [SEP]
    with torch.no_grad():
        states = model(input_ids=ids, output_hidden_states=True).hidden_states
        for layer in range(6):
            block = copy.deepcopy(model.encoder.layer[layer])
            value = block.attention.self.value
            whole = block(states[layer])[0, 5]
            for word, position in enumerate(p for p in range(1, 9) if p != 5):
                zero = value.register_forward_hook(
                    lambda _m, _a, out, position=position: out * (torch.arange(out.shape[1]) != position)[None, :, None]
                )
                changed = block(states[layer])[0, 5]
                zero.remove()
                turned[layer, word] = 1 - torch.nn.functional.cosine_similarity(whole, changed, dim=0)
    expected = (turned / turned.sum(axis=1, keepdims=True)).mean(axis=0)[:7]
    np.testing.assert_allclose(shares[[1, 2, 3, 4, 6, 7, 8]], expected, atol=1e-3)


def test_nearly_shut_gates_say_what_deletion_says(minilm: TransformerEncoder) -> None:
    """Positions move when words are deleted and stay when they fade: nearly, and in the same order of usages."""
    found = case(minilm)
    ends = minilm.gradients(found.usages.occurrences, _towards_money, path="gates", points=(1.0,), ends=True).ends
    gone = [
        Perturbed(use, tuple(u.span for u in units if not u.special and not u.span.overlaps(use.span)))
        for use, units in zip(found.usages.occurrences, found.usages.words, strict=True)
    ]
    deleted = minilm.encode(gone)
    assert ends is not None
    alone = _towards_money(deleted.vectors, deleted.context, np.arange(len(gone)))[0]
    whole = _towards_money(found.usages.vectors, found.usages.context, np.arange(len(gone)))[0]
    np.testing.assert_allclose(ends[:, 1], whole, atol=1e-5)
    assert np.abs(ends[:, 0] - alone).mean() < 0.35 * np.abs(whole - alone).mean()


def _towards_money(vectors: np.ndarray, context: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, ...]:  # type: ignore[type-arg]
    """The first entries of the target's direction: any number that looks at the vectors only."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    value = (vectors / lengths)[:, :20].sum(axis=1)
    return value.astype(np.float32), np.zeros_like(vectors), np.zeros_like(context)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_decoder_is_explained_by_every_method_it_can_serve(smollm2: TransformerEncoder, method: str) -> None:
    found = case(smollm2)
    if "mask" in METHODS[method].needs:
        with pytest.raises(UnsupportedModel, match="no mask token"):
            found.explain(method, [0])
        return
    (money,) = found.explain(method, [0])
    assert [unit.text for unit in money.words] == ["I", "went", "to", "the", "to", "deposit", "money"]
    assert np.isfinite(money.effects[~np.isnan(money.effects)]).all()
    if method.startswith(("attention", "rollout", "value")):
        np.testing.assert_allclose(money.effects[4:], 0, atol=1e-4)
        assert np.abs(money.effects[:4]).max() > 0.01
