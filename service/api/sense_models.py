"""Saved senses: made from texts or of one another, kept, and given new usages."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Annotated, cast

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from analysis import assigning, edits, fitting
from analysis.corpus import Labelled
from analysis.errors import BadFile, BadOption, ModelMismatch, TargetNotFound
from analysis.pipeline import induced
from analysis.record import Notice
from analysis.saved import Description, SavedSenses, describe, to_json
from analysis.sensefile import from_bytes, to_bytes
from analysis.text import Match
from analysis.types import Document
from service.answers import MadeOut, SenseModelsOut
from service.api import texts
from service.api.paging import Cursor, Limit
from service.api.services import Services, Wired
from service.problems import documented
from service.schemas import AssignRequest, MergeRequest, RenameRequest, SenseModelRequest, SplitRequest

router = APIRouter(prefix="/v1", tags=["sense models"])
ModelId = Annotated[str, Path(description="the `id` of a sense model", examples=["0123456789abcdef0123"])]
FILE = "application/octet-stream"
BINARY = {"content": {FILE: {"schema": {"type": "string", "format": "binary"}}}}
ONLY_INDUCED = ("n_senses", "drivers", "budget", "explained", "faithfulness", "fractions", "driver_form")


@router.post("/sense-models", status_code=201, response_model=MadeOut, responses=documented(400, 413, 415, 422, 503))
async def create(request: SenseModelRequest, services: Wired) -> Response:
    """The senses of a word in the texts, kept, so that new usages can be given one of them.

    Texts with labels teach the senses that the labels name; without, they are found as POST /v1/senses finds them.
    """
    model = services.check_model(request.model)
    _check_labels(request)
    documents, _ = await services.off_loop(texts.read, request, services.settings)
    work = _fit if request.labelled else _induce
    saved, warnings = await services.infer(work, services, model, documents, request)
    made = asdict(describe(saved)) | {"warnings": [asdict(notice) for notice in warnings]}
    return await _kept(services, saved, json.dumps(made, ensure_ascii=False, allow_nan=False))


@router.get("/sense-models", responses=documented(422, 503))
async def list_all(services: Wired, limit: Limit = 100, cursor: Cursor = None) -> SenseModelsOut:
    """The sense models that are kept, the newest first; `next` of a page is the `cursor` of the page after it."""
    page = await services.off_loop(services.store.list_senses, limit=limit, cursor=cursor)
    return SenseModelsOut.model_validate({"sense_models": page.items, "next": page.next})


# The routes with an ending come first: "{model_id}" alone would take the ending for a part of the id.
@router.get(
    "/sense-models/{model_id}.safetensors",
    response_class=Response,
    responses={200: {"description": "the file"} | BINARY, **documented(404, 503)},
)
async def get_file(model_id: ModelId, services: Wired) -> Response:
    """The sense model as a file, which `polyseme assign` and other services read."""
    saved = await services.off_loop(services.store.get_senses, model_id)
    headers = {"Content-Disposition": f'attachment; filename="polyseme-{model_id}.safetensors"'}
    return Response(await services.off_loop(to_bytes, saved), media_type=FILE, headers=headers)


@router.put(
    "/sense-models/{model_id}.safetensors",
    response_model=Description,
    responses={201: {"model": Description, "description": "It is new here"}, **documented(413, 422, 503)},
    openapi_extra={"requestBody": BINARY | {"required": True}},
)
async def put_file(model_id: ModelId, request: Request, services: Wired) -> Response:
    """Bring a sense model that was made elsewhere: the body is its file."""
    data = await request.body()
    saved = await services.off_loop(from_bytes, data, name="the body")
    if saved.id != model_id:
        what = f"the body is the sense model {saved.id!r}, not {model_id!r}"
        raise BadFile(what, remedy=f"put it to /v1/sense-models/{saved.id}.safetensors")
    return await _kept(services, saved, to_json(saved), again=200)


@router.get("/sense-models/{model_id}", response_model=Description, responses=documented(404, 503))
async def get(model_id: ModelId, services: Wired) -> Response:
    """The sense model without its vectors."""
    saved = await services.off_loop(services.store.get_senses, model_id)
    return Response(to_json(saved), media_type="application/json")


@router.delete("/sense-models/{model_id}", status_code=204, responses=documented(404, 503))
async def delete(model_id: ModelId, services: Wired) -> None:
    """Forget the sense model. Those that were made of it stay."""
    await services.off_loop(services.store.delete_senses, model_id)


@router.post(
    "/sense-models/{model_id}/assign",
    response_model=assigning.Assigned,
    responses=documented(400, 404, 409, 413, 415, 422, 503),
)
async def assign(model_id: ModelId, request: AssignRequest, services: Wired) -> Response:
    """The sense of each usage in the texts: null where none of them fits, or none is probable enough.

    A usage that the sense model was made of gets its own sense, whatever the threshold.
    """
    saved = await services.off_loop(services.store.get_senses, model_id)
    name = served(services, saved)
    documents = await services.off_loop(texts.to_documents, request.texts, services.settings)
    made = saved.provenance
    match, language = request.match or cast(Match, made.match), request.language or made.language
    try:
        await services.off_loop(texts.find, documents, saved.model.target, match, language, services.settings)
    except TargetNotFound as error:
        error.where = ("texts",)  # the request has no target of its own
        raise

    def work() -> str:
        with texts.placing(documents):
            found = assigning.assign(
                saved,
                services.encoders[name],
                documents,
                threshold=request.threshold,
                match=match,
                language=language,
            )
        return assigning.to_json(found)

    return Response(await services.infer(work), media_type="application/json")


@router.post(
    "/sense-models/{model_id}/rename",
    status_code=201,
    response_model=Description,
    responses=documented(400, 404, 415, 422, 503),
)
async def rename(model_id: ModelId, request: RenameRequest, services: Wired) -> Response:
    """A new sense model in which the sense has another label."""
    return await _edited(services, model_id, lambda saved: edits.rename(saved, request.sense, request.label))


@router.post(
    "/sense-models/{model_id}/merge",
    status_code=201,
    response_model=Description,
    responses=documented(400, 404, 415, 422, 503),
)
async def merge(model_id: ModelId, request: MergeRequest, services: Wired) -> Response:
    """A new sense model in which the senses are one; the others keep their ids."""
    return await _edited(services, model_id, lambda saved: edits.merge(saved, request.senses))


@router.post(
    "/sense-models/{model_id}/split",
    status_code=201,
    response_model=Description,
    responses=documented(400, 404, 415, 422, 503),
)
async def split(model_id: ModelId, request: SplitRequest, services: Wired) -> Response:
    """A new sense model in which the sense is several; the others keep their ids."""
    return await _edited(services, model_id, lambda saved: edits.split(saved, request.sense, request.n_senses))


def _check_labels(request: SenseModelRequest) -> None:
    if not request.labelled:
        return
    for i, text in enumerate(request.texts):
        if text.label is None:
            raise BadOption(f"text {i + 1} has no label", remedy="label all texts, or none", where=("texts", i))
    for name in ONLY_INDUCED:
        if name in request.model_fields_set and getattr(request, name) is not None:
            raise BadOption(f"labels leave no use for {name}", remedy="leave it out", where=(name,))


Made = tuple[SavedSenses, Sequence[Notice]]


def _induce(services: Services, model: str, documents: list[Document], request: SenseModelRequest) -> Made:
    with texts.placing(documents):
        found = induced(
            services.encoders[model], documents, request.target, request.options(), pairs=services.settings.pairs
        )
    return fitting.keep(found), found.analysis.warnings


def _fit(services: Services, model: str, documents: list[Document], request: SenseModelRequest) -> Made:
    labelled = [Labelled(document, text.label or "") for document, text in zip(documents, request.texts, strict=True)]
    with texts.placing(documents):
        return fitting.fit(
            services.encoders[model],
            labelled,
            request.target,
            match=request.match,
            language=request.language,
            seed=request.seed,
        )


def served(services: Services, saved: SavedSenses) -> str:
    """The name of the model that the senses were made with. Raises ModelMismatch where it is not served."""
    name = saved.provenance.model
    if name not in services.encoders:
        raise ModelMismatch(
            f"the sense model {saved.id} was made with {name!r}; this service has {', '.join(services.encoders)}",
            remedy="make the sense model anew with one of them, or let the service have its model",
        )
    return name


async def _edited(services: Services, model_id: str, edit: Callable[[SavedSenses], SavedSenses]) -> Response:
    saved = await services.off_loop(services.store.get_senses, model_id)
    made = await services.infer(edit, saved)
    return await _kept(services, made, to_json(made))


async def _kept(services: Services, saved: SavedSenses, content: str, *, again: int = 201) -> Response:
    """The answer with the address of the sense model, once it is kept; `again` is the status where it was before."""
    new = await services.off_loop(services.store.save_senses, saved)
    headers = {"Location": f"/v1/sense-models/{saved.id}"}
    return Response(content, 201 if new else again, headers, media_type="application/json")
