"""Who may come in, and how often: API keys (401) and a limit of requests a minute (429), before any body is read."""

from __future__ import annotations

import time
from collections.abc import Sequence

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service import keys
from service.problems import plain, respond

# A probe has no key, and neither has a browser that opens a page: what stands there is in the source for all to read.
OPEN = frozenset(
    {"/", "/attention", "/vectors", "/lesson", "/livez", "/readyz", "/docs", "/docs/openapi.json", "/openapi.json"}
)
OPEN_FOLDERS = ("/docs/static/", "/static/", "/senses/", "/vectors/")


class Guard:
    """Names the caller in `scope["caller"]`: the key's name, or the client's address where no keys are set.

    `per_minute` 0 is no limit. The count is this process's own.
    """

    def __init__(self, app: ASGIApp, known: Sequence[str], per_minute: int) -> None:
        self.app = app
        self._known = known
        self._item = RateLimitItemPerMinute(per_minute) if per_minute else None
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN or scope["path"].startswith(OPEN_FOLDERS):
            await self.app(scope, receive, send)
            return
        caller = self._caller(scope)
        if caller is None:
            refusal = _no_key()
        elif (wait := self._wait(caller)) is not None:
            refusal = _too_often(wait)
        else:
            scope["caller"] = caller
            await self.app(scope, receive, send)
            return
        await refusal(scope, receive, send)

    def _caller(self, scope: Scope) -> str | None:
        if not self._known:
            return scope["client"][0] if scope.get("client") else "nobody"
        headers = Headers(scope=scope)
        kind, _, given = headers.get("authorization", "").partition(" ")
        key = given.strip() if kind.lower() == "bearer" else headers.get("x-api-key", "")
        return keys.owner(key, self._known) if key else None

    def _wait(self, caller: str) -> float | None:
        """None where the request may pass, else the seconds until one may."""
        if self._item is None or self._limiter.hit(self._item, caller):
            return None
        return max(1.0, self._limiter.get_window_stats(self._item, caller).reset_time - time.time())


def _no_key() -> Response:
    remedy = "send a key that you were given: Authorization: Bearer KEY, or X-API-Key: KEY"
    problem = plain(401, "this service wants an API key, and the request has none that it knows", remedy=remedy)
    return respond(problem, {"WWW-Authenticate": 'Bearer realm="polyseme"'})


def _too_often(wait: float) -> Response:
    seconds = str(int(wait) + 1)
    problem = plain(429, "more requests a minute than the service allows", remedy=f"try again in {seconds} s")
    return respond(problem, {"Retry-After": seconds})
