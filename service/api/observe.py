"""The outermost layer: an id for each request, its line in the log, its figures, and headers that every answer has."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.logs import REQUEST
from service.metrics import METHODS, Metrics
from service.problems import CLIENT_GONE, unexpected

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# A page that is to show something says so itself; whatever else is opened in a browser shows and runs nothing.
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
Header = tuple[bytes, bytes]  # its name in lower case


class Observe:
    """Knows of a request its route's template, method, status, duration, caller and id, and tells only those.

    What the app lets out is answered here with a 500 that says nothing of it, since Starlette's own layer for that
    lies further out, where an answer would have neither id nor figures.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, templates: Mapping[object, str]) -> None:
        self.app = app
        self._metrics = metrics
        self._templates = templates  # of a route's path, by its endpoint

    @cached_property
    def _log(self) -> Any:
        return structlog.get_logger().bind()  # by the first request logging is set up

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        said = Headers(scope=scope).get("x-request-id", "")
        # Unlike all others, not secret: uuid4 would ask the kernel, and let go of the interpreter's lock for it.
        request_id = said if REQUEST_ID.fullmatch(said) else f"{random.getrandbits(128):032x}"
        since = time.perf_counter()
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _dressed(message.get("headers", ()), request_id)
            await send(message)

        token = REQUEST.set(request_id)
        try:
            await self.app(scope, receive, answer)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is answered and told here
            self._log.error("a request failed", exc_info=error)
            if not status:
                await unexpected()(scope, receive, answer)
        finally:
            self._note(scope, status or CLIENT_GONE, time.perf_counter() - since)
            REQUEST.reset(token)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        # The router and the guard write into the scope what they find.
        route = self._templates.get(scope.get("endpoint"), "none")
        method = scope["method"] if scope["method"] in METHODS else "other"
        self._metrics.answered(route, method, status, seconds)
        caller = scope.get("caller", "")
        self._log.info("request", method=method, route=route, status=status, seconds=round(seconds, 4), caller=caller)


def _dressed(headers: Iterable[Header], request_id: str) -> list[Header]:
    """With those that every answer has, where it has none of its own."""
    own = [(name, value) for name, value in headers if name != b"x-request-id"]
    names = {name for name, _ in own}
    return [*own, (b"x-request-id", request_id.encode()), *(one for one in HEADERS if one[0] not in names)]
