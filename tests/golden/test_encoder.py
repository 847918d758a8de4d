"""The real models against a plain transformers call: the hardest claims, within 1e-5."""

import shutil
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from analysis.attention import by_word
from analysis.catalogue import resolve
from analysis.corpus import documents
from analysis.errors import BadText, UnsupportedModel
from analysis.model.encoder import TransformerEncoder, load
from analysis.text import find
from analysis.types import FloatArray, Occurrence, Perturbed, Span
from tests.real import folder

TEXTS = [
    "I went to the bank to deposit money",
    "I sat by the bank watching the river",
    "The riverbanks were muddy, but the bank (an old one) stood: its banker smiled.",
    "🏦 Le café près de la bank… naïve",
    "bank",
]


@cache
def plain_parts(name: str) -> tuple[Any, Any]:
    """The tokenizer and the model as a user would load them."""
    where = folder(name)
    extra = {"gguf_file": where.weights} if where.weights.endswith(".gguf") else {}
    tokenizer = AutoTokenizer.from_pretrained(where.path, local_files_only=True, **extra)
    model = AutoModel.from_pretrained(
        where.path, local_files_only=True, attn_implementation="eager", dtype=torch.float32, **extra
    )
    return tokenizer, model.eval()


@cache
def plain(name: str, text: str) -> tuple[list[list[int]], Any]:
    """What a user would write: the whole text, one at a time, everything kept; and the pieces' offsets."""
    tokenizer, model = plain_parts(name)
    encoded = tokenizer(text, return_tensors="pt", return_offsets_mapping=True)
    offsets = encoded.pop("offset_mapping")[0].tolist()
    encoded.pop("token_type_ids", None)
    with torch.inference_mode():
        return offsets, model(**encoded, output_attentions=True, output_hidden_states=True)


def assert_near(actual: FloatArray, expected: FloatArray) -> None:
    """Within 1e-5 of the vector's own length: a decoder's hidden states have entries in the hundreds."""
    error, length = np.linalg.norm(actual - expected, axis=-1), np.linalg.norm(expected, axis=-1)
    assert (error <= 1e-5 * np.maximum(length, 1)).all(), error / length


def occurrences(texts: list[str]) -> tuple[Occurrence, ...]:
    return find(documents(texts), "bank").occurrences


@pytest.mark.parametrize("context", [True, False])
@pytest.mark.parametrize(
    ("name", "way"),
    [("minilm", "Packed"), ("mpnet", "Packed"), pytest.param("smollm2", "Rows", marks=pytest.mark.slow)],
)
def test_vectors_layers_and_rows_equal_a_plain_call(
    request: pytest.FixtureRequest, name: str, way: str, context: bool
) -> None:
    encoder: TransformerEncoder = request.getfixturevalue(name)
    assert type(encoder._forward).__name__ == way
    found = occurrences(TEXTS)
    layers = range(encoder.info.layers + 1)
    usages = encoder.encode(found, layers=layers, attention=True, context=context)
    for i, occurrence in enumerate(found):
        offsets, output = plain(encoder.info.name, occurrence.text)
        target = [t for t, (a, b) in enumerate(offsets) if a < occurrence.end and b > occurrence.start]
        hidden = torch.stack(output.hidden_states)[:, 0, target].mean(1).numpy()
        assert_near(usages.layers[i], hidden)
        last = output.last_hidden_state[0, target].mean(0).numpy()
        assert_near(usages.vectors[i], last)
        others = [t for t, (a, b) in enumerate(offsets) if a < b and t not in target]
        if context and others:
            assert_near(usages.context[i], output.last_hidden_state[0, others].mean(0).numpy())
        rows = torch.stack(output.attentions)[:, 0][:, :, target].mean(2).numpy()
        for w, unit in enumerate(usages.words[i]):
            if not unit.special:
                keys = [t for t, (a, b) in enumerate(offsets) if a < unit.end and b > unit.start]
                np.testing.assert_allclose(usages.target_attention[i][..., w], rows[..., keys].sum(-1), atol=1e-5)


def test_attention_equals_a_plain_call(encoder: TransformerEncoder) -> None:
    for text in TEXTS:
        _, output = plain(encoder.info.name, text)
        attention = encoder.attention(text)
        np.testing.assert_allclose(attention.weights, torch.stack(output.attentions)[:, 0].numpy(), atol=1e-5)


def test_rows_sum_to_one_and_a_causal_row_sees_no_future(encoder: TransformerEncoder) -> None:
    for attention in (encoder.attention(TEXTS[2]), by_word(encoder.attention(TEXTS[2]))):
        np.testing.assert_allclose(attention.weights.sum(-1), 1, atol=1e-5)
        future = np.triu(np.ones(attention.weights.shape[-2:], dtype=bool), k=1)
        assert (attention.weights[..., future] == 0).all() == encoder.info.causal
    usages = encoder.encode(occurrences(TEXTS), attention=True)
    for row in usages.target_attention:
        np.testing.assert_allclose(row.sum(-1), 1, atol=1e-5)


def test_batched_equals_single_in_any_order(encoder: TransformerEncoder) -> None:
    found = occurrences(TEXTS * 3)
    together = encoder.encode(found[::-1])
    for i, occurrence in enumerate(found[::-1]):
        alone = encoder.encode([occurrence])
        assert_near(together.vectors[i], alone.vectors[0])
        assert_near(together.context[i], alone.context[0])


def test_equal_texts_have_equal_vectors(minilm: TransformerEncoder) -> None:
    usages = minilm.encode(occurrences([TEXTS[0], *TEXTS, TEXTS[0]]))
    assert np.array_equal(usages.vectors[0], usages.vectors[1])
    assert np.array_equal(usages.vectors[0], usages.vectors[-1])


