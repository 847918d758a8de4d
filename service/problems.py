"""Every error as RFC 9457 problem details: what is wrong, where in the request's body (RFC 6901), and the remedy.

The body of a 500 says nothing of the exception: that is for the log.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from analysis.errors import (
    BadSpan,
    BadText,
    InputError,
    LexiconNotPulled,
    LimitExceeded,
    ModelError,
    ModelMismatch,
    Place,
    PolysemeError,
    UnknownModel,
    UnsupportedModel,
)
from service.jobs import BadUpload, UnknownMediaType, UploadTooSlow
from service.store import NotFound, StoreError
from service.tickets import ClientGone, Refused

MEDIA_TYPE = "application/problem+json"
MOST_ERRORS = 20
CLIENT_GONE = 499  # nginx's, for want of one of HTTP's own
KNOWN = (PolysemeError, ClientGone)  # what `answer` answers
T = TypeVar("T")
log = logging.getLogger(__name__)

# The nearest class of an error's own line of ancestors decides.
STATUS: dict[type[PolysemeError], int] = {
    PolysemeError: 500,
    InputError: 422,
    LimitExceeded: 413,
    BadUpload: 400,
    UnknownMediaType: 415,
    UploadTooSlow: 408,
    ModelError: 503,
    UnknownModel: 422,
    UnsupportedModel: 422,
    ModelMismatch: 409,
    LexiconNotPulled: 503,
    NotFound: 404,
    StoreError: 503,
    Refused: 503,
}
# Where to point when the error does not know its place in the request.
PLACE: dict[type[PolysemeError], Place] = {
    BadSpan: ("texts",),
    BadText: ("texts",),
    UnknownModel: ("model",),
    UnsupportedModel: ("drivers",),  # of a loaded model: only a driver method can be asked that it cannot serve
}
# RFC 9110's phrases that Python 3.11 does not know yet; and what each status means here, for the API's description.
PHRASES = {413: "Content Too Large", 422: "Unprocessable Content"}
MEANINGS = {
    400: "The body cannot be read as what it is said to be",
    401: "The request has no API key that is known here, and needs one",
    404: "Nothing is kept under the id",
    408: "The body took too long to arrive",
    409: "The sense model was made with a model that is not served here",
    413: "More than a limit allows: see GET /v1/models",
    415: "The body is not said to be of a kind that is read here",
    422: "Something in the body is not right: see `errors`",
    429: "More requests than the key, or the address, may send a minute: see `Retry-After`",
    503: "The model or the database does not answer, or too many wait for it: see `Retry-After`",
}

# What pydantic says in the terms of Python: what is wrong, and the remedy.
NOT_AN_OBJECT = ("this is not a JSON object", "give an object with the fields that /docs shows")
WORDING = {
    "extra_forbidden": ("there is no such field", "leave it out; /docs lists the fields"),
    "missing": ("the field is missing", "give it"),
    "model_type": NOT_AN_OBJECT,
    "model_attributes_type": NOT_AN_OBJECT,
    "string_unicode": ("half of a surrogate pair is not a character", "write the whole character"),
}


class Fault(BaseModel):
    """One thing that is wrong."""

    detail: str = Field(description="what is wrong, for people", examples=["text 4 is empty"])
    pointer: str = Field(
        description='JSON pointer into the body of the request; "" is all of it', examples=["/texts/3"]
    )
    remedy: str | None = Field(default=None, description="what to do about it")


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    type: str = Field(description="the kind of problem, for programs", examples=["urn:polyseme:problem:bad-text"])
    title: str = Field(description="the kind of problem, for people", examples=["Bad text"])
    status: int = Field(description="the HTTP status", examples=[422])
    detail: str = Field(description="what is wrong, for people", examples=["text 4 is empty"])
    remedy: str | None = Field(default=None, description="what to do about it")
    errors: list[Fault] = Field(default_factory=list, description="what is wrong, place by place")


def install(app: FastAPI) -> None:
    """Every error that the app's routes raise becomes a problem."""
    for kind in KNOWN:
        app.add_exception_handler(kind, _known)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`: these statuses, and any other, are problems."""
    known: dict[int | str, dict[str, Any]] = {
        status: {"model": Problem, "description": MEANINGS[status]} for status in statuses
    }
    return known | {"default": {"model": Problem, "description": "Any other problem"}}


def respond(problem: Problem, headers: dict[str, str] | None = None) -> Response:
    """The problem as a response with its status."""
    text = json.dumps(problem.model_dump(exclude_none=True), ensure_ascii=False)
    # A caller's own half surrogate pair may stand in a pointer; UTF-8 has no form for it.
    content = text.encode("utf-8", errors="replace")
    return Response(content, problem.status, headers, media_type=MEDIA_TYPE)


def plain(status: int, detail: str, *, remedy: str | None = None, pointer: str | None = None) -> Problem:
    """A problem of HTTP's own: its kind says no more than the status (RFC 9457, 4.2.1)."""
    faults = [] if pointer is None else [Fault(detail=detail, pointer=pointer, remedy=remedy)]
    title = PHRASES.get(status) or HTTPStatus(status).phrase
    return Problem(type="about:blank", title=title, status=status, detail=detail, remedy=remedy, errors=faults)


def pointer(place: Sequence[str | int]) -> str:
    """RFC 6901: ("texts", 3) is "/texts/3"; "~" and "/" in a name are escaped."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in place)


def from_error(error: PolysemeError) -> Problem:
    """The problem that an error of ours is; its kind has the name of the class."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(error).__name__).lower()
    status = _nearest(STATUS, error) or 500
    where = error.where or _nearest(PLACE, error)
    faults = [Fault(detail=error.what, pointer=pointer(where), remedy=error.remedy)] if where else []
    return Problem(
        type=f"urn:polyseme:problem:{name}",
        title=name.replace("-", " ").capitalize(),
        status=status,
        detail=error.what,
        remedy=error.remedy,
        errors=faults,
    )


def _nearest(table: dict[type[PolysemeError], T], error: PolysemeError) -> T | None:
    return next((table[kind] for kind in type(error).__mro__ if kind in table), None)


def answer(error: PolysemeError | ClientGone) -> Response:
    """The response to a request that ended with an error of our own."""
    if isinstance(error, ClientGone):
        return Response(status_code=CLIENT_GONE)  # for the log: nobody reads it
    problem = from_error(error)
    if isinstance(error, Refused):
        return respond(problem, {"Retry-After": str(error.retry_after)})
    if problem.status >= 500:  # whoever runs the service needs the cause; the caller gets none of it
        log.error("%s", error, exc_info=error)
    return respond(problem)


async def _known(_: Request, error: Exception) -> Response:
    assert isinstance(error, KNOWN)  # noqa: S101 - Starlette chose the handler by it
    return answer(error)


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    if error.status_code == 400:  # from FastAPI: bytes that are no text, or numbers and nesting beyond any use
        return respond(plain(400, "the body cannot be read as JSON", remedy="send UTF-8 JSON", pointer=""))
    remedy = "the addresses are in /openapi.json" if error.status_code in (404, 405) else None
    return respond(plain(error.status_code, error.detail, remedy=remedy), dict(error.headers or {}))


def unexpected() -> Response:
    """The answer where something broke that nobody foresaw."""
    return respond(plain(500, "the request could not be finished", remedy="tell whoever runs the service"))


async def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
    found = error.errors()
    first = found[0]
    if first["type"] == "json_invalid":
        detail = f"the body is not JSON: {first['ctx']['error']} at character {first['loc'][-1]}"
        return respond(plain(400, detail, remedy="send one JSON object", pointer=""))
    if tuple(first["loc"]) == ("body",) and first["type"] == "missing":
        return respond(plain(400, "the body is empty", remedy="send one JSON object", pointer=""))
    if isinstance(error.body, bytes):  # FastAPI leaves a body alone that is not said to be JSON
        kind = request.headers.get("content-type", "nothing")
        return respond(
            plain(415, f"the body is said to be {kind!r}", remedy="send the header Content-Type: application/json")
        )
    faults = [_fault(one, error.body) for one in found[:MOST_ERRORS]]
    summary = "; ".join(f"{fault.pointer or 'the body'}: {fault.detail}" for fault in faults[:3])
    more = f"; and {len(found) - 3} more" if len(found) > 3 else ""
    too_many = (first["type"], tuple(first["loc"])) == ("too_long", ("body", "texts"))  # beyond any setting's limit
    status = 413 if too_many else 422
    problem = plain(status, summary + more, remedy=faults[0].remedy)
    return respond(problem.model_copy(update={"errors": faults}))


def _fault(error: dict[str, Any], body: object) -> Fault:
    """One of pydantic's errors. Its place ends where the body itself does: a text may stand in the list as a string."""
    place: list[str | int] = []
    for part in error["loc"][1:]:
        if not isinstance(body, dict | list):
            break
        place.append(part)
        inside = part in body if isinstance(body, dict) else isinstance(part, int) and part < len(body)
        body = body[part] if inside else None
    detail, remedy = WORDING.get(
        error["type"], (error["msg"], error.get("ctx", {}).get("remedy") or "/docs shows what the field takes")
    )
    return Fault(detail=detail, pointer=pointer(place), remedy=remedy)
