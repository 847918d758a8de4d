"""The main job."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from analysis.record import Analysis
from service.api import analyses
from service.api.services import Wired
from service.problems import documented
from service.schemas import SensesRequest

router = APIRouter(tags=["senses"])


@router.post("/senses", response_model=Analysis, responses=documented(400, 413, 415, 422, 503))
async def senses(request: SensesRequest, services: Wired) -> Response:
    """The senses of a word in the texts, and the context words that drove each.

    The analysis is kept: Content-Location tells where it, and its reports, can be had again.
    """
    return await analyses.make(services, request, request.options())
