"""The work on many machines, or many processes of one: Ray Data, with one encoder an actor (ray.io; extra `ray`).

Tasks go through Ray's object store, which spills to the disk, so that a worker needs no folder in common with this
process; it needs Polyseme and the model. A worker that dies is started anew, and its task is done again.
"""

from __future__ import annotations

import logging
import os
import pickle
import socket
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import chain
from threading import Thread
from typing import Any

import pyarrow as pa

from analysis.corpora.engines import Load, Result, Task, Work
from analysis.errors import BadOption, EngineError, ModelMismatch, PolysemeError
from analysis.pipeline import Watch, unwatched
from analysis.types import Encoder

SECONDS = 15.0  # to join a cluster
SHARE = 0.9  # of its threads' CPUs that an actor asks for: what is left lets Ray's own tasks run beside it


@dataclass(frozen=True, slots=True)
class Workers:
    """How many encoders there are, each with so many threads, or with a GPU each; None: as the cluster has room for."""

    number: int | None = None
    threads: int = 1
    gpu: bool = False


class Ray:
    """An `Engine` on the cluster at `address` ("host:port", or "auto"); None: this machine.

    `load` is called once in each actor, and must give the model whose weights have the `digest`.
    """

    def __init__(self, load: Load, digest: str, *, address: str | None = None, workers: Workers = Workers()) -> None:
        if find_spec("ray") is None:
            raise BadOption("Ray is not installed", remedy="pip install 'polyseme[ray]'", where=("engine",))
        self._load, self._digest, self._address, self._workers = load, digest, address, workers
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def run(self, work: Work[Task, Result], tasks: Iterable[Task], watch: Watch) -> Iterator[Result]:  # noqa: ARG002
        """The results as they come. Raises EngineError where the cluster cannot be reached, or the work fails there."""
        waiting = iter(tasks)
        first = next(waiting, None)
        if first is None:
            return
        ray = self.connect()
        references = [ray.put(pa.table({"task": [pickle.dumps(task)]})) for task in chain([first], waiting)]
        number = min(self._number(ray), len(references))
        done = ray.data.from_arrow_refs(references).map_batches(
            _Actor,
            fn_constructor_args=(self._load, self._digest, work, self._workers.threads),
            batch_size=None,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=number),
            num_cpus=SHARE * self._workers.threads,
            num_gpus=1 if self._workers.gpu else None,
        )
        try:
            for batch in done.iter_batches(batch_size=None, batch_format="pyarrow"):
                for row in batch["result"]:
                    result = pickle.loads(row.as_py())  # noqa: S301 - of our own workers
                    if isinstance(result, _Failed):
                        raise EngineError(f"on the worker {result.worker}: {result.what}", remedy=result.remedy)
                    yield result
        except ray.exceptions.RayError as error:
            why = str(error).strip().splitlines()[-1]
            raise EngineError(
                f"the work on Ray failed: {why}", remedy="look into Ray's logs, or use --resume"
            ) from error

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        if "ray" in sys.modules:
            sys.modules["ray"].shutdown()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def connect(self) -> Any:
        """The ray module, connected: with the cluster, or with what it starts here. Raises EngineError."""
        self._knock()
        # Read when Ray is imported. Nothing is sent to anybody; what goes wrong is said here in our own words.
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        import ray
        import ray.data

        if not ray.is_initialized():
            quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
            if self._address is None:
                self._folder = tempfile.TemporaryDirectory(prefix="polyseme-ray-", ignore_cleanup_errors=True)
                cpus = max(os.cpu_count() or 1, (self._workers.number or 1) * self._workers.threads)
                ray.init(num_cpus=cpus, include_dashboard=False, _temp_dir=self._folder.name, **quiet)
            else:
                self._join(ray, quiet)
            context = ray.data.DataContext.get_current()
            context.enable_progress_bars = False
            logging.getLogger("ray.data").setLevel(logging.ERROR)
        return ray

    def _join(self, ray: Any, quiet: dict[str, Any]) -> None:
        """Join the cluster. Ray itself waits for minutes where nobody answers; here it is over after SECONDS."""
        failed: list[Exception] = []

        def join() -> None:
            try:
                ray.init(address=self._address, **quiet)
            except Exception as error:  # noqa: BLE001 - handed on below
                failed.append(error)

        thread = Thread(target=join, daemon=True)
        thread.start()
        thread.join(SECONDS)
        if failed or thread.is_alive():
            why = str(failed[0]).strip().splitlines()[0] if failed else f"no answer within {SECONDS:.0f} s"
            raise self._unreachable(why)

    def _knock(self) -> None:
        """See that somebody listens at the address at all."""
        host, _, port = (self._address or "").removeprefix("ray://").rpartition(":")
        if not host or not port.isdigit():
            return  # "auto": Ray finds it
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
        except OSError as error:
            raise self._unreachable(error.strerror or str(error)) from error

    def _unreachable(self, why: str) -> EngineError:
        return EngineError(
            f"the Ray cluster at {self._address} cannot be reached: {why}",
            remedy="start it, or mend --address; one that wants a token: RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN",
        )

    def _number(self, ray: Any) -> int:
        room = ray.cluster_resources()
        fit = room.get("GPU", 0) if self._workers.gpu else room.get("CPU", 1) / self._workers.threads
        if self._workers.gpu and not fit:
            raise EngineError("the Ray cluster has no GPU", remedy="leave --gpu out", where=("gpu",))
        if self._workers.number is not None and self._workers.number > fit:
            what = f"the Ray cluster has room for {int(fit)} workers, not for {self._workers.number}"
            raise EngineError(what, remedy="ask for fewer workers or threads", where=("workers",))
        return self._workers.number or max(1, int(fit))


@dataclass(frozen=True, slots=True)
class _Failed:
    """An error of a worker as values, since an exception with keywords does not travel."""

    worker: str
    what: str
    remedy: str


class _Actor:
    """One encoder, in a process of its own."""

    def __init__(self, load: Load, digest: str, work: Work[Any, Any], threads: int) -> None:
        os.environ["OMP_NUM_THREADS"] = str(threads)  # read when the model's library is imported, which is next
        self._work = work
        self._encoder: Encoder | _Failed
        try:
            self._encoder = load()
            if self._encoder.info.digest != digest:
                raise ModelMismatch(
                    f"the model {self._encoder.info.name} has other weights there than here",
                    remedy="pull the same model on all machines",
                )
        except PolysemeError as error:
            self._encoder = _failed(error)

    def __call__(self, batch: pa.Table) -> pa.Table:
        return pa.table(
            {"result": pa.array([pickle.dumps(self._do(row.as_py())) for row in batch["task"]], pa.large_binary())}
        )

    def _do(self, packed: bytes) -> Any:
        if isinstance(self._encoder, _Failed):
            return self._encoder
        try:
            return self._work(self._encoder, pickle.loads(packed), unwatched)  # noqa: S301 - of our own run
        except PolysemeError as error:
            return _failed(error)


def _failed(error: PolysemeError) -> _Failed:
    return _Failed(socket.gethostname(), error.what, error.remedy)
