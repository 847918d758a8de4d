"""What a corpus costs: Ray with two workers of a thread beside this process with two, and memory as usages grow.

    python -m tests.benchmarks.engines [--model minilm] [--usages 4000]

Wants a machine that does nothing else. The rate of an engine leaves its start out: the model's loading, and the first
part of each worker. Memory is the peak of the whole command less the weights.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from analysis.catalogue import resolve
from analysis.corpora.engines import Engine, Local
from analysis.corpora.finding import Use
from analysis.corpora.ray_engine import Ray, Workers
from analysis.corpora.reading import ReadTask, read
from analysis.pipeline import unwatched
from service.cli.corpus import Loader
from service.settings import Settings
from tests.labelled import MONEY, RIVER

WORKERS = 2
PART = 100
PROGRAM = """
import resource
from service.cli import main
try:
    main()
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
LEAST_RATE = 0.9  # of Ray's rate over that of this process
MOST_MEMORY = 1.1  # of the peak at ten times the usages


def texts(number: int) -> list[str]:
    """Different texts that use "bank"."""
    draw = random.Random(0)
    return [f"{draw.choice(MONEY + RIVER)} That was in {i}, in house {draw.randrange(9999)}." for i in range(number)]


def tasks(number: int) -> list[ReadTask]:
    places = [(text, text.lower().index("bank")) for text in texts(number)]
    uses = [Use("f", i, "", text, 0, at, at + 4, cut=False) for i, (text, at) in enumerate(places)]
    parts = [tuple(uses[first : first + PART]) for first in range(0, number, PART)]
    return [ReadTask("bank", i, part, (False,) * len(part)) for i, part in enumerate(parts)]


def rate(engine: Engine, todo: list[ReadTask]) -> float:
    """Usages a second from when each worker has done its first part."""
    done = 0
    began = 0.0
    for number, block in enumerate(engine.run(read, todo, unwatched), start=1):
        done += len(block.readable) if number > WORKERS else 0
        began = time.perf_counter() if number == WORKERS else began
    return done / (time.perf_counter() - began)


def compare(model: str, usages: int, pairs: int) -> float:
    """The median of Ray's rate over this process's."""
    load, todo = Loader(model), tasks(usages)
    here = Local(load)
    ray = Ray(load, resolve(model, Settings().home).digest, workers=Workers(WORKERS))
    ratios = []
    try:
        for _ in range(pairs):
            local, remote = rate(here, todo), rate(ray, todo)
            ratios.append(remote / local)
            print(f"local {local:.1f} usages/s, ray {remote:.1f} usages/s, ratio {ratios[-1]:.2f}", flush=True)
    finally:
        ray.close()
    return statistics.median(ratios)


def peak(model: str, usages: int) -> float:
    """Megabytes that `polyseme corpus` takes at the most, the weights apart."""
    folder = resolve(model, Settings().home)
    weights = (folder.path / folder.weights).stat().st_size
    with tempfile.TemporaryDirectory() as place:
        corpus = Path(place) / "texts.txt"
        corpus.write_text("\n".join(texts(usages)))
        command = [
            "corpus",
            str(corpus),
            "--target",
            "bank",
            "--out",
            f"{place}/out",
            "--sample",
            "all",
            "--model",
            model,
        ]
        printed = subprocess.run([sys.executable, "-c", PROGRAM, *command], check=True, capture_output=True, text=True)
    return (int(printed.stdout.splitlines()[-1]) * 1024 - weights) / 1e6


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--model", default="minilm")
    options.add_argument("--usages", type=int, default=4000)
    options.add_argument("--pairs", type=int, default=3)
    options.add_argument("--part", choices=["rate", "memory", "both"], default="both")
    chosen = options.parse_args()
    missed = []
    if chosen.part != "memory":
        ratio = compare(chosen.model, chosen.usages, chosen.pairs)
        print(f"ray with {WORKERS} workers of one thread over local: {ratio:.2f} (bar {LEAST_RATE})")
        missed += ["rate"] * (ratio < LEAST_RATE)
    if chosen.part != "rate":
        few, many = (peak(chosen.model, number) for number in (1000, 10_000))
        print(f"memory over the weights: {few:.0f} MB at 1,000 usages, {many:.0f} MB at 10,000")
        print(f"that is {many / few:.2f} times (bar {MOST_MEMORY})")
        missed += ["memory"] * (many / few > MOST_MEMORY)
    if missed:
        sys.exit(f"not within the bar: {', '.join(missed)}")


if __name__ == "__main__":
    main()
