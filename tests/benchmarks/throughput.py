"""`make bench-service`: what the service costs, on POST /v1/embeddings of one sentence.

Throughput of 32 clients against the same encoder asked for the same offline in batches, and the median latency of a
lone request against a bare forward pass; all in one run, on one machine, by turns, since a shared machine's speed
changes: each ratio is that of two turns, one right after the other, and the median over the rounds is judged.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import uvloop

from analysis.catalogue import resolve
from analysis.corpus import documents
from analysis.model.encoder import load
from analysis.text import find
from service.settings import Settings
from tests.benchmarks.load import Server, ask_all, connected, request, sentences, serving

CLIENTS, SENTENCES, ROUNDS, ALONE = 32, 1280, 8, 60
LEAST_THROUGHPUT, MOST_LATENCY = 0.85, 1.3


def seconds(work: Callable[[], Any]) -> float:
    since = time.perf_counter()
    work()
    return time.perf_counter() - since


def ratio(these: list[float], those: list[float]) -> float:
    """Of each round, and the median of them."""
    return statistics.median(one / other for one, other in zip(these, those, strict=True))


def rate_at_once(server: Server, texts: list[str]) -> float:
    """Answers a second while all clients ask: when so many are left as there are clients, the first has no more."""
    requests = [request({"target": "bank", "texts": [text]}) for text in texts]
    times: list[float] = []

    def answered(_: int, status: int, __: bytes) -> None:
        assert status == 200
        times.append(time.perf_counter())

    since = time.perf_counter()
    uvloop.run(ask_all(server.port, requests, CLIENTS, answered))
    last = len(texts) - CLIENTS
    return last / (times[last - 1] - since)


def ask_alone(server: Server, texts: list[str]) -> list[float]:
    """Seconds for each of them, one after the other."""

    async def run() -> list[float]:
        took = []
        async with connected(server.port) as ask:
            for text in texts:
                sent = request({"target": "bank", "texts": [text]})
                since = time.perf_counter()
                status, _ = await ask(sent)
                took.append(time.perf_counter() - since)
                assert status == 200
        return took

    return uvloop.run(run())


def main() -> None:
    texts = sentences(SENTENCES)
    encoder = load(resolve("minilm", Settings().home))
    occurrences = find(documents(texts), "bank").occurrences
    ids = [torch.from_numpy(reading.ids)[None] for reading in encoder._lay_out(occurrences[:ALONE])]

    @torch.inference_mode()
    def forward(row: torch.Tensor) -> Any:
        return encoder._model(input_ids=row, output_hidden_states=True)

    rates: dict[str, list[float]] = {"offline": [], "service": []}
    waits: dict[str, list[float]] = {"forward": [], "request": []}
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server:
        rate_at_once(server, texts[:64])
        encoder.encode(occurrences[:64], context=False)
        for _ in range(ROUNDS):
            rates["offline"].append(SENTENCES / seconds(lambda: encoder.encode(occurrences, context=False)))
            rates["service"].append(rate_at_once(server, texts))
            waits["forward"].append(statistics.median(seconds(lambda row=row: forward(row)) for row in ids))
            waits["request"].append(statistics.median(ask_alone(server, texts[:ALONE])))
    offline, service = (statistics.median(rates[name]) for name in ("offline", "service"))
    bare, lone = (statistics.median(waits[name]) for name in ("forward", "request"))
    share, longer = ratio(rates["service"], rates["offline"]), ratio(waits["request"], waits["forward"])
    print(f"threads of torch: {torch.get_num_threads()}")
    print(f"{CLIENTS} clients: {service:.0f} sentences/s; offline in batches: {offline:.0f}/s; share {share:.2f}")
    print(f"a lone request: {1e3 * lone:.1f} ms; a bare forward pass: {1e3 * bare:.1f} ms; ratio {longer:.2f}")
    if share < LEAST_THROUGHPUT or longer > MOST_LATENCY:
        sys.exit(f"not within the bar: at least {LEAST_THROUGHPUT} and at most {MOST_LATENCY}")


if __name__ == "__main__":
    main()
