"""Short requests that are asked often: a valid body goes straight to its function."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NamedTuple, get_type_hints

from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic_core import from_json
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import problems
from service.api.body_limit import replayed
from service.api.services import Services


class Quick(APIRoute):
    """A POST route whose function is `async (request: some model, services: Wired) -> Response`."""


class _Asked(NamedTuple):
    model: type[BaseModel]
    endpoint: Callable[[Any, Services], Coroutine[Any, Any, Response]]


class Shortcut:
    """Around the app, past whose layers it calls the functions of `Quick` routes; within `BodyLimit`.

    FastAPI's way to a function, which knows functions of any shape, takes more than half of the time that a short
    request costs beside the model. What is not plainly valid JSON of a route's model still goes there, so that errors
    are the same.
    """

    def __init__(self, app: ASGIApp, services: Services, endpoints: Mapping[str, Callable[..., Any]]) -> None:
        self.app, self._services = app, services
        self._asked = {path: _Asked(get_type_hints(its)["request"], its) for path, its in endpoints.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = self._asked.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if asked is None or (b"content-type", b"application/json") not in scope["headers"]:
            await self.app(scope, receive, send)
            return
        message = await receive()
        request = _parsed(asked.model, message)
        if request is None:
            await self.app(scope, replayed(message, receive), send)
            return
        scope["endpoint"] = asked.endpoint
        self._services.begin(scope)
        try:
            response = await asked.endpoint(request, self._services)
        except problems.KNOWN as error:
            response = problems.answer(error)
        await response(scope, receive, send)


def _parsed(model: type[BaseModel], message: Message) -> BaseModel | None:
    """None where the usual way is to find what is wrong."""
    if message["type"] != "http.request" or message.get("more_body"):
        return None
    try:
        return model.model_validate(from_json(message["body"]))
    except ValueError:
        return None
