"""Contextual against static."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from analysis.record import Analysis
from service.api import analyses
from service.api.services import Wired
from service.problems import documented
from service.schemas import CompareRequest

router = APIRouter(prefix="/v1", tags=["compare"])


@router.post("/compare", response_model=Analysis, responses=documented(400, 413, 415, 422, 503))
async def compare(request: CompareRequest, services: Wired) -> Response:
    """The one static vector of a word against its contextual ones, pair by pair and layer by layer.

    An analysis without drivers whose `static.pairs` are filled; kept as that of POST /v1/senses is.
    """
    return await analyses.make(services, request, request.options())
