"""`polyseme worker`: runs jobs from the same database as the service."""

from __future__ import annotations

import logging
import signal
import sys
import threading

from service.cli.common import settings


def worker() -> None:
    """Run jobs until it is told to stop (Ctrl-C or SIGTERM); several may share one PostgreSQL."""
    from service.app import encoders_of
    from service.store import Store
    from service.worker import Worker

    # Before anything is begun: whoever starts it may stop it at once.
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    chosen = settings()
    store = Store(chosen.database)
    running = Worker(store, encoders_of(chosen), chosen)
    try:
        running.start()
        print(f"worker {running.id} runs jobs", file=sys.stderr, flush=True)
        stop.wait()
    finally:
        running.stop()
        store.close()
