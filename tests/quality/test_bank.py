"""Two senses of "bank" against people's labels (CoarseWSD-20, Loureiro et al. 2021), through the command itself."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.metrics import adjusted_rand_score

pytestmark = pytest.mark.quality
DRAWS = 5
MONEY = 50


def test_river_and_money_agree_with_the_gold_classes(tmp_path: Path) -> None:
    """22 river and 50 money sentences of the test half, five seeded draws: mean ARI at least 0.85, two senses."""
    folder = Path(os.environ["POLYSEME_TEST_DATA"]) / "coarsewsd20" / "bank"
    lines = (folder / "test.data.txt").read_text().splitlines()
    classes = (folder / "test.gold.txt").read_text().split()
    texts = [line.split("\t", 1)[1] for line in lines]
    river = [i for i, c in enumerate(classes) if c == "1"]
    money = [i for i, c in enumerate(classes) if c == "0"]
    scores, numbers = [], []
    for seed in range(DRAWS):
        chosen = river + random.Random(seed).sample(money, MONEY)
        random.Random(seed).shuffle(chosen)
        file = tmp_path / f"{seed}.txt"
        file.write_text("\n".join(texts[i] for i in chosen))
        command = [sys.executable, "-c", "from service.cli import main; main()", "senses", "bank", str(file)]
        done = subprocess.run([*command, "--drivers", "none", "--json", "-"], capture_output=True, check=True)
        analysis = json.loads(done.stdout)
        gold = [classes[chosen[int(usage["source_id"]) - 1]] for usage in analysis["usages"]]
        scores.append(adjusted_rand_score(gold, [usage["sense"] for usage in analysis["usages"]]))
        numbers.append(len(analysis["senses"]))
    print(f"\nbank, {len(river)} river + {MONEY} money, ARI by draw: {[round(s, 3) for s in scores]}, senses {numbers}")
    print(f"mean ARI {sum(scores) / DRAWS:.3f} (bar 0.85)")
    assert len(river) == 22
    assert numbers == [2] * DRAWS
    assert sum(scores) / DRAWS >= 0.85
