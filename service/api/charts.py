"""The charts of stored analyses: as Vega-Lite for a page, as SVG and PNG for anything else."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from analysis.charts import render
from service.api.analyses import AnalysisId
from service.api.services import Services, Wired
from service.problems import documented

router = APIRouter(prefix="/v1", tags=["analyses"])
SVG, PNG = "image/svg+xml", "image/png"
BINARY = {"type": "string", "format": "binary"}
# An SVG that is opened by itself is a page: nothing may run in it.
SVG_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"
ChartName = Annotated[
    str | None, Query(max_length=100, description="a `name` of GET /v1/analyses/{id}/charts; the sense map if left out")
]
Scheme = Annotated[Literal["light", "dark"], Query(description="for a light page and for print, or for a dark page")]
EXAMPLE: dict[str, JsonValue] = {
    "charts": [
        {
            "name": "sense-map",
            "title": "Two senses of “bank” in 30 usages",
            "caption": "Each point is a usage; near points are used alike.",
            "spec": {"mark": "point", "encoding": {}, "data": {"name": "usages"}, "datasets": {"usages": []}},
            "columns": ["usage", "sense", "confidence", "x", "y", "drivers"],
            "rows": [["u0", "A", 0.98, 0.31, -0.12, "deposit +0.42"]],
        }
    ],
    "missing": {"attention-lines": "the attention of exemplars was not asked for"},
    "dark": {"#FFFFFF": "#151515"},
}


class ChartOut(BaseModel):
    """A chart and the words around it: the `title` states what is seen, the `caption` how to read it."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    title: str
    caption: str
    spec: dict[str, JsonValue] = Field(description="Vega-Lite, with its data; in the colours of a light page")
    columns: list[str] = Field(description="the figures behind it as a table: its head")
    rows: list[list[str | int | float | None]] = Field(description="and its rows")


class ChartsOut(BaseModel):
    """All charts that an analysis has enough for."""

    charts: list[ChartOut]
    missing: dict[str, str] = Field(description="the charts that it has not enough for, and why not")
    dark: dict[str, str] = Field(description="for each colour of the specifications the one for a dark page")


# Their endings come before GET /analyses/{analysis_id}, which would take them for a part of the id: app.py's order.
@router.get(
    "/analyses/{analysis_id}.svg",
    response_class=Response,
    responses={200: {"content": {SVG: {"schema": {"type": "string"}}}}, **documented(404, 422, 503)},
)
async def get_svg(
    analysis_id: AnalysisId, services: Wired, chart: ChartName = None, scheme: Scheme = "light"
) -> Response:
    """A chart of the analysis as SVG."""
    spec = await services.off_loop(_spec, services, analysis_id, chart, scheme)
    drawn = await services.draw(render.to_svg, spec)
    return Response(drawn, media_type=SVG, headers={"Content-Security-Policy": SVG_POLICY})


@router.get(
    "/analyses/{analysis_id}.png",
    response_class=Response,
    responses={
        200: {"content": {PNG: {"schema": {"type": "string", "format": "binary"}}}},
        **documented(404, 422, 503),
    },
)
async def get_png(
    analysis_id: AnalysisId, services: Wired, chart: ChartName = None, scheme: Scheme = "light"
) -> Response:
    """A chart of the analysis as PNG, twice its size in pixels."""
    spec = await services.off_loop(_spec, services, analysis_id, chart, scheme)
    return Response(await services.draw(render.to_png, spec), media_type=PNG)


@router.get(
    "/analyses/{analysis_id}/charts",
    responses={200: {"content": {"application/json": {"example": EXAMPLE}}}, **documented(404, 503)},
)
async def get_charts(analysis_id: AnalysisId, services: Wired) -> ChartsOut:
    """Every chart of the analysis: what it shows, its Vega-Lite specification, and its figures as a table."""
    return await services.off_loop(_charts, services, analysis_id)


def _spec(services: Services, analysis_id: str, chart: str | None, scheme: str) -> dict[str, Any]:
    from analysis.charts import frame, gallery  # Altair takes a while to import

    spec = gallery.draw(services.store.get(analysis_id), gallery.FIRST if chart is None else chart).spec
    return frame.dark(spec) if scheme == "dark" else spec


def _charts(services: Services, analysis_id: str) -> ChartsOut:
    from analysis.charts import frame, gallery

    analysis = services.store.get(analysis_id)
    return ChartsOut(
        charts=[ChartOut.model_validate(chart) for chart in gallery.draw_all(analysis)],
        missing=gallery.missing(analysis),
        dark=dict(frame.DARK),
    )
