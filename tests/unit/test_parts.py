from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from analysis import record
from analysis.corpus import documents
from analysis.pipeline import analyse
from analysis.types import Occurrence, Perturbed, Span, Usages
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
    kept, encoder = Kept(), FakeEncoder()
    over = Parts(encoder, kept)
    one = USES[:1]
    over.encode(one)
    over.encode(one, layers=(0,))
    over.encode(one, attention=True)
    over.encode([Perturbed(one[0], (Span(9, 12),))])
    over.encode([Perturbed(one[0], (Span(9, 12),), "mask")])
    over.encode([Occurrence(one[0].text, "bank", 9, 14, "0")])
    Parts(FakeEncoder(causal=True), kept).encode(one)
    assert kept.done == 6, "the same digest is the same model"


def test_an_analysis_over_parts_is_the_same_and_goes_on_where_it_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART", 4)
    texts = documents(TEXTS)
    whole = record.to_json(analyse(FakeEncoder(), texts, "bank"))

    class Stopped(Exception):
        pass

    kept, runs = Kept(), 0
    while True:
        before = kept.done
        runs += 1

        def two_more(limit: int = before + 2) -> None:
            if kept.done == limit:
                raise Stopped

        try:
            found = analyse(Parts(FakeEncoder(), kept, two_more), texts, "bank")
            break
        except Stopped:
            assert kept.done == before + 2
    assert record.to_json(found) == whole
    assert runs > 3
    assert kept.done == len(kept.parts)


def test_nothing_asked_is_the_encoders_own_affair() -> None:
    with pytest.raises(ValueError, match="at least one array"):
        Parts(FakeEncoder(), Kept()).encode([])


def test_what_is_not_encoding_is_done_by_the_encoder() -> None:
    encoder, over = FakeEncoder(), Parts(FakeEncoder(), Kept())
    assert over.info == encoder.info
    np.testing.assert_array_equal(over.static(["bank"]), encoder.static(["bank"]))
    np.testing.assert_array_equal(over.attention("the bank").weights, encoder.attention("the bank").weights)
    assert over.window == encoder.window
