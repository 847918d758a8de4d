"""Workers as processes, for tests that kill them: `python -m tests.worker_process`.

For each line on standard input, a JSON list [URL, HOME, LOG, LEASE], a worker is begun, and its process id printed.
They are forked, since a new process takes seconds to import everything. A worker reads as the fake encoder does, but
slowly, and writes a line to LOG for each part before and after it is done.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from analysis.types import Gradients, Usages
from service import parts, worker
from service.settings import Settings
from service.store import Store
from tests.fake import FakeEncoder

PART = 4
SECONDS = 0.03  # for a part


class Slow(FakeEncoder):
    def __init__(self, log: int) -> None:
        super().__init__()
        self.log = log

    def encode(self, *args: Any, **kwargs: Any) -> Usages:
        with self.logged():
            return super().encode(*args, **kwargs)

    def gradients(self, *args: Any, **kwargs: Any) -> Gradients:
        with self.logged():
            return super().gradients(*args, **kwargs)

    @contextmanager
    def logged(self) -> Iterator[None]:
        os.write(self.log, b"begun\n")
        time.sleep(SECONDS)
        yield
        os.write(self.log, b"done\n")


def work(url: str, home: str, log: str, lease: float) -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    parts.PART, worker.TICK = PART, 0.03
    store = Store(url)
    encoder = Slow(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT))
    running = worker.Worker(store, {"fake": encoder}, Settings(home=Path(home), model="fake", job_lease=lease))
    running.start()
    stop.wait()
    running.stop()
    store.close()


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # what has ended is gone
    import dbos  # noqa: F401 - so that no worker needs to

    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                work(*json.loads(line))
            except BaseException:  # noqa: BLE001 - the child ends here, whatever it is
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        print(child, flush=True)


if __name__ == "__main__":
    main()
