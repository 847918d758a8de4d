"""Runs jobs: the only room that knows DBOS, which keeps each finished part of a job in the same database.

The rows of jobs are the truth; a worker brings DBOS's workflows in line with them. A job is a workflow of the same id,
each part of its reading a durable step (`parts.py`). A worker says every few seconds that it lives; where it has not
for as long as the lease, another resumes its jobs, and DBOS hands the parts back that were done. DBOS by itself
resumes a workflow only where the worker of the same name starts again, which is why the lease is ours.
"""

from __future__ import annotations

import logging
import secrets
import socket
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sqlalchemy.engine import make_url

from analysis.errors import PolysemeError
from analysis.pipeline import analyse
from analysis.record import Analysis
from analysis.types import Encoder
from service import problems
from service.api import texts
from service.database import StoreError, in_memory
from service.dictionary import Shelf
from service.job_rows import JobRows
from service.parts import Parts
from service.schemas import SensesRequest
from service.settings import Settings
from service.store import Store
from service.tickets import ShuttingDown
from service.told import Abandoned, Told

log = logging.getLogger(__name__)
T = TypeVar("T")

WORKFLOW = QUEUE = APPLICATION = "polyseme"
PARTS_VERSION = 1  # counted up when what is kept of a part changes
TICK = 0.25  # seconds between looks at the rows
MOST_ATTEMPTS = 25  # a job that ends its worker each time before its next part is done is given up
ENDED = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
_one = threading.Lock()  # DBOS has one instance a process


