"""The service for a browser to open: `polyseme serve` with minilm as a process, or any app in a thread."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import uvicorn

from service import wire
from service.settings import Settings


@contextmanager
def running(app: Any, settings: Settings) -> Iterator[str]:
    """The address of the app, which runs in a thread of this process as `polyseme serve` would run it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(wire.config(app, settings))
        thread = Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive(), "the service stopped"
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(60)


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[str]:
    """The address of `polyseme serve`. `settings` are variables without their prefix; the log is `folder`/log."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("models", "lexicon"):
        (folder / part).symlink_to(Settings().home / part)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POLYSEME_")}
    chosen = {"HOME": str(folder), "MODEL": "minilm", "MODELS": '["minilm", "smollm2"]'} | settings
    run = [sys.executable, "-c", "from service.cli import main; main()", "serve", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            run, env=kept | {f"POLYSEME_{name}": value for name, value in chosen.items()}, stdout=log, stderr=log
        )
        try:
            address = f"http://127.0.0.1:{port}"
            for _ in range(600):
                try:
                    urllib.request.urlopen(f"{address}/readyz", timeout=5).close()
                    break
                except OSError:
                    assert process.poll() is None, (folder / "log").read_text()
                    time.sleep(0.2)
            yield address
        finally:
            process.terminate()
            process.wait(30)
