"""A real service under clients of every kind: many, silent, and gone in the middle."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.load import connected, request, sentences, serving
from tests.benchmarks.soak import soak

pytestmark = pytest.mark.slow


def test_a_short_soak() -> None:
    outcome = soak(1000, 64)
    print(outcome.line())
    assert outcome.faults() == []
    assert outcome.statuses[200] == 1000, "none of so few is refused"


def test_silent_clients_hold_up_nobody(tmp_path: Path) -> None:
    """50 that connect and send nothing, 50 that stop in the middle of the head, and 50 in the middle of the body."""

    async def run(port: int) -> None:
        body = request({"target": "bank", "texts": ["the bank"]})
        starts = [b"", body[:40], body[:-5]]
        silent = []
        for i in range(150):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(starts[i % 3])
            silent.append((reader, writer))
        async with connected(port) as ask:
            for _ in range(20):
                assert (await ask(body))[0] == 200
        late = await asyncio.wait_for(silent[2][0].readuntil(b"\r\n\r\n"), 30)
        assert b" 408 " in late, "a body that does not come is told so"
        for _, writer in silent:
            writer.close()

    with serving(tmp_path, POLYSEME_BODY_SECONDS="2") as server:
        asyncio.run(run(server.port))


def test_a_thousand_clients_that_hang_up(tmp_path: Path) -> None:
    """The work of those who left is dropped: those who stay are answered, right, and nothing is left in the line."""
    large = request({"target": "bank", "texts": sentences(400), "drivers": "none"}, "/v1/senses")
    small = request({"target": "bank", "texts": ["I went to the bank"]})

    async def hang_up(port: int, i: int) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(large if i % 10 == 0 else small)
        await writer.drain()
        await asyncio.sleep(0.001 * (i % 7))
        writer.transport.abort()

    async def run(server: Any) -> None:
        async with connected(server.port) as ask:
            first = json.loads((await ask(small))[1])
            for start in range(0, 1000, 50):
                await asyncio.gather(*(hang_up(server.port, i) for i in range(start, start + 50)))
                status, body = await ask(small)
                assert status in (200, 503)
                if status == 200:
                    assert json.loads(body)["usages"][0]["vectors"][0] == pytest.approx(
                        first["usages"][0]["vectors"][0], abs=1e-5
                    )
        until = time.monotonic() + 60
        while (await asyncio.to_thread(server.metrics))["polyseme_queue_size"]:
            assert time.monotonic() < until, "100 requests of 400 texts would take minutes"
            await asyncio.sleep(0.1)

    with serving(tmp_path) as server:
        asyncio.run(run(server))
        assert server.metrics()['polyseme_requests_total{method="POST",route="/v1/senses",status="499"}'] > 0
