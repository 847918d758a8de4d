"""Contextual vectors of a target, and its static ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache

import numpy as np
from fastapi import APIRouter
from fastapi.responses import Response
from pydantic_core import to_json

from analysis.assemble import missing_notices
from analysis.errors import BadOption, LimitExceeded
from analysis.text import Found
from analysis.types import Encoder, FloatArray, ModelInfo, Usages
from service.answers import EmbeddingsOut
from service.api import texts
from service.api.quick import Quick
from service.api.services import Wired
from service.problems import documented
from service.schemas import EmbeddingsRequest

router = APIRouter(prefix="/v1", tags=["embeddings"], route_class=Quick)
SHORT = 4_000  # code points in all: searched in about a millisecond
FEW = 8  # usages that are read together with other clients'


@router.post("/embeddings", response_model=EmbeddingsOut, responses=documented(400, 413, 415, 422, 503))
async def embeddings(request: EmbeddingsRequest, services: Wired) -> Response:
    """The hidden states of a word in the texts, at every layer asked for, and the static vector of each of its forms.

    A vector is the mean over the word's subwords. A long text is read through a window around the word.
    """
    model = services.check_model(request.model)
    if sum(len(given.text) for given in request.texts) <= SHORT:  # a thread would take longer than the work
        documents, found = texts.read(request, services.settings)
    else:
        documents, found = await services.off_loop(texts.read, request, services.settings)
    encoder = await services.encoder(model)
    layers = _checked_layers(request.layers, encoder.info)
    _check_size(len(found.occurrences), len(layers), encoder.info.width, services.settings.max_vector_values)
    # The last hidden state is there anyway: to ask for it by number would keep all the others too.
    kept = [] if layers == [encoder.info.layers] else layers
    with texts.placing(documents):
        if len(found.occurrences) <= FEW:
            usages = await services.read(encoder, found.occurrences, kept)
            content = _answer(encoder, request, found, layers, usages)
        else:
            usages = await services.infer(encoder.encode, found.occurrences, layers=kept, context=False)
            content = await services.off_loop(_answer, encoder, request, found, layers, usages)
    return Response(content, media_type="application/json")


def _answer(encoder: Encoder, request: EmbeddingsRequest, found: Found, layers: list[int], usages: Usages) -> bytes:
    states = usages.vectors[:, None] if usages.layers is None else usages.layers  # (N, len(layers), D)
    forms = [form for form, _ in Counter(use.surface for use in found.occurrences).most_common()]
    known = to_json(
        {
            "target": request.target,
            "model": encoder.info.name,
            "layers": layers,
            "width": encoder.info.width,
            "usages": [
                {
                    "id": f"u{i}",
                    "source_id": use.source_id,
                    "text": use.text,
                    "start": use.start,
                    "end": use.end,
                    "vectors": _rounded(vectors),
                }
                for i, (use, vectors) in enumerate(zip(found.occurrences, states, strict=True))
            ],
        }
    )
    static = b",".join(
        b'{"form":%b,"vector":%b}' % (to_json(form), _written(vector.tobytes()))
        for form, vector in zip(forms, encoder.static(forms), strict=True)
    )
    warnings = to_json([asdict(notice) for notice in missing_notices(found, request.target)])
    return b'%b,"static":[%b],"warnings":%b}' % (known[:-1], static, warnings)


def _checked_layers(asked: Sequence[int] | None, info: ModelInfo) -> list[int]:
    """The last where none is asked for. Hidden states are 0..L: one more than there are attention layers."""
    if asked is None:
        return [info.layers]
    for position, layer in enumerate(asked):
        if layer > info.layers:
            raise BadOption(
                f"there is no layer {layer}: the model has hidden states 0 to {info.layers}",
                remedy=f"choose from 0 to {info.layers}",
                where=("layers", position),
            )
    return list(asked)


def _check_size(n_usages: int, n_layers: int, width: int, limit: int) -> None:
    if n_usages * n_layers * width > limit:
        raise LimitExceeded(
            f"{n_usages} usages x {n_layers} layers x {width} numbers are {n_usages * n_layers * width:,}; "
            f"the limit is {limit:,}",
            remedy="choose fewer layers, or send fewer texts at a time",
            where=("layers",) if n_layers > 1 else ("texts",),
        )


def _rounded(vectors: FloatArray) -> list[float]:
    numbers: list[float] = np.round(vectors.astype(np.float64), 6).tolist()
    return numbers


@lru_cache(maxsize=256)
def _written(static: bytes) -> bytes:
    """A static vector as JSON: the same few are asked for again and again."""
    return to_json(_rounded(np.frombuffer(static, dtype=np.float32)))
