"""The service as people run it, for a browser to open: `polyseme serve` with minilm, a free port, its own database."""

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

from service.settings import Settings


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[str]:
    """Its address. `settings` are environment variables without their prefix; the log is `folder`/log."""
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
