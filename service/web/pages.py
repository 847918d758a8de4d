"""The pages: HTML that holds nobody's data. What they show is fetched, with the caller's key where there are keys."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Annotated, Any

import jinja2
from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException

from analysis.catalogue import CATALOGUE
from analysis.charts import render
from analysis.record import Analysis
from service.api.services import Services, Wired
from service.encoders import info
from service.web import heat, views
from service.web.assets import CHARTS, Asset, Assets

router = APIRouter(include_in_schema=False)
# Nothing but what this service itself sends; a text that got out of its place could run nothing and style nothing.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
EXPORTS = (("html", "Report (HTML)"), ("json", "JSON"), ("csv", "CSV"), ("parquet", "Parquet"))
View = Callable[[Analysis, views.Charts], dict[str, Any]]
Id = Annotated[str, Path(pattern="^[0-9a-zA-Z]{1,64}$")]


@router.get("/")
async def senses(services: Wired) -> HTMLResponse:
    """Which senses the sentences use, and why; a worked example before anything is asked."""
    return page("senses.html", services, id=None, examples=views.examples(), stored=False, **_worked_senses())


@router.get("/senses/{analysis_id}")
async def found_senses(analysis_id: Id, services: Wired) -> HTMLResponse:
    """The same page with the senses of a stored analysis, which it fetches."""
    return page("senses.html", services, root="../", id=analysis_id, examples=views.examples())


@router.get("/attention")
async def attention(services: Wired) -> HTMLResponse:
    """Where each word looks; on arrival a worked example, whose figures the script fetches as static files."""
    both, later = views.attention("mpnet"), views.attention("smollm2")
    return page("attention.html", services, both=both, causal_read=later, step=heat.step)


@router.get("/view/senses/{analysis_id}")
async def senses_view(analysis_id: Id, services: Wired) -> HTMLResponse:
    """A stored analysis as a part of a page."""
    return await view(services, "senses_view.html", lambda: _shown(views.senses, services, analysis_id))


@router.get("/vectors")
async def vectors(services: Wired) -> HTMLResponse:
    """One static vector against many contextual ones; a worked example before anything is asked."""
    return page("vectors.html", services, id=None, stored=False, **_worked_vectors())


@router.get("/vectors/{analysis_id}")
async def found_vectors(analysis_id: Id, services: Wired) -> HTMLResponse:
    """The same page with a stored comparison, which it fetches."""
    return page("vectors.html", services, root="../", id=analysis_id)


@router.get("/view/vectors/{analysis_id}")
async def vectors_view(analysis_id: Id, services: Wired) -> HTMLResponse:
    """A stored comparison as a part of a page."""
    return await view(services, "vectors_view.html", lambda: _shown(views.vectors, services, analysis_id))


@router.get("/view/saved/{model_id}")
async def saved_view(model_id: Id, services: Wired) -> HTMLResponse:
    """A sense model as a part of a page."""
    return await view(services, "saved_view.html", lambda: views.saved(services.store.get_senses(model_id)))


@router.get("/static/{digest}/{name}")
async def static(digest: str, name: str, request: Request, services: Wired) -> Response:
    """A file that pages load."""
    if digest != assets().digest or not (asset := await find(services, name)):
        raise HTTPException(404)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.packed, media_type=asset.media_type, headers=FOR_EVER | {"Content-Encoding": "gzip"})
    return Response(asset.plain, media_type=asset.media_type, headers=FOR_EVER)


async def find(services: Services, name: str) -> Asset | None:
    """The file of this name. What draws charts (0.9 MB) is made when it is first asked for, which takes seconds."""
    found = assets().found
    if name == CHARTS and name not in found:
        library = await services.draw(render.library)
        found[name] = await services.off_loop(Asset.of, name, library.text.encode())
    return found.get(name)


def page(template: str, services: Services, *, root: str = "./", **values: Any) -> HTMLResponse:
    """The template as a page; `root` is the relative address of the first page, so that a proxy may add a prefix."""
    html = (
        templates()
        .get_template(template)
        .render(
            root=root,
            static=f"{root}static/{assets().digest}/",
            keys=bool(services.settings.api_keys),
            models=[(name, name == services.settings.model, causal(services, name)) for name in services.encoders],
            **values,
        )
    )
    return HTMLResponse(html, headers=HEADERS)


async def warm(services: Services) -> None:
    """What the first page and the first chart would have to wait for."""
    await services.off_loop(_worked_senses)
    await services.off_loop(_worked_vectors)
    await find(services, CHARTS)


async def view(services: Services, template: str, values: Callable[[], dict[str, Any]]) -> HTMLResponse:
    """A part of a page one folder down, made in a thread; it holds someone's data, so nobody keeps it."""

    def render() -> str:
        return templates().get_template(template).render(root="../", stored=True, exports=EXPORTS, **values())

    return HTMLResponse(await services.off_loop(render), headers={"Cache-Control": "no-store"})


def _shown(view: View, services: Services, analysis_id: str) -> dict[str, Any]:
    analysis = services.store.get(analysis_id)
    return view(analysis, views.charts_of(analysis))


@cache
def _worked_senses() -> dict[str, Any]:
    charts = views.worked_charts("senses").only("sense-map", "drivers", "faithfulness")
    return views.senses(views.worked("senses"), charts)


@cache
def _worked_vectors() -> dict[str, Any]:
    return views.vectors(views.worked("vectors"), views.worked_charts("vectors"))


def causal(services: Services, name: str) -> bool:
    """Whether the model is known to be causal, which must not load it."""
    known = info(services.encoders, name)
    return known.causal if known else name in CATALOGUE and CATALOGUE[name].causal


@cache
def assets() -> Assets:
    """Read once."""
    return Assets.load()


@cache
def templates() -> jinja2.Environment:
    """All text is escaped; a name that is not there is an error."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("service.web"), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
