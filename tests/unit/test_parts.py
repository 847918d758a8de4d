from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from analysis import record
from analysis.assemble import Options
from analysis.corpus import documents
from analysis.pipeline import analyse
from analysis.types import FloatArray, IntArray, Occurrence, Perturbed, Span, Usages
from service import parts
from service.parts import Parts
from tests.fake import FakeEncoder

WORDS = ["river", "water", "fish", "money", "loan", "cash"]
TEXTS = [f"the bank {a} {b} 🏦" for a in WORDS for b in ["and", "of", "some"]]
USES = [Occurrence(text, "bank", 4, 8, str(i)) for i, text in enumerate(TEXTS)]


class Kept:
    """Keeps parts in a dict; `done` counts those that had to be done."""

    def __init__(self) -> None:
        self.parts: dict[str, str] = {}
        self.done = 0

    def __call__(self, name: str, work: Callable[[], str]) -> str:
        if name not in self.parts:
            self.parts[name] = work()
            self.done += 1
        return self.parts[name]


def same(a: Usages, b: Usages) -> None:
    assert (a.occurrences, a.words, a.layer_ids) == (b.occurrences, b.words, b.layer_ids)
    np.testing.assert_array_equal(a.vectors, b.vectors)
    np.testing.assert_array_equal(a.context, b.context)
    assert (a.layers is None, a.target_attention is None) == (b.layers is None, b.target_attention is None)
    if a.layers is not None and b.layers is not None:
        np.testing.assert_array_equal(a.layers, b.layers)
    for x, y in zip(a.target_attention or (), b.target_attention or (), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("size", [1, 5, 64])
@pytest.mark.parametrize(("layers", "attention"), [((), False), ((0, 3), False), ((1,), True)])
def test_parts_give_what_the_encoder_gives(
    monkeypatch: pytest.MonkeyPatch, size: int, layers: tuple[int, ...], attention: bool
) -> None:
    monkeypatch.setattr(parts, "PART", size)
    readings = [*USES, *(Perturbed(use, (Span(9, 12),), "mask") for use in USES[:5])]
    kept, heard = Kept(), list[int]()
    whole = FakeEncoder().encode(readings, layers=layers, attention=attention)
    for _ in range(2):  # done, and then handed back
        same(Parts(FakeEncoder(), kept).encode(readings, layers=layers, attention=attention), whole)
    assert kept.done == len(kept.parts) == -(-len(readings) // size)
    Parts(FakeEncoder(), kept).encode(readings, layers=layers, attention=attention, progress=heard.append)
    assert sum(heard) == len(readings)
    assert max(heard) == min(size, len(readings))


def test_what_is_asked_makes_the_name() -> None:
    one = USES[0]

    def name(encoder: FakeEncoder, *readings: Occurrence | Perturbed, **more: Any) -> str:
        kept = Kept()
        Parts(encoder, kept).encode(readings, **more)
        (made,) = kept.parts
        return made

    asked = [
        name(FakeEncoder(), one),
        name(FakeEncoder(), one, layers=(0,)),
        name(FakeEncoder(), one, attention=True),
        name(FakeEncoder(), one, one),
        name(FakeEncoder(), Perturbed(one, (Span(9, 12),))),
        name(FakeEncoder(), Perturbed(one, (Span(9, 12),), "mask")),
        name(FakeEncoder(), Perturbed(one, ())),
        name(FakeEncoder(), Occurrence(one.text, "bank", 9, 14, "0")),
    ]
    assert len(set(asked)) == len(asked)
    assert name(FakeEncoder(), one) == asked[0]
    assert name(FakeEncoder(), Occurrence(one.text, "other", 4, 8, "other")) == asked[0]


@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize("points", [(0.25,), (0.2, 0.5, 0.8)])
def test_gradients_in_parts_are_the_encoders(ends: bool, points: tuple[float, ...]) -> None:
    asked: list[int] = []

    def respond(vectors: FloatArray, context: FloatArray, which: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        asked.extend(which.tolist())
        scale = (1 + which[:, None]).astype(np.float32)  # another response for each usage
        return (scale[:, 0] * vectors.sum(axis=1)).astype(np.float32), scale * np.ones_like(vectors), scale * context

    told: tuple[list[int], list[int]] = ([], [])
    given: dict[str, Any] = {"path": "gates", "points": points, "ends": ends}
    whole = FakeEncoder().gradients(USES, respond, **given, progress=told[0].append)
    kept = Kept()
    for _ in range(2):
        told[1].clear()
        found = Parts(FakeEncoder(), kept).gradients(USES, respond, **given, progress=told[1].append)
        for a, b in zip(found.effects, whole.effects, strict=True):
            np.testing.assert_array_equal(a, b)
        assert (found.ends is None) == (whole.ends is None) == (not ends)
        if found.ends is not None and whole.ends is not None:
            np.testing.assert_array_equal(found.ends, whole.ends)
        assert sum(told[1]) == sum(told[0])
    assert kept.done == len(kept.parts) > 0
    assert set(asked) == set(range(len(USES)))


def test_value_zeroing_in_parts_is_the_encoders() -> None:
    kept, told = Kept(), list[int]()
    whole = FakeEncoder().value_zeroing(USES, progress=told.append)
    expected = sum(told)
    for _ in range(2):
        told.clear()
        found = Parts(FakeEncoder(), kept).value_zeroing(USES, progress=told.append)
        for a, b in zip(found, whole, strict=True):
            np.testing.assert_array_equal(a, b)
        assert sum(told) == expected
    assert kept.done == len(kept.parts) > 1


@pytest.mark.parametrize("drivers", ["occlusion", "value-zeroing"])
def test_an_analysis_over_parts_is_the_same_and_goes_on_where_it_stopped(
    monkeypatch: pytest.MonkeyPatch, drivers: str
) -> None:
    monkeypatch.setattr(parts, "PART", 4)
    texts = documents(TEXTS)
    options = Options(drivers=drivers, faithfulness=1)
    whole = record.to_json(analyse(FakeEncoder(), texts, "bank", options))

    class Stopped(Exception):
        pass

    kept, runs = Kept(), 0
    while True:
        before = kept.done
        runs += 1

        def some_more(limit: int = before + 7) -> None:
            if kept.done == limit:
                raise Stopped

        try:
            found = analyse(Parts(FakeEncoder(), kept, some_more), texts, "bank", options)
            break
        except Stopped:
            assert kept.done == before + 7, "what was kept is not done again"
    assert record.to_json(found) == whole
    assert runs > 1
    assert kept.done == len(kept.parts)


def test_nothing_asked_is_the_encoders_own_affair() -> None:
    with pytest.raises(ValueError, match="at least one array"):
        Parts(FakeEncoder(), Kept()).encode([])


def test_what_is_not_encoding_is_done_by_the_encoder() -> None:
    encoder, over = FakeEncoder(), Parts(FakeEncoder(), Kept())
    assert over.info == encoder.info
    np.testing.assert_array_equal(over.static(["bank"]), encoder.static(["bank"]))
    np.testing.assert_array_equal(over.attention("the bank").weights, encoder.attention("the bank").weights)
    assert "mask" in over.abilities
    assert "mask" not in Parts(FakeEncoder(causal=True), Kept()).abilities
    whole, given = encoder.word_attention(USES[0]), over.word_attention(USES[0])
    np.testing.assert_array_equal(given.weights, whole.weights)
