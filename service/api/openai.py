"""Vectors of whole sentences in OpenAI's shape, so that clients made for it work: base_url=".../v1/openai"."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from fastapi import APIRouter
from fastapi.responses import Response
from pydantic_core import to_json

from analysis.errors import BadOption, BadText, LimitExceeded
from analysis.types import FloatArray, ModelInfo, Sentences
from service.api import texts
from service.api.quick import Quick
from service.api.services import Services, Wired
from service.openai_schemas import OpenAIEmbeddings, OpenAIEmbeddingsRequest
from service.problems import documented

router = APIRouter(prefix="/v1", tags=["openai"], route_class=Quick)
FEW, SHORT = 8, 4_000  # sentences, and code points of all, that are read together with other clients'


@router.post("/openai/embeddings", response_model=OpenAIEmbeddings, responses=documented(400, 413, 415, 422, 503))
async def openai_embeddings(request: OpenAIEmbeddingsRequest, services: Wired) -> Response:
    """One vector for each text: the mean of the last hidden state over its subwords, of length 1.

    That is what sentence-transformers gives for the models that are trained so (mpnet, minilm), up to the model's
    window; a longer text is refused, not cut.
    """
    model = services.check_model(request.model)
    given = [request.input] if isinstance(request.input, str) else request.input
    _check_texts(given, services)
    encoder = await services.encoder(model)
    _check_size(len(given), request, encoder.info, services.settings.max_vector_values)
    try:
        if len(given) <= FEW and sum(map(len, given)) <= SHORT:
            read = await services.read_sentences(encoder, given)
            content = _answer(request, read)
        else:
            read = await services.infer(encoder.sentences, given)
            content = await services.off_loop(_answer, request, read)
    except BadText as error:
        error.where = _place(request, error.where)
        raise
    return Response(content, media_type="application/json")


def _check_texts(given: list[str], services: Services) -> None:
    most = services.settings.max_texts
    if len(given) > most:
        raise LimitExceeded(
            f"there are {len(given):,} texts; the limit is {most:,}", remedy="send them in parts", where=("input",)
        )
    for i, text in enumerate(given):
        where = ("input", i) if len(given) > 1 else ("input",)
        texts.check_length(text, services.settings, where)
        if not text.strip():
            raise BadText(f"text {i + 1} is empty", remedy="leave it out", where=where)


def _check_size(n_texts: int, request: OpenAIEmbeddingsRequest, info: ModelInfo, most: int) -> None:
    if request.dimensions not in (None, info.width):
        raise BadOption(
            f"the vectors of this model have {info.width} numbers, not {request.dimensions}",
            remedy="leave dimensions out",
            where=("dimensions",),
        )
    if n_texts * info.width > most:
        raise LimitExceeded(
            f"{n_texts} texts x {info.width} numbers are {n_texts * info.width:,}; the limit is {most:,}",
            remedy="send fewer texts at a time",
            where=("input",),
        )


def _place(request: OpenAIEmbeddingsRequest, where: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """The encoder knows of a list of texts; in the request it is `input`, and may be one text."""
    return ("input",) if isinstance(request.input, str) else ("input", *where[1:])


def _answer(request: OpenAIEmbeddingsRequest, read: Sentences) -> bytes:
    form = _base64 if request.encoding_format == "base64" else _numbers
    return to_json(
        {
            "object": "list",
            "data": [{"object": "embedding", "index": i, "embedding": form(v)} for i, v in enumerate(read.vectors)],
            "model": request.model,
            "usage": {"prompt_tokens": read.n_subwords, "total_tokens": read.n_subwords},
        }
    )


def _numbers(vector: FloatArray) -> Any:
    return vector.tolist()


def _base64(vector: FloatArray) -> str:
    return base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode()
