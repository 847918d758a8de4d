"""`polyseme serve`: what keeps it from starting is one line; and it stops when it is told to, with nothing lost."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from analysis.errors import PolysemeError
from service.cli import serve
from service.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with the models of this machine, and nothing else set."""
    for name in [name for name in os.environ if name.startswith("POLYSEME_")]:
        monkeypatch.delenv(name)
    models = Settings().home / "models"
    (tmp_path / "models").symlink_to(models)
    monkeypatch.setenv("POLYSEME_HOME", str(tmp_path))
    monkeypatch.setenv("POLYSEME_MODEL", "minilm")
    return tmp_path


def refused(host: str = "127.0.0.1", port: int = 1) -> str:
    """The one line that the command ends with."""
    with pytest.raises(PolysemeError) as raised:
        serve.serve(host, port)
    line = str(raised.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7"])
def test_others_are_not_served_without_keys(home: Path, host: str) -> None:
    assert "polyseme key NAME" in refused(host)


def test_keys_or_a_word_open_it_to_others(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes on to the next check: nobody has this address."""
    for name, value in (("ALLOW_NO_KEYS", "true"), ("API_KEYS", f'["a:{"0" * 64}"]')):
        with monkeypatch.context() as patch:
            patch.setenv(f"POLYSEME_{name}", value)
            assert "cannot listen on 192.0.2.1 port 8000" in refused("192.0.2.1", 8000)


def test_a_port_in_use(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused(port=port)
    assert f"port {port}" in line
    assert "in use" in line
    assert "--port" in line


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("HOME", "/proc/nowhere", "POLYSEME_HOME"),
        ("HOME", "/etc/passwd", "POLYSEME_HOME"),
        ("MODEL", "someone/something", "polyseme models pull"),
        ("MODEL", "no such model", "no such model"),
        ("DATABASE_URL", "mysterious://x", "POLYSEME_DATABASE_URL"),
        ("DATABASE_URL", "sqlite:////proc/nowhere/x.db", "database"),
        ("DATABASE_URL", "postgresql+psycopg://127.0.0.1:1/x", "database"),
        ("API_KEYS", "secret", "POLYSEME_API_KEYS"),
        ("API_KEYS", '["alice:secret"]', "POLYSEME_API_KEYS"),
        ("QUEUE_SIZE", "0", "POLYSEME_QUEUE_SIZE"),
    ],
)
def test_what_is_wrong_is_named(home: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str) -> None:
    monkeypatch.setenv(f"POLYSEME_{name}", value)
    line = refused()
    assert says in line
    assert "secret" not in line


def test_a_key_is_made_and_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    from service import keys

    serve.key("alice")
    told = capsys.readouterr().out
    made = re.search(r"polyseme_\S+", told)
    kept = re.search(r"""POLYSEME_API_KEYS='\["(.*)"\]'""", told)
    assert made
    assert kept
    assert keys.owner(made[0], [kept[1]]) == "alice"
    with pytest.raises(PolysemeError, match="letters"):
        serve.key("a b")


def test_the_command_ends_with_one_line_and_a_code(home: Path) -> None:
    run = [sys.executable, "-c", "from service.cli import main; main()", "serve", "--host", "0.0.0.0"]
    done = subprocess.run(run, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("polyseme: other machines reach 0.0.0.0")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_it_finishes_what_it_has_begun(tmp_path: Path) -> None:
    """SIGTERM in the middle of a long request: its answer is whole, the next is refused, the process ends."""
    from tests.benchmarks.load import connected, request, sentences, serving

    async def run(server: Any) -> dict[str, Any]:
        body = {"target": "bank", "texts": sentences(100), "explained": 10}
        async with connected(server.port) as ask:
            answer = asyncio.create_task(ask(request(body, "/v1/senses")))
            while not await asyncio.to_thread(lambda: server.metrics()["polyseme_queue_size"]):
                await asyncio.sleep(0.01)
            os.kill(server.pid, signal.SIGTERM)
            status, content = await answer
        assert status == 200
        with pytest.raises(OSError, match="Connect"):
            await asyncio.open_connection("127.0.0.1", server.port)
        found: dict[str, Any] = json.loads(content)
        return found

    with serving(tmp_path) as server:
        assert len(asyncio.run(run(server))["usages"]) == 100


@pytest.mark.slow
def test_it_stops_within_its_limit(tmp_path: Path) -> None:
    from tests.benchmarks.load import connected, request, sentences, serving

    async def run(server: Any) -> None:
        async with connected(server.port) as ask:
            body = {"target": "bank", "texts": sentences(1000), "explained": 1000, "budget": 64}
            answer = asyncio.create_task(ask(request(body, "/v1/senses")))
            while not await asyncio.to_thread(lambda: server.metrics()["polyseme_queue_size"]):
                await asyncio.sleep(0.01)
            os.kill(server.pid, signal.SIGTERM)
            since = time.monotonic()
            status, content = await answer
            assert status == 503, content[:300]
            assert json.loads(content)["type"] == "urn:polyseme:problem:shutting-down"
        while Path(f"/proc/{server.pid}/status").exists():
            if "\nState:\tZ" in Path(f"/proc/{server.pid}/status").read_text():
                break
            assert time.monotonic() - since < 30, "the work would take minutes"
            await asyncio.sleep(0.1)

    with serving(tmp_path, POLYSEME_DRAIN_SECONDS="1") as server:
        asyncio.run(run(server))
