"""Long work as jobs: what a caller may do with them. `worker.py` runs them, here or elsewhere."""

from __future__ import annotations

import hashlib
import json
import secrets
import zlib
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from analysis.errors import BadOption, InputError
from service.database import StoreError
from service.job_rows import JobRows, Row
from service.schemas import SensesRequest
from service.store import NotFound, Store


class ProgressOut(BaseModel):
    """How far a job is, in readings of a text by the model."""

    done: int
    total: int = Field(description="an estimate until the last step is known")
    rate: float | None = Field(description="readings a second, by the worker that has it now")
    seconds_left: float | None
    step: str | None = Field(description="what it is at", examples=["read", "explain"])


class FailureOut(BaseModel):
    """Why a job failed: the problem that POST /v1/senses would have answered (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    remedy: str | None = None
    errors: list[dict[str, str | None]] = Field(default_factory=list)


EXAMPLE: JsonValue = {
    "id": "0123456789abcdef0123",
    "status": "running",
    "progress": {"done": 640, "total": 2600, "rate": 60.4, "seconds_left": 32.5, "step": "explain"},
    "analysis": None,
    "error": None,
    "created": "2026-01-02T03:04:05Z",
    "started": "2026-01-02T03:04:06Z",
    "finished": None,
}


class JobOut(BaseModel):
    """A job as it is now."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    id: str
    status: Literal["queued", "running", "done", "failed", "cancelled"]
    progress: ProgressOut
    analysis: str | None = Field(
        default=None, description="the id of the analysis, once the job is done; GET /v1/analyses/{id}"
    )
    error: FailureOut | None = Field(default=None, description="why it failed")
    created: datetime
    started: datetime | None = None
    finished: datetime | None = None


class KeyReused(InputError):
    """An Idempotency-Key that came with another request before."""


class BadUpload(InputError):
    """A body that is not what its Content-Type says."""


class UploadTooSlow(InputError):
    """A body that took too long to arrive."""


class UnknownMediaType(InputError):
    """A body of a kind that no job is made of."""


class Jobs:
    """Jobs by id, in the store's database. Safe to share between threads; raises StoreError where it fails."""

    def __init__(self, store: Store) -> None:
        self.rows = JobRows(store.engine)

    def submit(self, request: SensesRequest, *, key: str | None = None, owner: str = "") -> JobOut:
        """Queue the request as a job; where there is one under the owner's key already, that one.

        Raises KeyReused where that one is of another request, BadOption for a key that cannot be one.
        """
        kept = None if key is None else _owned(key, owner)
        body = json.dumps(request.model_dump(mode="json"), sort_keys=True).encode()
        fingerprint = hashlib.sha256(body).hexdigest()
        job_id = secrets.token_hex(10)
        if self.rows.add(job_id, zlib.compress(body), fingerprint=fingerprint, key=kept):
            return self.get(job_id)
        assert kept is not None  # noqa: S101 - only a key can be there already
        row = self.rows.of_key(kept)
        if row is None:  # forgotten in between
            return self.submit(request, key=key, owner=owner)
        if row["fingerprint"] != fingerprint:
            raise KeyReused(
                "the Idempotency-Key came with another request before",
                remedy="give each request a key of its own; the same key only to send the same again",
            )
        return shown(row)

    def get(self, job_id: str) -> JobOut:
        """The job as it is now. Raises NotFound."""
        row = self.rows.get(job_id) if _possible(job_id) else None
        if row is None:
            raise _not_found(job_id)
        return shown(row)

    def delete(self, job_id: str) -> None:
        """Forget the job, and cancel it where it is queued or running. Raises NotFound."""
        if not _possible(job_id) or not self.rows.forget(job_id):
            raise _not_found(job_id)


def shown(row: Row) -> JobOut:
    """A row as it is answered."""
    left = row["total"] - row["done"]
    return JobOut(
        id=row["id"],
        status=row["status"],
        progress=ProgressOut(
            done=row["done"],
            total=row["total"],
            step=row["step"],
            rate=None if row["rate"] is None else round(row["rate"], 2),
            seconds_left=round(left / row["rate"], 1) if row["rate"] and row["status"] == "running" else None,
        ),
        analysis=row["analysis"],
        error=None if row["error"] is None else _problem(row["error"]),
        created=row["created"],
        started=row["started"],
        finished=row["finished"],
    )


def _problem(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise StoreError("a job was kept by another version", remedy="forget it, and make it again") from error


def _owned(key: str, owner: str) -> str:
    """What is kept of an Idempotency-Key: two owners' keys of the same name have nothing to do with one another."""
    if not (0 < len(key) <= 255 and key.isascii() and key.isprintable()):
        raise BadOption("the Idempotency-Key is not one", remedy="give 1 to 255 printable ASCII characters")
    return hashlib.sha256(f"{owner}\0{key}".encode()).hexdigest()


def _possible(job_id: str) -> bool:
    return job_id.isascii() and job_id.isalnum()


def _not_found(job_id: str) -> NotFound:
    return NotFound(f"there is no job {job_id!r}", remedy="POST /v1/jobs makes one and tells its id")
