"""Self-attention of one text."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic_core import to_json

from analysis import attention as views
from analysis.errors import LimitExceeded
from analysis.types import Attention, Encoder
from service.answers import AttentionOut
from service.api import texts
from service.api.services import Services, Wired
from service.problems import documented
from service.schemas import AttentionRequest

router = APIRouter(prefix="/v1", tags=["attention"])


@router.post("/attention", response_model=AttentionOut, responses=documented(400, 413, 415, 422, 503))
async def attention(request: AttentionRequest, services: Wired) -> Response:
    """How much each word of a text attends to each other, at every layer and head asked for.

    In a causal model (`smollm2`) a word sees nothing after itself: those weights are exactly 0.
    """
    model = services.check_model(request.model)
    texts.check_length(request.text, services.settings, ("text",))
    content = await services.infer(_answer, services, model, request)
    return Response(content, media_type="application/json")


def _answer(services: Services, model: str, request: AttentionRequest) -> bytes:
    encoder = services.encoders[model]
    layers = views.check_indices("layer", request.layers, encoder.info.layers)
    heads = views.check_indices("head", request.heads, encoder.info.heads)
    view = _view(encoder, request, layers, heads)
    _check_size(view, services.settings.max_attention_cells)
    # The standard library's encoder would hold the interpreter's lock, and with it the event loop, for a second.
    return to_json(views.to_dict(view, encoder.info, request.unit, layers, heads))


def _view(encoder: Encoder, request: AttentionRequest, layers: Sequence[int], heads: Sequence[int]) -> Attention:
    # Chosen before pooled: what is not asked for need not be pooled. Both give the same.
    chosen = views.select(encoder.attention(request.text), layers, heads)
    return views.by_word(chosen) if request.unit == "word" else chosen


def _check_size(view: Attention, limit: int) -> None:
    if view.weights.size > limit:
        n_layers, n_heads, n_units, _ = view.weights.shape
        raise LimitExceeded(
            f"{n_layers} layers x {n_heads} heads x {n_units} x {n_units} units are {view.weights.size:,} weights; "
            f"the limit is {limit:,}",
            remedy="choose layers or heads, or give a shorter text",
            where=("layers",) if n_layers > 1 else ("heads",) if n_heads > 1 else ("text",),
        )
