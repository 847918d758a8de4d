"""A real `polyseme serve` and many clients of it. The clients are as light as can be, since they share its machine."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WORDS = ["money", "river", "loan", "water", "cash", "fish", "credit", "mud", "fee", "boat", "rate", "reeds"]
Answered = Callable[[int, bytes], None]


def sentences(n: int) -> list[str]:
    """n different sentences of 8 to 14 words that use "bank"."""
    return [
        f"The bank {i} " + " ".join(WORDS[(i * 7 + j * (i % 5 + 1)) % len(WORDS)] for j in range(5 + i % 7)) + "."
        for i in range(n)
    ]


@dataclass(frozen=True)
class Server:
    """A running service."""

    port: int
    pid: int

    def rss(self) -> int:
        """Bytes of memory that it holds."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))

    def metrics(self) -> dict[str, float]:
        """What GET /metrics says."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        return {name: float(value) for name, value in (x.rsplit(" ", 1) for x in lines if not x.startswith("#"))}


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[Server]:
    """`polyseme serve` with minilm and a database of its own in the folder, from when it is ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {"POLYSEME_MODEL": "minilm", "POLYSEME_DATABASE_URL": f"sqlite:///{folder}/soak.db", **settings}
    run = [sys.executable, "-c", "from service.cli import main; main()", "serve", "--port", str(port)]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(run, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=log) as process,
    ):
        try:
            until = time.monotonic() + 900  # on a machine that does nothing else it takes ten seconds
            while not _ready(port):
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < until
                time.sleep(0.2)
            yield Server(port, process.pid)
        finally:
            process.terminate()
            process.wait(60)


def _ready(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).close()
    except OSError:
        return False
    return True


def request(body: Any, path: str = "/v1/embeddings") -> bytes:
    """An HTTP request as it is sent."""
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Callable[[bytes], Any]]:
    """One client's connection, kept alive: request bytes in, (status, body) out."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def ask(sent: bytes) -> tuple[int, bytes]:
        writer.write(sent)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        return int(head[9:12]), await reader.readexactly(length)

    try:
        yield ask
    finally:
        writer.close()


async def ask_all(
    port: int, requests: Sequence[bytes], clients: int, answered: Callable[[int, int, bytes], None]
) -> float:
    """Send the requests over as many connections at a time; `answered` is told the index, status and body. Seconds."""
    left = iter(range(len(requests)))

    async def client() -> None:
        async with connected(port) as ask:
            for i in left:
                status, body = await ask(requests[i])
                answered(i, status, body)

    since = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return time.perf_counter() - since
