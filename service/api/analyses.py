"""Stored analyses and their reports; and the work that makes one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path
from fastapi.responses import Response

from analysis import report
from analysis.assemble import Options
from analysis.pipeline import analyse
from analysis.record import Analysis, to_json
from analysis.types import Document
from service.answers import AnalysesOut
from service.api import texts
from service.api.paging import Cursor, Limit
from service.api.services import Services, Wired
from service.problems import documented
from service.schemas import TargetRequest

router = APIRouter(prefix="/v1", tags=["analyses"])
AnalysisId = Annotated[str, Path(description="the `id` of an analysis", examples=["0123456789abcdef0123"])]
JSON, HTML = "application/json", "text/html; charset=utf-8"
CSV, PARQUET = "text/csv; charset=utf-8; header=present", "application/vnd.apache.parquet"
LISTED = {
    "analyses": [
        {
            "id": "0123456789abcdef0123",
            "target": "bank",
            "model": "mpnet",
            "verdict": "several senses",
            "created": "2026-01-02T03:04:05Z",
            "usages": 30,
            "senses": 2,
        }
    ],
    "next": "MjAyNi0wMS0wMlQwMzowNDowNSswMDowMCAwMTIzNDU2Nzg5YWJjZGVmMDEyMw==",
}
# Beside what the report itself allows: its styles, and its own scripts by their hashes.
REPORT_POLICY = "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"


async def make(services: Services, request: TargetRequest, options: Options) -> Response:
    """The Analysis that a request asks for, as its JSON; kept, with its address in Content-Location."""
    model = services.check_model(request.model)
    # What is wrong with the texts is said at once, also while another request has the model.
    documents, _ = await services.off_loop(texts.read, request, services.settings)
    analysis = await services.infer(_analyse, services, model, documents, request.target, options)
    await services.off_loop(services.store.save, analysis)
    content = await services.off_loop(_json, analysis)
    return Response(content, media_type=JSON, headers={"Content-Location": f"/v1/analyses/{analysis.id}"})


def _analyse(
    services: Services, model: str, documents: list[Document], target: str, options: Options
) -> Analysis:  # in a thread: the first use of a model loads it
    with texts.placing(documents):
        namer = None if options.pairs else services.shelf.name  # a comparison shows no names
        pairs = services.settings.pairs
        return analyse(services.encoders[model], documents, target, options, pairs=pairs, namer=namer)


def _json(analysis: Analysis) -> bytes:
    return to_json(analysis).encode()


def _file(media_type: str, description: str) -> dict[str, Any]:
    schema = {"type": "string"} if media_type.startswith("text/") else {"type": "string", "format": "binary"}
    ok = {"description": description, "content": {media_type.partition(";")[0]: {"schema": schema}}}
    return {"response_class": Response, "responses": {200: ok, **documented(404, 503)}}


@router.get("/analyses", responses={200: {"content": {JSON: {"example": LISTED}}}, **documented(422, 503)})
async def list_all(services: Wired, limit: Limit = 100, cursor: Cursor = None) -> AnalysesOut:
    """The analyses that are kept, the newest first; `next` of a page is the `cursor` of the page after it."""
    page = await services.off_loop(services.store.list_analyses, limit=limit, cursor=cursor)
    return AnalysesOut.model_validate({"analyses": page.items, "next": page.next})


# The routes with an ending come first: "{analysis_id}" alone would take the ending for a part of the id.
@router.get("/analyses/{analysis_id}.json", response_model=Analysis, responses=documented(404, 503))
async def get_json(analysis_id: AnalysisId, services: Wired) -> Response:
    """The analysis as a JSON file to download."""
    return await _report(services, analysis_id, _json, JSON, _download(analysis_id, "json"))


@router.get("/analyses/{analysis_id}.html", **_file(HTML, "one self-contained page"))
async def get_html(analysis_id: AnalysisId, services: Wired) -> Response:
    """The analysis as one page that also opens offline, with its charts."""
    analysis = await services.off_loop(services.store.get, analysis_id)
    page = await services.draw(report.to_html, analysis)
    policy = f"{await services.draw(report.policy)}; {REPORT_POLICY}"
    return Response(page, media_type=HTML, headers={"Content-Security-Policy": policy})


@router.get("/analyses/{analysis_id}.csv", **_file(CSV, "a usage a row (RFC 4180)"))
async def get_csv(analysis_id: AnalysisId, services: Wired) -> Response:
    """The usages as a CSV file, keyword in context."""
    render = lambda found: report.to_csv(found).encode()  # noqa: E731
    return await _report(services, analysis_id, render, CSV, _download(analysis_id, "csv"))


@router.get("/analyses/{analysis_id}.parquet", **_file(PARQUET, "a usage a row"))
async def get_parquet(analysis_id: AnalysisId, services: Wired) -> Response:
    """The same rows as a Parquet file."""
    return await _report(services, analysis_id, report.to_parquet, PARQUET, _download(analysis_id, "parquet"))


@router.get("/analyses/{analysis_id}", response_model=Analysis, responses=documented(404, 503))
async def get(analysis_id: AnalysisId, services: Wired) -> Response:
    """The analysis, as it was answered when it was made."""
    return await _report(services, analysis_id, _json, JSON, {})


@router.delete("/analyses/{analysis_id}", status_code=204, responses=documented(404, 503))
async def delete(analysis_id: AnalysisId, services: Wired) -> None:
    """Forget the analysis and all its reports."""
    await services.off_loop(services.store.delete, analysis_id)


async def _report(
    services: Services,
    analysis_id: str,
    render: Callable[[Analysis], bytes],
    media_type: str,
    headers: dict[str, str],
) -> Response:
    def content() -> bytes:
        return render(services.store.get(analysis_id))

    return Response(await services.off_loop(content), media_type=media_type, headers=headers)


def _download(analysis_id: str, ending: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="polyseme-{analysis_id}.{ending}"'}
