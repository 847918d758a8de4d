"""Every way through a model keeps what transformers itself gives, one text at a time, with its whole attention."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from analysis.catalogue import ModelFolder
from analysis.corpus import documents
from analysis.errors import BadOption
from analysis.model.batches import batches, filled
from analysis.model.encoder import LOOK_AHEAD, TransformerEncoder, load
from analysis.model.forward import Forward, Kept, Wanted
from analysis.model.memory import LARGE, zeros
from analysis.model.packed import Packed
from analysis.model.reading import Reading
from analysis.text import find
from analysis.types import Occurrence, Perturbed, Span
from tests.tiny import model_of, tiny

TEXTS = [
    "the bank of the river",
    "my money, by the bank.",
    "bank",
    "the loan of the bank of my river",
    "fish by the bank of the water",
    "the riverbank of fish",  # of several subwords
    "the riverbank",
    "water by my bank " + "of the river " * 30,  # longer than the window
]
WAYS = {
    "bert": "Packed",
    "mpnet": "Packed",
    "roberta": "Packed",
    "distilbert": "Rows",
    "llama": "Rows",
    "gpt2": "Rows",
    "gemma2": "Plain",  # its scores go through a tanh
    "deberta": "Plain",
}


def uses() -> list[Occurrence]:
    """Several of a text's words too, and apart from one another."""
    return [use for word in ("bank", "riverbank", "river", "the") for use in find(documents(TEXTS), word).occurrences]


@pytest.mark.parametrize("kind", WAYS)
def test_each_architecture_goes_the_fastest_way_that_it_can(kind: str) -> None:
    assert type(tiny(kind)._forward).__name__ == WAYS[kind]


@pytest.mark.parametrize("context", [True, False])
@pytest.mark.parametrize("kind", WAYS)
def test_what_is_kept_is_what_a_plain_call_gives(kind: str, context: bool) -> None:
    encoder, used = tiny(kind), uses()
    layers = [2, 0, 1]
    usages = encoder.encode(used, layers=layers, attention=True, context=context)
    assert usages.layers is not None
    assert usages.target_attention is not None
    for i, (reading, words) in enumerate(zip(encoder._lay_out(used), usages.words, strict=True)):
        output = plain(encoder, reading.ids)
        target = torch.from_numpy(reading.target)
        hidden = torch.stack(output.hidden_states)[:, 0]
        near(usages.vectors[i], hidden[-1][target].mean(0))
        near(usages.layers[i], hidden[layers][:, target].mean(1))
        if context:
            near(
                usages.context[i], hidden[-1][torch.from_numpy(reading.context)].sum(0) / max(1, reading.context.sum())
            )
        rows = torch.stack(output.attentions)[:, 0][:, :, target].mean(2)
        pooled = [rows[..., torch.from_numpy(reading.unit_of == w)].sum(-1) for w in range(len(words))]
        near(usages.target_attention[i], torch.stack(pooled, -1))
    assert usages.context.shape == (len(used), encoder.info.width if context else 0)


