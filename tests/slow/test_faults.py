"""What breaks under a running service: itself, its disk, its model's file, its clients. Nothing is lost or wrong."""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from analysis.catalogue import MANIFEST
from service.settings import Settings
from tests.benchmarks.load import Server, connected, request, sentences, serving

pytestmark = pytest.mark.slow
SENSES = {"target": "bank", "texts": sentences(12), "drivers": "none"}
JOB = {"target": "bank", "texts": sentences(150), "drivers": "none", "seed": 1}
ONE = {"target": "bank", "texts": ["I went to the bank"]}


def ask(server: Server, path: str, body: Any = None, method: str | None = None) -> tuple[int, Any]:
    """Status and JSON of an answer."""
    asked = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", method=method)
    if body is not None:
        asked.data = json.dumps(body).encode()
        asked.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(asked, timeout=300) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, json.load(error)


def vector(server: Server) -> Any:
    status, body = ask(server, "/v1/embeddings", ONE)
    assert status == 200, body
    return pytest.approx(body["usages"][0]["vectors"][0], abs=1e-5)


@contextmanager
def kept_busy(server: Server) -> Iterator[None]:
    """Requests of all kinds, whose answers nobody may ever see."""
    over = threading.Event()

    def run(path: str, body: Any) -> None:
        while not over.is_set():
            with suppress(OSError, ValueError, HTTPException):
                ask(server, path, body)

    threads = [threading.Thread(target=run, args=each) for each in (("/v1/senses", SENSES), ("/v1/embeddings", ONE))]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_a_service_that_is_killed_in_the_middle_loses_nothing(tmp_path: Path) -> None:
    chance = random.Random(0)
    kept: dict[str, Any] = {}
    job = None
    for life in range(5):
        with serving(tmp_path, POLYSEME_JOB_LEASE="1") as server:
            for analysis, body in kept.items():
                assert ask(server, f"/v1/analyses/{analysis}") == (200, body)
            if job is None:
                status, made = ask(server, "/v1/jobs", JOB)
                assert status == 202
                job = made["id"]
            assert ask(server, f"/v1/jobs/{job}")[0] == 200
            status, made = ask(server, "/v1/senses", SENSES | {"seed": life})
            assert status == 200
            kept[made["id"]] = made
            with kept_busy(server):
                time.sleep(chance.uniform(0.05, 1.0))
                os.kill(server.pid, signal.SIGKILL)
    with serving(tmp_path, POLYSEME_JOB_LEASE="1") as server:
        assert ask(server, "/v1/senses", SENSES)[1]["id"] in kept, "the same question, the same answer"
        until = time.monotonic() + 120
        while (now := ask(server, f"/v1/jobs/{job}")[1])["status"] != "done":
            assert now["status"] in ("queued", "running")
            assert time.monotonic() < until, now
            time.sleep(0.2)
        assert [use["text"] for use in ask(server, f"/v1/analyses/{now['analysis']}")[1]["usages"]] == JOB["texts"]


def test_a_full_disk_refuses_what_would_be_kept_and_nothing_else(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        first = ask(server, "/v1/senses", SENSES)[1]
        before = vector(server)
        unlimited = resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        for path, body in (("/v1/senses", SENSES | {"seed": 1}), ("/v1/jobs", JOB), ("/v1/sense-models", SENSES)):
            status, problem = ask(server, path, body)
            assert status == 503, problem
            assert str(tmp_path) not in json.dumps(problem)
        assert ask(server, f"/v1/analyses/{first['id']}") == (200, first)
        assert ask(server, "/v1/embeddings", ONE)[1]["usages"][0]["vectors"][0] == before
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, unlimited)
        status, second = ask(server, "/v1/senses", SENSES | {"seed": 1})
        assert status == 200
        assert {one["id"] for one in ask(server, "/v1/analyses")[1]["analyses"]} == {first["id"], second["id"]}
        assert ask(server, "/v1/jobs", JOB)[0] == 202


@pytest.mark.parametrize("damage", ["written over", "cut short"])
def test_a_model_file_that_is_damaged_under_a_service(tmp_path: Path, damage: str) -> None:
    """What is in memory goes on; what is to be loaded, or started anew, is refused: nothing wrong is ever answered."""
    home, other = tmp_path / "home", "some/model"
    source, copy = Settings().home / "models" / "minilm", home / "models" / "some--model"
    for folder in (home / "models" / "minilm", copy):
        shutil.copytree(source, folder)
    manifest = json.loads((copy / MANIFEST).read_text())
    (copy / MANIFEST).write_text(json.dumps(manifest | {"name": other}))
    settings = {"POLYSEME_HOME": str(home), "POLYSEME_MODELS": json.dumps(["minilm", other])}
    with serving(tmp_path, **settings) as server:
        before = vector(server)
        for folder in (home / "models" / "minilm", copy):
            weights = folder / "model.safetensors"
            with weights.open("r+b") as file:
                if damage == "cut short":
                    file.truncate(weights.stat().st_size // 2)
                else:
                    file.seek(weights.stat().st_size // 2)
                    file.write(os.urandom(1 << 20))
        assert ask(server, "/v1/embeddings", ONE)[1]["usages"][0]["vectors"][0] == before
        for _ in range(2):
            status, problem = ask(server, "/v1/embeddings", ONE | {"model": other})
            assert (status, problem["type"]) == (503, "urn:polyseme:problem:model-unavailable")
            assert str(home) not in json.dumps(problem)
        assert ask(server, "/readyz")[0] == 200, "its own model is as it was"
        assert ask(server, "/v1/embeddings", ONE)[1]["usages"][0]["vectors"][0] == before
    run = [sys.executable, "-c", "from service.cli import main; main()", "serve"]
    environment = os.environ | settings | {"POLYSEME_MODEL": "minilm", "POLYSEME_DATABASE_URL": "sqlite://"}
    again = subprocess.run(run, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert again.returncode != 0
    assert again.stderr.count("\n") == 1
    assert "model.safetensors" in again.stderr
    assert "SHA-256" in again.stderr


def test_a_thousand_clients_that_hang_up_in_the_middle_of_an_answer(tmp_path: Path) -> None:
    async def hang_up(port: int, path: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4096)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert (await reader.read(100)).startswith(b"HTTP/1.1 200")
        writer.transport.abort()

    async def run(server: Server, path: str) -> None:
        for _ in range(20):
            await asyncio.gather(*(hang_up(server.port, path) for _ in range(50)))
        async with connected(server.port) as asked:
            status, _ = await asked(request(ONE))
            assert status == 200

    with serving(tmp_path) as server:
        # Long for the network, and short for the model: to it a word beyond all measure is one unknown piece.
        large = {"target": "bank", "texts": [f"{text} {'x' * 2000}" for text in sentences(400)], "drivers": "none"}
        status, made = ask(server, "/v1/senses", large)
        assert status == 200
        path = f"/v1/analyses/{made['id']}.json"
        before = vector(server)
        asyncio.run(run(server, path))
        early = server.rss()
        asyncio.run(run(server, path))
        assert server.rss() < 1.05 * early
        assert ask(server, path)[1] == made
        assert ask(server, "/v1/embeddings", ONE)[1]["usages"][0]["vectors"][0] == before
        until = time.monotonic() + 60
        while server.metrics()["polyseme_queue_size"]:
            assert time.monotonic() < until
            time.sleep(0.1)
