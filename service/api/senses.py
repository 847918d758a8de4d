"""The main job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.responses import Response

from analysis.record import Analysis
from service.api import analyses, jobs
from service.api.desk import AtDesk
from service.api.services import Wired
from service.jobs import JobOut
from service.problems import documented
from service.schemas import SensesRequest

router = APIRouter(prefix="/v1", tags=["senses"])


Prefer = Annotated[
    list[str] | None,
    Header(description="`respond-async` (RFC 7240): where there are many texts, answer 202 with a job"),
]


@router.post(
    "/senses",
    response_model=Analysis,
    responses={
        202: {
            "model": JobOut,
            "description": "A job, as POST /v1/jobs makes it",
            "headers": jobs.LOCATION,
            "content": jobs.SHOWN,
        },
        **documented(400, 413, 415, 422, 503),
    },
)
async def senses(
    request: SensesRequest, services: Wired, desk: AtDesk, prefer: Prefer = None, idempotency_key: jobs.Key = None
) -> Response:
    """The senses of a word in the texts, and the context words that drove each.

    The analysis is kept: Content-Location tells where it, and its reports, can be had again. A request of many texts
    that says `Prefer: respond-async` is made a job; the Idempotency-Key is for that.
    """
    if len(request.texts) > services.settings.async_texts and _respond_async(prefer or ()):
        response = Response(status_code=202, media_type="application/json")
        job = await jobs.submit(services, desk, request, response, idempotency_key)
        headers = dict(response.headers) | {"Preference-Applied": "respond-async"}
        headers.pop("content-length")
        return Response(job.model_dump_json(), 202, headers)
    return await analyses.make(services, request, request.options())


def _respond_async(prefer: Sequence[str]) -> bool:
    """Whether one of the preferences is respond-async; any may have parameters, and many may stand in one header."""
    wishes = (wish.partition(";")[0].strip().lower() for header in prefer for wish in header.split(","))
    return "respond-async" in wishes
