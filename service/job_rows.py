"""The rows of jobs. They are the truth about a job: what was asked, how far it is, what came of it.

Every change is one statement that says which state it expects, so that two workers, or a worker and a caller who
forgets a job, cannot undo one another. Times that are compared are of the database's own clock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Double, cast, func, insert, literal_column, or_, select, update
from sqlalchemy import delete as delete_from
from sqlalchemy.engine import Engine
from sqlalchemy.exc import IntegrityError

from service.database import store_errors, utc
from service.tables import JOBS

Status = Literal["queued", "running", "done", "failed", "cancelled"]
Row = Mapping[str, Any]
ACTIVE = ("queued", "running")
LISTED = [column for column in JOBS.c if column.name != "request"]


class JobRows:
    """Jobs by id, in the table `jobs`. Safe to share between threads; raises StoreError where the database fails."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # Each in seconds since 1970: a lease must not depend on the clocks of two machines.
        self._now: ColumnElement[Any] = (
            literal_column("(julianday('now') - 2440587.5) * 86400.0")
            if engine.dialect.name == "sqlite"
            else cast(func.extract("epoch", func.clock_timestamp()), Double)
        )

    def add(self, job_id: str, request: bytes, *, fingerprint: str, key: str | None = None) -> bool:
        """Queue a job; false where there is one under the key already."""
        row = {"id": job_id, "created": datetime.now(UTC), "key": key, "fingerprint": fingerprint,
               "request": request, "status": "queued"}  # fmt: skip
        with store_errors():
            try:
                with self._engine.begin() as connection:
                    connection.execute(insert(JOBS).values(row))
            except IntegrityError:
                if key is None or self.of_key(key) is None:
                    raise
                return False
        return True

    def get(self, job_id: str) -> Row | None:
        """All of the row but the request."""
        return self._one(JOBS.c.id == job_id)

    def of_key(self, key: str) -> Row | None:
        """The row of the job with this Idempotency-Key."""
        return self._one(JOBS.c.key == key)

    def request(self, job_id: str) -> bytes | None:
        """What was asked, as `add` was given it."""
        with store_errors(), self._engine.connect() as connection:
            return connection.scalar(select(JOBS.c.request).where(JOBS.c.id == job_id))

    def active(self) -> list[str]:
        """The ids of the jobs that are queued or running, the first that came first."""
        query = select(JOBS.c.id).where(JOBS.c.status.in_(ACTIVE)).order_by(JOBS.c.created, JOBS.c.id)
        with store_errors(), self._engine.connect() as connection:
            return list(connection.scalars(query))

    def count(self) -> dict[str, int]:
        """How many jobs there are of each status."""
        with store_errors(), self._engine.connect() as connection:
            rows = connection.execute(select(JOBS.c.status, func.count()).group_by(JOBS.c.status)).all()
        return {status: number for status, number in rows}  # noqa: C416 - dict() of rows has no types

    def begin(self, job_id: str, worker: str) -> int | None:
        """The worker takes the job: how often one did since it last got on; None where there is nothing to do."""
        first = func.coalesce(JOBS.c.started, datetime.now(UTC))
        values = {"status": "running", "worker": worker, "beat": self._now, "started": first,
                  "attempts": JOBS.c.attempts + 1}  # fmt: skip
        query = update(JOBS).where(JOBS.c.id == job_id, JOBS.c.status.in_(ACTIVE)).values(values)
        with store_errors(), self._engine.begin() as connection:
            attempts: int | None = connection.scalar(query.returning(JOBS.c.attempts))
            return attempts

    def progress(
        self, job_id: str, worker: str, *, step: str | None, done: int, total: int, rate: float | None
    ) -> bool:
        """How far the job is; false where it is not this worker's any more, or was forgotten."""
        values = {"step": step, "done": done, "total": total, "rate": rate, "beat": self._now, "attempts": 0}
        return self._change(self._own(job_id, worker), values)

    def finish(self, job_id: str, worker: str, *, analysis: str | None) -> bool:
        """The job is done; false as `progress` says."""
        values = {"status": "done", "analysis": analysis, "finished": datetime.now(UTC), "done": JOBS.c.total}
        return self._change(self._own(job_id, worker), values)

    def fail(self, job_id: str, worker: str, *, error: str) -> bool:
        """The job cannot be done, as the problem says; false as `progress` says."""
        return self._change(
            self._own(job_id, worker), {"status": "failed", "error": error, "finished": datetime.now(UTC)}
        )

    def forget(self, job_id: str) -> bool:
        """False where the job is not there. The worker of one that runs notices at its next part."""
        query = delete_from(JOBS).where(JOBS.c.id == job_id)
        with store_errors(), self._engine.begin() as connection:
            return bool(connection.execute(query).rowcount)

    def beat(self, worker: str, job_ids: Collection[str]) -> None:
        """The worker says that it lives, and works on these jobs."""
        self._change(
            (JOBS.c.worker == worker, JOBS.c.status == "running", JOBS.c.id.in_(list(job_ids))), {"beat": self._now}
        )

    def release(self, worker: str) -> None:
        """The worker goes, and leaves its jobs to whoever comes next."""
        self._change((JOBS.c.worker == worker, JOBS.c.status == "running"), {"beat": 0.0})

    def disown(self, job_id: str, worker: str) -> None:
        """The worker cannot go on with the job now; once the lease ends, it or another tries again."""
        self._change(self._own(job_id, worker), {"worker": None, "beat": self._now, "attempts": 0})

    def adopt(self, job_id: str, worker: str | None, lease: float) -> bool:
        """Whether the worker, or whoever has the job for None, has not said for `lease` seconds that it lives.

        True for one asker only: the next has a lease to wait.
        """
        stale = or_(JOBS.c.beat.is_(None), JOBS.c.beat < self._now - lease)
        where = (JOBS.c.id == job_id, JOBS.c.status.in_(ACTIVE), stale)
        return self._change(where if worker is None else (*where, JOBS.c.worker == worker), {"beat": self._now})

    def _own(self, job_id: str, worker: str) -> tuple[ColumnElement[bool], ...]:
        return JOBS.c.id == job_id, JOBS.c.worker == worker, JOBS.c.status == "running"

    def _one(self, where: ColumnElement[bool]) -> Row | None:
        with store_errors(), self._engine.connect() as connection:
            row = connection.execute(select(*LISTED).where(where)).mappings().one_or_none()
        if row is None:
            return None
        return dict(row) | {name: utc(row[name]) for name in ("created", "started", "finished") if row[name]}

    def _change(self, where: tuple[ColumnElement[bool], ...], values: dict[str, Any]) -> bool:
        with store_errors(), self._engine.begin() as connection:
            return bool(connection.execute(update(JOBS).where(*where).values(values)).rowcount)