def test_a_deleted_word_equals_the_text_without_it(minilm: TransformerEncoder) -> None:
    whole, shorter = TEXTS[0], "I went to the bank to deposit"
    without = minilm.encode([Perturbed(occurrences([whole])[0], (Span(30, 35),))])
    direct = minilm.encode(occurrences([shorter]))
    np.testing.assert_allclose(without.vectors, direct.vectors, atol=1e-5)
    np.testing.assert_allclose(without.context, direct.context, atol=1e-5)


def test_a_masked_word_equals_the_text_with_the_mask(minilm: TransformerEncoder) -> None:
    masked = minilm.encode([Perturbed(occurrences([TEXTS[0]])[0], (Span(30, 35),), "mask")])
    direct = minilm.encode(occurrences(["I went to the bank to deposit [MASK]"]))
    np.testing.assert_allclose(masked.vectors, direct.vectors, atol=1e-5)


def test_a_decoder_has_no_mask(encoder: TransformerEncoder) -> None:
    reading = Perturbed(occurrences([TEXTS[0]])[0], (Span(30, 35),), "mask")
    if encoder.info.causal:
        with pytest.raises(UnsupportedModel, match="no mask token"):
            encoder.encode([reading])
    else:
        assert encoder.encode([reading]).vectors.shape == (1, encoder.info.width)


def test_a_long_text_is_read_through_a_window(minilm: TransformerEncoder) -> None:
    filler = "The weather was fine and nothing at all happened. " * 300
    text = filler + "She rowed to the bank of the river." + filler
    [far] = minilm.encode(occurrences([text])).words
    assert sum(not unit.special for unit in far) > 400
    assert {"rowed", "bank", "river"} <= {unit.text for unit in far}
    with pytest.raises(BadText, match="subwords; an attention matrix takes 1 to 510"):
        minilm.attention(text)


def test_the_static_vector_is_the_row_of_the_table(encoder: TransformerEncoder) -> None:
    table = plain_parts(encoder.info.name)[1].get_input_embeddings().weight.detach().numpy()
    once, again = encoder.static(["bank", "river"])[0], encoder.static(["bank"])[0]
    assert np.array_equal(once, again)
    assert (np.abs(table - once).max(axis=1) < 1e-6).any()


def test_layer_0_already_holds_the_position(minilm: TransformerEncoder) -> None:
    usages = minilm.encode(occurrences(["bank here", "here is the bank"]), layers=[0])
    assert np.abs(usages.layers[0] - usages.layers[1]).max() > 1e-3


def test_what_is_known_of_the_models(encoder: TransformerEncoder) -> None:
    info = encoder.info
    expected = {"minilm": (6, 12, 384, False), "smollm2": (30, 9, 576, True)}[info.name]
    assert (info.layers, info.heads, info.width, info.causal) == expected
    assert info.window == 512
    assert len(info.digest) == 64


def test_sentences_are_those_of_sentence_transformers(minilm: TransformerEncoder) -> None:
    """Its recipe for these models, as on their cards: padded batch, mean over the mask, length 1."""
    tokenizer, model = plain_parts("minilm")
    encoded = tokenizer(TEXTS, padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        hidden = model(**encoded)[0]
    mask = encoded["attention_mask"].unsqueeze(-1).float()
    expected = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1).numpy()
    read = minilm.sentences(TEXTS)
    np.testing.assert_allclose(read.vectors, expected, atol=1e-5)
    assert read.subwords.tolist() == encoded["attention_mask"].sum(1).tolist()
    for i, text in enumerate(TEXTS):
        np.testing.assert_allclose(minilm.sentences([text]).vectors[0], read.vectors[i], atol=1e-5)


@pytest.mark.parametrize("text", ["", "word " * 600])
def test_a_sentence_that_the_window_does_not_hold(minilm: TransformerEncoder, text: str) -> None:
    with pytest.raises(BadText) as raised:
        minilm.sentences(["fine", text])
    assert raised.value.where == ("texts", 1)


def test_the_last_layer_by_number_is_the_last_hidden_state(encoder: TransformerEncoder) -> None:
    """What POST /v1/embeddings answers for the last layer."""
    occurrences = find(documents(TEXTS[:2]), "bank").occurrences
    usages = encoder.encode(occurrences, layers=[encoder.info.layers])
    assert usages.layers is not None
    np.testing.assert_array_equal(usages.layers[:, 0], usages.vectors)


@pytest.mark.slow
def test_a_gguf_file_is_taken_apart_once(tmp_path: Path) -> None:
    original = folder("smollm2")
    shutil.copytree(original.path, tmp_path / "models" / "smollm2")
    gguf = resolve("smollm2", tmp_path)
    found = occurrences(TEXTS[:2])
    expected = load(gguf).encode(found).vectors
    (kept,) = (tmp_path / "models").glob(".smollm2-*")
    (gguf.path / gguf.weights).write_bytes(b"")
    assert (load(gguf).encode(found).vectors == expected).all()
    weights = bytearray((kept / "model.safetensors").read_bytes())
    weights[-3] ^= 1  # still weights, but others
    (kept / "model.safetensors").write_bytes(weights)
    with pytest.raises(UnsupportedModel):
        load(gguf)
    shutil.copy(original.path / original.weights, gguf.path)
    assert (load(gguf).encode(found).vectors == expected).all()
    assert [path.name for path in (tmp_path / "models").glob(".smollm2-*")] == [kept.name]
    assert (load(gguf).encode(found).vectors == expected).all()