class _Failed(BaseException):
    """A part raised. Not an Exception: DBOS would record it, and it is the job's row that says so."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class Worker:
    """Runs the jobs of one database, one at a time, from `start` to `stop`; a process can have one such.

    Models by name, as the service has them. On a database in memory its parts are kept in a temporary folder.
    """

    def __init__(self, store: Store, encoders: Mapping[str, Encoder], settings: Settings) -> None:
        self.id = f"{socket.gethostname()}-{secrets.token_hex(6)}"[-64:]
        self._store = store
        self._rows = JobRows(store.engine)
        self._encoders = encoders
        self._settings = settings
        self._shelf = Shelf(settings.home)
        self._stop = threading.Event()
        self._busy = threading.Lock()
        self._starting = threading.Lock()
        self._tending: threading.Thread | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._function: Any = None
        self._held: set[str] = set()
        self._seen: dict[str, tuple[str | None, float]] = {}  # a job that DBOS gave away: to whom, and seen since when

    def start(self) -> None:
        """Begin, in threads of its own; nothing where it runs already. Raises StoreError."""
        with self._starting:
            if self._tending is not None or self._stop.is_set():
                return
            if not _one.acquire(blocking=False):
                raise StoreError("another worker runs in this process", remedy="run `polyseme worker` as another")
            try:
                self._launch()
            except BaseException:
                self._clear()
                raise
            self._tending = threading.Thread(target=self._tend, name="polyseme-worker", daemon=True)
            self._tending.start()

    def stop(self, *, wait: float = 30.0) -> None:
        """End: the part in work is finished, for at most `wait` seconds; the rest is left to whoever comes next."""
        self._stop.set()
        with self._starting:
            if self._tending is None:
                return
            self._tending.join(wait)
            if self._busy.acquire(timeout=wait):
                self._busy.release()
            try:
                self._rows.release(self.id)
            except StoreError:
                log.warning("the jobs of this worker are free once their lease ends")
            self._tending = None
            self._clear()

    def _clear(self) -> None:
        from dbos import DBOS

        DBOS.destroy(destroy_registry=True)
        if self._folder is not None:
            self._folder.cleanup()
        _one.release()

    def _launch(self) -> None:
        from dbos import DBOS, DBOSPortableJSONSerializer

        try:
            DBOS(
                config={
                    "name": APPLICATION,
                    "system_database_url": self._url(),
                    "executor_id": self.id,
                    "application_version": str(PARTS_VERSION),
                    "serializer": DBOSPortableJSONSerializer(),  # its own would be pickle
                    "db_engine_kwargs": {"hide_parameters": True},
                    "use_listen_notify": False,
                    "log_level": "ERROR",
                    "console_log_level": "ERROR",
                }
            )

            @DBOS.workflow(name=WORKFLOW)
            def run(job_id: str) -> None:  # DBOS takes no methods
                self._run(job_id)

            self._function = run
            DBOS.launch()
            DBOS.register_queue(QUEUE, worker_concurrency=1, polling_interval_sec=TICK)
        except Exception as error:
            raise StoreError(
                "jobs cannot be run from this database", remedy="see the log; on PostgreSQL the user makes a schema"
            ) from error

    def _url(self) -> str:
        url = make_url(self._store.url)
        if not in_memory(url):
            return url.render_as_string(hide_password=False)
        self._folder = tempfile.TemporaryDirectory(prefix="polyseme-jobs-")
        return f"sqlite:///{self._folder.name}/parts.db"

    def _tend(self) -> None:
        beaten = 0.0
        while not self._stop.wait(TICK):
            try:
                if time.monotonic() - beaten > self._settings.job_lease / 3:
                    self._rows.beat(self.id, self._held)
                    beaten = time.monotonic()
                self._reconcile()
            except StoreError as error:
                log.warning("the worker waits: %s", error)
                self._stop.wait(1.0)
            except Exception:
                log.exception("the worker could not look after its jobs")
                self._stop.wait(1.0)

    def _reconcile(self) -> None:
        """Bring DBOS's workflows in line with the rows."""
        from dbos import DBOS, SetWorkflowID

        active = self._rows.active()
        known = set()
        self._seen = {job_id: seen for job_id, seen in self._seen.items() if job_id in active}
        for flow in DBOS.list_workflows(name=WORKFLOW, load_input=False, load_output=False):
            job_id = flow.workflow_id
            ended = flow.status in ENDED or int(flow.app_version or 0) < PARTS_VERSION
            known.add(job_id)
            if job_id not in active and job_id in self._rows.active():
                continue  # queued since this round began
            if ended:  # with its parts; where the job itself has not ended, the next round begins it anew
                DBOS.delete_workflow(job_id)
            elif job_id not in active:
                DBOS.cancel_workflow(job_id)
            elif flow.status == "PENDING" and self._is_left(job_id, flow.executor_id):
                DBOS.resume_workflow(job_id, queue_name=QUEUE)
        for job_id in active:
            if job_id in known:
                continue
            with SetWorkflowID(job_id):
                DBOS.enqueue_workflow(QUEUE, self._function, job_id)

    def _is_left(self, job_id: str, executor: str | None) -> bool:
        """Whether nobody works on a job that DBOS gave to the executor; if so, it is this worker's to resume."""
        now, lease = time.monotonic(), self._settings.job_lease
        given, since = self._seen.get(job_id, (None, now))
        if given != executor:
            since = now
        self._seen[job_id] = executor, since
        if job_id in self._held:
            return False
        # It may not have begun with it yet, nor said so: then it has a lease from when this worker saw it.
        return self._rows.adopt(job_id, executor, lease) or (
            now - since > lease and self._rows.adopt(job_id, None, lease)
        )

    def _run(self, job_id: str) -> None:
        """The workflow. It has no outcome of its own: what comes of the job stands in its row."""
        self._held.add(job_id)
        try:
            self._run_held(job_id)
        finally:
            self._held.discard(job_id)

    def _run_held(self, job_id: str) -> None:
        with self._busy:
            if self._stop.is_set():
                raise Abandoned
            attempts = self._patiently(lambda: self._rows.begin(job_id, self.id))
            if attempts is None:
                return
            try:
                if attempts > MOST_ATTEMPTS:
                    raise GivenUp(f"{attempts - 1} workers ended at the same part of it", remedy="send fewer texts")
                analysis = self._analysed(job_id)
            except ShuttingDown:  # the service did not wait for the part in work
                raise Abandoned from None
            except StoreError as error:  # the next to take the job goes on with it, this worker or another
                log.warning("the job %s waits for its next try: %s", job_id, error)
                self._patiently(lambda: self._rows.disown(job_id, self.id))
                raise Abandoned from error
            except Exception as error:  # noqa: BLE001 - whatever it is, the job's row says it
                self._failed(job_id, error)
                return
            self._patiently(lambda: self._finish(job_id, analysis))

    def _finish(self, job_id: str, analysis: Analysis) -> None:
        # Both again where the second fails: the analysis may have been forgotten in between.
        self._store.save(analysis)
        self._rows.finish(job_id, self.id, analysis=analysis.id)

    def _analysed(self, job_id: str) -> Analysis:
        kept, row = self._rows.request(job_id), self._rows.get(job_id)
        if kept is None or row is None:
            raise Abandoned
        request = SensesRequest.model_validate_json(zlib.decompress(kept))
        limits = self._settings.for_jobs()
        documents = texts.to_documents(request.texts, limits)
        told = Told(self._rows, job_id, self.id, request, row["done"])
        parts = Parts(self._encoders[request.model or self._settings.model], _keep(told), self._go_on)
        with texts.placing(documents):
            return analyse(
                parts,
                documents,
                request.target,
                request.options(),
                pairs=limits.pairs,
                namer=self._shelf.name,
                watch=told.watch,
            )

    def _go_on(self) -> None:
        if self._stop.is_set():
            raise Abandoned

    def _failed(self, job_id: str, error: Exception) -> None:
        if isinstance(error, PolysemeError):
            problem = problems.from_error(error)
            log.warning("the job %s failed: %s", job_id, problem.type)
        else:
            log.error("the job %s failed", job_id, exc_info=error)
            problem = problems.plain(500, "the job could not be finished", remedy="tell whoever runs the service")
        text = problem.model_dump_json(exclude_none=True)
        self._patiently(lambda: self._rows.fail(job_id, self.id, error=text))

    def _patiently(self, act: Callable[[], T]) -> T:
        """What must not be lost is tried until the database answers, or this worker stops."""
        wait = 0.25
        while True:
            try:
                return act()
            except StoreError as error:
                log.warning("a job waits: %s", error)
                if self._stop.wait(wait):
                    raise Abandoned from None
                wait = min(2 * wait, 5.0)


class GivenUp(PolysemeError):
    """A job that no worker survives."""


def _keep(told: Told) -> Callable[[str, Callable[[], str]], str]:
    """What keeps a part as a step of the workflow that runs."""
    from dbos import DBOS

    def keep(name: str, work: Callable[[], str]) -> str:
        def part() -> str:
            try:
                with told.working():
                    return work()
            except Exception as error:
                raise _Failed(error) from error

        try:
            kept: str = DBOS.run_step({"name": name}, part)
            return kept
        except _Failed as failed:
            raise failed.error from None
        except Exception as error:  # the part is done, but cannot be kept: a full disk, a lost database
            log.exception("a part could not be kept")
            raise StoreError("a part of the job could not be kept", remedy="see the log") from error

    return keep
