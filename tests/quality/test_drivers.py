"""The bars of the drivers: the default method against random words, attention and exact occlusion, on CoarseWSD-20."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis.catalogue import resolve
from analysis.drivers.methods import METHODS
from analysis.evaluation.outcome import Options
from analysis.evaluation.run import evaluate
from analysis.model.encoder import load
from service.settings import Settings

pytestmark = pytest.mark.quality
LIMIT = int(os.environ.get("POLYSEME_QUALITY_LIMIT") or 40)  # sentences a word

table: list[str] = []


@pytest.fixture(scope="module", autouse=True)
def printed() -> Iterator[None]:
    yield
    print("\n\n" + "\n".join(table))


@pytest.mark.parametrize("name", ["minilm", "mpnet"])
def test_the_default_method_reaches_its_bars(name: str) -> None:
    home = Settings().home
    data = Path(os.environ["POLYSEME_TEST_DATA"]) / "coarsewsd20"
    found = evaluate(load(resolve(name, home)), "drivers", data, Options(0, LIMIT, home / "evaluation")).report
    default, exact = found["methods"][found["default"]], found["methods"]["occlusion-exact"]
    ratios, masked = found["ratios"], default["mask"]["comprehensiveness"]
    single = [method for method in METHODS if found["methods"][method]["passes"] <= 3 and method != found["default"]]
    best_single = max(found["methods"][method]["mask"]["comprehensiveness"] for method in single)
    table.extend(
        [
            f"{name}, {found['usages']} usages: figure, and its bar",
            f"  comprehensiveness, deleted, to random      {ratios['to random']}  6.5, above 5",
            f"  the same to mean attention                 {ratios['to attention']}  1.9, above 1.5",
            f"  sufficiency, deleted                       {default['delete']['sufficiency']}  at most 0.01",
            f"  comprehensiveness, masked                  {masked}  single-pass methods: {best_single}",
            f"  share of exact occlusion's                 {ratios['to occlusion-exact']['value']}  at least 0.95",
            f"  passes of exact occlusion's                {default['passes']} of {exact['passes']}  at most a third",
        ]
    )
    assert ratios["to random"]["value"] >= 6.5
    assert ratios["to random"]["low"] > 5
    assert ratios["to attention"]["value"] >= 1.9
    assert ratios["to attention"]["low"] > 1.5
    assert default["delete"]["sufficiency"] <= 0.01
    assert masked > best_single
    assert ratios["to occlusion-exact"]["value"] >= 0.95
    assert default["passes"] <= exact["passes"] / 3
