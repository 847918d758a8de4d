"""`make soak`: many clients for long. Every answer is right or a documented refusal, and memory stays flat.

python -m tests.benchmarks.soak --requests 20000 --clients 64
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import uvloop

from analysis.catalogue import resolve
from analysis.corpus import documents
from analysis.model.encoder import load
from analysis.text import find
from service.settings import Settings
from tests.benchmarks.load import ask_all, request, sentences, serving

DIFFERENT = 200
REFUSALS = {429, 503}  # each with Retry-After
MOST_GROWTH = 1.05


@dataclass
class Outcome:
    """statuses; the largest difference from the single answer; the highest memory in the first tenth and after it.

    Memory goes up and down within each second (service/batching.py gives free pages back), so peaks are compared.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    difference: float = 0.0
    seconds: float = 0.0
    early: int = 0
    most: int = 0

    @property
    def growth(self) -> float:
        return self.most / self.early

    def line(self) -> str:
        total = self.statuses.total()
        return (
            f"{total} requests in {self.seconds:.1f} s ({total / self.seconds:.0f}/s), statuses {dict(self.statuses)}, "
            f"largest difference {self.difference:.1e}, memory at most {self.early / 1e6:.0f} MB in the first tenth, "
            f"at most {self.most / 1e6:.0f} MB after it ({self.growth - 1:+.1%})"
        )

    def faults(self) -> list[str]:
        """What the bar does not allow."""
        found = []
        if unknown := set(self.statuses) - REFUSALS - {200}:
            found.append(f"statuses {unknown}")
        if self.difference > 1e-5:
            found.append("answers that are not those of a single request")
        if self.growth > MOST_GROWTH:
            found.append("memory that grows")
        if not self.statuses[200]:
            found.append("no answer at all")
        return found


def soak(n_requests: int, clients: int) -> Outcome:
    """Ask a real service, and compare each answer with the encoder's own for that sentence alone."""
    texts = sentences(DIFFERENT)
    encoder = load(resolve("minilm", Settings().home))
    expected = [encoder.encode(find(documents([text]), "bank").occurrences).vectors[0] for text in texts]
    requests = [request({"target": "bank", "texts": [texts[i % DIFFERENT]]}) for i in range(n_requests)]
    outcome = Outcome()
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server:

        def answered(i: int, status: int, body: bytes) -> None:
            outcome.statuses[status] += 1
            if status == 200:
                (vector,) = json.loads(body)["usages"][0]["vectors"]
                difference = float(np.abs(np.array(vector) - expected[i % DIFFERENT]).max())
                outcome.difference = max(outcome.difference, difference)
            done = outcome.statuses.total()
            if done % 50 == 0 and done <= n_requests // 10:
                outcome.early = max(outcome.early, server.rss())
            elif done % 50 == 0:
                outcome.most = max(outcome.most, server.rss())

        outcome.seconds = uvloop.run(ask_all(server.port, requests, clients, answered))
    return outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--clients", type=int, default=64)
    chosen = parser.parse_args()
    outcome = soak(chosen.requests, chosen.clients)
    print(outcome.line())
    if faults := outcome.faults():
        sys.exit("not within the bar: " + "; ".join(faults))


if __name__ == "__main__":
    main()