@pytest.mark.parametrize("layers", [(), (0, 1, 2)])
@pytest.mark.parametrize("kind", ["bert", "mpnet", "roberta"])
def test_the_program_gives_what_the_operations_one_by_one_give(
    kind: str, layers: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = tiny(kind)
    asked = {"layers": layers, "context": False}
    assert isinstance(encoder._forward, Packed)
    assert encoder._forward._program is not None
    program = encoder.encode(uses(), **asked)
    monkeypatch.setattr(encoder._forward, "_program", None)
    single = encoder.encode(uses(), **asked)
    np.testing.assert_allclose(program.vectors, single.vectors, atol=1e-5)
    if layers:
        np.testing.assert_allclose(program.layers, single.layers, atol=1e-5)


@pytest.mark.parametrize("kind", WAYS)
def test_whole_attention_and_sentences_are_those_of_a_plain_call(kind: str) -> None:
    encoder = tiny(kind)
    for text in TEXTS[:6]:
        ids, _ = encoder._layout.whole(text)
        output = plain(encoder, ids)
        near(encoder.attention(text).weights, torch.stack(output.attentions)[:, 0])
        mean = output.last_hidden_state[0].mean(0)
        near(encoder.sentences([*TEXTS[:5], text]).vectors[-1], mean / mean.norm())


@pytest.mark.parametrize("kind", ["mpnet", "llama"])
def test_a_target_may_be_as_long_as_the_window(kind: str) -> None:
    encoder, text = tiny(kind), "b a n k " * 14
    use = Occurrence(text, "", 0, len(text) - 1, "long")
    (reading,) = encoder._lay_out([use])
    assert reading.target.sum() > 50
    output = plain(encoder, reading.ids)
    usages = encoder.encode([use, *uses()], layers=[2], attention=True, context=False)
    near(usages.vectors[0], output.last_hidden_state[0, torch.from_numpy(reading.target)].mean(0))
    assert usages.target_attention is not None
    rows = torch.stack(output.attentions)[:, 0][:, :, torch.from_numpy(reading.target)].mean(2)
    near(usages.target_attention[0], rows)


def test_what_nobody_asks_for_is_not_there() -> None:
    usages = tiny("mpnet").encode(uses(), context=False)
    assert (usages.layers, usages.target_attention, usages.context.shape) == (None, None, (len(usages), 0))
    assert tiny("mpnet").encode([], layers=[1]).vectors.shape == (0, 16)


def test_a_stream_gives_what_encode_gives_and_holds_little() -> None:
    encoder = tiny("bert")
    many = [Occurrence(f"the bank {'of fish ' * (i % 7)}{i}", "bank", 4, 8, str(i)) for i in range(2 * LOOK_AHEAD + 3)]
    asked = 0

    def endless() -> Any:
        nonlocal asked
        for item in many * 5:
            asked += 1
            yield item

    parts = list(islice(encoder.stream(endless(), layers=[1], attention=True), 2))
    assert [len(part) for part in parts] == [LOOK_AHEAD] * 2
    assert asked <= 3 * LOOK_AHEAD
    whole = encoder.encode(many, layers=[1], attention=True)
    assert [use.source_id for use in whole.occurrences] == [use.source_id for use in many]
    assert whole.layers is not None
    for part, first in zip(parts, (0, LOOK_AHEAD), strict=True):
        some = slice(first, first + LOOK_AHEAD)
        assert part.layers is not None
        np.testing.assert_allclose(part.vectors, whole.vectors[some], atol=1e-5)
        np.testing.assert_allclose(part.layers, whole.layers[some], atol=1e-5)
    np.testing.assert_allclose(whole.vectors[-1], encoder.encode(many[-1:]).vectors[0], atol=1e-5)


class Counted:
    """A forward pass that counts the readings it is given."""

    def __init__(self, forward: Forward) -> None:
        self.forward, self.batches, self.room, self.readings = forward, forward.batches, forward.room, 0

    def __call__(self, readings: Sequence[Reading], wanted: Wanted, room: Any = None) -> Kept:
        self.readings += len(readings)
        return self.forward(readings, wanted, room)


def test_repeated_texts_are_computed_once_and_progress_counts_them_all() -> None:
    other = tiny("bert")
    folder = ModelFolder("bert", Path(), "none", "made in a test", "1", "0" * 64)
    encoder = TransformerEncoder(model_of(other), other._tokenizer, folder)
    counted = encoder._forward = Counted(encoder._forward)
    once = Occurrence("the bank of the river", "bank", 4, 8, "a")
    again = Occurrence("the bank of the river", "bank", 4, 8, "b")
    without = [Perturbed(use, (Span(16, 21),)) for use in (once, again)]
    short = Occurrence("the bank of the", "bank", 4, 8, "c")
    told: list[int] = []
    usages = encoder.encode([once, *without, again, once, short], progress=told.append)
    assert counted.readings == 2, "the text without its last word is the shorter text"
    assert sum(told) == 6
    assert [use.source_id for use in usages.occurrences] == ["a", "a", "b", "b", "a", "c"]
    assert (usages.vectors[[0, 1]] == usages.vectors[[3, 5]]).all()


def test_batches_hold_every_reading_once_and_near_equal_lengths() -> None:
    lengths = np.random.default_rng(0).integers(3, 90, 300).tolist()
    found = list(batches(lengths, size=100, subwords=256))
    assert sorted(i for batch in found for i in batch) == list(range(300))
    for batch in found:
        assert len(batch) * max(lengths[i] for i in batch) <= 256 or len(batch) == 1
    ends = [lengths[batch[-1]] for batch in found]
    assert all(max(lengths[i] for i in batch) <= end for batch, end in zip(found[1:], ends, strict=False))


def test_filled_batches_hold_every_reading_once_and_leave_no_room_that_another_would_fit() -> None:
    lengths = [*np.random.default_rng(0).integers(3, 90, 300).tolist(), 300]
    found = list(filled(lengths, 256))
    assert sorted(i for batch in found for i in batch) == list(range(301))
    assert found[0] == [300]
    for k, batch in enumerate(found[1:], 1):
        room = 256 - sum(lengths[i] for i in batch)
        assert room >= 0
        assert all(lengths[i] > room for later in found[k + 1 :] for i in later)
    assert list(filled([], 256)) == []


def test_the_readings_of_one_text_are_one_text_of_a_batch() -> None:
    encoder, text = tiny("mpnet"), "the bank of the river by my money"
    laid = encoder._lay_out(
        [use for word in ("bank", "river", "money") for use in find(documents([text]), word).occurrences]
    )
    assert [sorted(batch) for batch in encoder._forward.batches(laid)] == [[0, 1, 2]]
    assert len(encoder._forward._lay(laid).ids) == len(laid[0])
    many = laid * 200
    assert sorted(i for batch in encoder._forward.batches(many) for i in batch) == list(range(600))


def test_a_device_that_is_not_there_is_refused() -> None:
    folder = ModelFolder("bert", Path(), "none", "made in a test", "1", "0" * 64)
    with pytest.raises(BadOption, match=r"there is no device 'gpu'.*; give auto, cpu, or cuda"):
        load(folder, device="gpu")


def plain(encoder: TransformerEncoder, ids: Any) -> Any:
    with torch.inference_mode():
        return model_of(encoder)(
            input_ids=torch.from_numpy(ids)[None], output_attentions=True, output_hidden_states=True
        )


def near(actual: Any, expected: Any) -> None:
    np.testing.assert_allclose(actual, np.asarray(expected), atol=2e-5, rtol=2e-5)


def test_targets_of_one_text_that_take_more_rows_than_the_text_has() -> None:
    encoder, text = tiny("mpnet"), "the bank of the river by my money"
    used = [Occurrence(text, "", start, len(text), str(start)) for start in (0, 4, 9, 12, 16, 22, 25, 28)]
    laid = encoder._lay_out(used)
    assert sum(reading.target.sum() for reading in laid) > 2 * len(laid[0])
    near(encoder.encode(used, context=False).vectors, torch.from_numpy(encoder.encode(used).vectors))


def test_large_and_small_arrays_are_zero_and_may_be_written_to() -> None:
    for shape in ((3, 2), (0, 4), (LARGE, 2)):
        array = zeros(*shape)
        assert (array.shape, array.dtype) == (shape, np.float32)
        assert not array.any()
        array[:] = 1
