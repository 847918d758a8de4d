"""One usage explained against a saved sense model."""

from __future__ import annotations

from typing import cast

from fastapi import APIRouter
from fastapi.responses import Response

from analysis import attributing
from analysis.errors import InputError
from analysis.text import Match
from service.api import texts
from service.api.sense_models import served
from service.api.services import Wired
from service.problems import documented
from service.schemas import AttributionsRequest

router = APIRouter(prefix="/v1", tags=["attributions"])


@router.post(
    "/attributions",
    response_model=attributing.Attributed,
    responses=documented(400, 404, 409, 413, 415, 422, 503),
)
async def attributions(request: AttributionsRequest, services: Wired) -> Response:
    """Which words of the text speak for the sense that the sense model gives its target there, and which against it.

    A usage that the model gives no sense is explained against the nearest one, and flagged.
    """
    saved = await services.off_loop(services.store.get_senses, request.sense_model)
    name = served(services, saved)
    made = saved.provenance
    match, language = request.match or cast(Match, made.match), request.language or made.language

    def work() -> str:
        documents = texts.to_documents([request.text], services.settings)
        texts.find(documents, saved.model.target, match, language, services.settings)
        with texts.placing(documents):
            found = attributing.attribute(
                saved,
                services.encoders[name],
                documents,
                method=request.drivers,
                budget=request.budget,
                threshold=request.threshold,
                match=match,
                language=language,
            )
        return attributing.to_json(found)

    try:
        content = await services.infer(work)
    except InputError as error:
        # The request has one text, not a list of them, and no target of its own.
        if error.where[:1] in {("texts",), ("target",)}:
            error.where = ("text", *error.where[2:])
        raise
    return Response(content, media_type="application/json")
