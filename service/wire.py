"""HTTP as the service hears it: uvicorn with httptools, which by itself takes a head of any length, at any pace."""

from __future__ import annotations

import asyncio

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.settings import Settings
from service.tickets import LINK, Link

MOST_HEAD = 65_536  # bytes of a request's line and headers
HEAD_SECONDS = 30.0  # longest that they may take to arrive
VERSIONS = ("1.0", "1.1")


def config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How the service is run."""
    return uvicorn.Config(
        app,
        http=Strict,
        ws="none",
        log_config=None,
        access_log=False,  # it would write addresses as they came, and what stands in them; see api/observe.py
        server_header=False,
        timeout_graceful_shutdown=settings.drain_seconds,
    )


class Strict(HttpToolsProtocol):
    """A connection. It is closed where a head is too long or of another version (400), or too slow."""

    _head = 0
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._link = Link()
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._heard()
        self._link.lose()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._late is not None:  # the head is not complete: llhttp keeps what there is of it
            self._head += len(data)
            if self._head > MOST_HEAD and not self.transport.is_closing():
                self.send_400_response("The head of the request is too long.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"][LINK] = self._link
        self._await_head()

    def on_headers_complete(self) -> None:
        self._heard()
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MOST_HEAD or self.parser.get_http_version() not in VERSIONS:
            raise ValueError("no head that is read here")  # to httptools, which has uvicorn answer 400
        super().on_headers_complete()

    def _await_head(self) -> None:
        self._head = 0
        if self._late is None:
            self._late = self.loop.call_later(HEAD_SECONDS, self._close)

    def _heard(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _close(self) -> None:
        self._late = None
        if not self.transport.is_closing():
            self.transport.close()
