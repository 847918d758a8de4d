"""Long work: made, watched, deleted. The result is an ordinary stored analysis."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Request
from fastapi.responses import Response, StreamingResponse

from service.api import texts, uploads
from service.api.desk import AtDesk, Desk
from service.api.services import Services, Wired
from service.jobs import EXAMPLE, JobOut
from service.problems import documented
from service.schemas import SensesRequest
from service.store import NotFound
from service.tickets import current

router = APIRouter(prefix="/v1", tags=["jobs"])
JobId = Annotated[str, Path(description="the `id` of a job", examples=["0123456789abcdef0123"])]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="a name of your own: the same request under the same key is the same job, however often sent; "
        "each API key has its own",
        examples=["8e03978e-40d5-43dd-bc93-6894a57f9324"],
    ),
]
LOOK = 0.25  # seconds between looks at a job that is watched
ALIVE = 15.0  # seconds after which a watcher is sent a line, so that nothing between closes the connection
FORM = {
    "schema": {
        "type": "object",
        "required": ["file", "target"],
        "properties": {"file": {"type": "string", "format": "binary"}, **uploads.options()},
    }
}
FILE = {"schema": {"type": "string", "format": "binary"}}
BODY = {
    "required": True,
    "content": {
        uploads.JSON: {"schema": {"$ref": "#/components/schemas/SensesRequest"}},
        uploads.MULTIPART: FORM,
        **dict.fromkeys(uploads.ENDINGS, FILE),
    },
}
JOB = {
    "type": "string",
    "contentMediaType": "application/json",
    "contentSchema": {"$ref": "#/components/schemas/JobOut"},
}
EVENT = {"type": "object", "required": ["data"], "properties": {"data": JOB}}
QUERY = [
    {"name": name, "in": "query", "required": False, "schema": schema, "description": "beside a file only"}
    for name, schema in uploads.options().items()
]
SHOWN = {"application/json": {"example": EXAMPLE}}
LOCATION = {"Location": {"description": "the job's address", "schema": {"type": "string"}}}


@router.post(
    "/jobs",
    status_code=202,
    response_model=JobOut,
    responses={202: {"headers": LOCATION, "content": SHOWN}, **documented(400, 408, 413, 415, 422, 503)},
    openapi_extra={"requestBody": BODY, "parameters": QUERY},
)
async def create(
    request: Request, services: Wired, desk: AtDesk, response: Response, idempotency_key: Key = None
) -> JobOut:
    """The work of POST /v1/senses as a job, with the same body, or a file of texts and the same options beside it.

    A file is the body itself (its kind is its Content-Type, the options stand in the query), or the part `file` of a
    form (the options are its other parts). It may have many more texts than a request: see GET /v1/models.
    """
    return await submit(services, desk, await uploads.read(request, services), response, idempotency_key)


@router.get("/jobs/{job_id}", responses={200: {"content": SHOWN}, **documented(404, 503)})
async def get(job_id: JobId, services: Wired, desk: AtDesk) -> JobOut:
    """How far the job is, and what came of it."""
    return await services.off_loop(desk.jobs.get, job_id)


@router.get(
    "/jobs/{job_id}/events",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "server-sent events: `data` is the job as GET /v1/jobs/{id} gives it, sent when it changes",
            "content": {"text/event-stream": {"schema": EVENT, "example": {"data": json.dumps(EXAMPLE)}}},
        },
        **documented(404, 503),
    },
)
async def events(job_id: JobId, services: Wired, desk: AtDesk) -> StreamingResponse:
    """The job whenever it changes, until its end; one that is deleted ends as "cancelled"."""
    first = await services.off_loop(desk.jobs.get, job_id)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_changes(services, desk, first), media_type="text/event-stream", headers=headers)


@router.delete("/jobs/{job_id}", status_code=204, responses=documented(404, 503))
async def delete(job_id: JobId, services: Wired, desk: AtDesk) -> None:
    """Forget the job; one that is queued or running is cancelled. From then on its address is 404; an analysis that it
    made stays."""
    await services.off_loop(desk.jobs.delete, job_id)


async def submit(services: Services, desk: Desk, request: SensesRequest, response: Response, key: str | None) -> JobOut:
    """The request as a job, once it is known that it can be begun; the response says where the job is."""
    services.check_model(request.model)
    await services.off_loop(texts.read, request, services.settings.for_jobs())
    await services.off_loop(desk.run)  # first: where nothing can run it, nothing is kept
    owner = current().caller if services.settings.api_keys else ""  # an address is nobody's own
    job = await services.off_loop(desk.jobs.submit, request, key=key, owner=owner)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return job


async def _changes(services: Services, desk: Desk, job: JobOut) -> AsyncIterator[str]:
    silent: float = 0.0
    told: Any = None
    while True:
        if job != told:
            yield f"data: {job.model_dump_json()}\n\n"
            told, silent = job, 0.0
        if job.finished is not None:
            return
        if silent >= ALIVE:
            yield ": still here\n\n"
            silent = 0.0
        await asyncio.sleep(LOOK)
        silent += LOOK
        try:
            job = await services.off_loop(desk.jobs.get, job.id)
        except NotFound:
            job = job.model_copy(update={"status": "cancelled", "finished": datetime.now(UTC)})
