"""No request has a larger body than the limit, whatever its Content-Length says, nor takes for ever to send it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.problems import plain, respond


class BodyLimit:
    """Reads the whole body first, at most `limit` bytes of it, and then calls the app; 413 where it is longer, 408
    where it takes more than `seconds` to arrive, 415 where it is compressed.

    A path in `streamed` reads its body itself, and has a limit of its own.

    Starlette's own middleware of this kind answers in plain text, where every error here is a problem.
    """

    def __init__(self, app: ASGIApp, limit: int, seconds: float = 30, streamed: Collection[str] = ()) -> None:
        self.app = app
        self.streamed = streamed
        self.limit = limit
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if headers.get("content-encoding", "identity") != "identity":
            packed = plain(415, "the body is compressed", remedy="send it as it is: nothing is unpacked here")
            await respond(packed, {"Accept-Encoding": "identity"})(scope, receive, send)
            return
        if scope.get("path") in self.streamed:
            await self.app(scope, receive, send)
            return
        said = headers.get("content-length", "")
        if said.isdecimal() and (len(said) > 18 or int(said) > self.limit):
            await self._refuse(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self.seconds):
                body = await self._read(receive)
        except TimeoutError:
            late = plain(408, f"the body took more than {self.seconds:g} s to arrive", remedy="send it faster")
            await respond(late, {"Connection": "close"})(scope, receive, send)
            return
        if body is None:  # the client went away
            return
        if len(body) > self.limit:
            await self._refuse(scope, receive, send)
            return

        whole = {"type": "http.request", "body": bytes(body), "more_body": False}
        await self.app(scope, replayed(whole, receive), send)

    async def _read(self, receive: Receive) -> bytearray | None:
        """The body, or as much of it as shows that it is too long; None where the client went away."""
        body = bytearray()
        more = True
        while more and len(body) <= self.limit:
            message = await receive()
            if message["type"] != "http.request":
                return None
            body += message.get("body", b"")
            more = message.get("more_body", False)
        return body

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        detail = f"the body has more than {self.limit:,} bytes"
        response = respond(plain(413, detail, remedy="send the texts in parts", pointer=""))
        await response(scope, receive, send)


def replayed(message: Message, receive: Receive) -> Receive:
    """What gives the message first, which was received already, and then what is to be received yet."""
    first: Message | None = message

    async def replay() -> Message:
        nonlocal first
        if first is None:
            return await receive()
        given, first = first, None
        return given

    return replay
