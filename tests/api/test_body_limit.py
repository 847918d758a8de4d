"""The limit holds while the body arrives, whatever is said about its length."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator

from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from service.api.body_limit import BodyLimit
from tests.api.conftest import MakeClient, problem

LIMIT = 1000


def chunks(size: int) -> Iterator[bytes]:
    for _ in range(0, size, 100):
        yield b" " * 100


def test_a_chunked_body_beyond_the_limit(make_client: MakeClient) -> None:
    client = make_client(max_body_bytes=LIMIT)
    told = problem(
        client.post("/v1/senses", content=chunks(1100), headers={"content-type": "application/json"}), 413, ""
    )
    assert "1,000 bytes" in told["detail"]


def test_a_body_at_the_limit_goes_through(make_client: MakeClient) -> None:
    client = make_client(max_body_bytes=LIMIT)
    body = b'{"text": "the bank"}'.ljust(LIMIT)
    for content in (body, iter([body[:500], body[500:]])):
        response = client.post("/v1/attention", content=content, headers={"content-type": "application/json"})
        assert response.status_code == 200
    problem(client.post("/v1/attention", content=body + b" ", headers={"content-type": "application/json"}), 413, "")


def call(headers: list[tuple[bytes, bytes]], parts: list[bytes]) -> tuple[int, int]:
    """(status, how many parts were taken) of an app that reads its body and answers 200."""
    left = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    left.append({"type": "http.request", "body": b"", "more_body": False})
    sent: list[Message] = []
    total = len(left)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        await PlainTextResponse("read")(scope, receive, send)

    async def receive() -> Message:
        return left.pop(0) if left else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    asyncio.run(BodyLimit(app, LIMIT)(scope, receive, send))
    return sent[0]["status"], total - len(left)


def test_a_length_that_lies_does_not_help() -> None:
    assert call([(b"content-length", b"10")], [b" " * 600] * 5) == (413, 2)


def test_a_length_beyond_the_limit_is_refused_unread() -> None:
    assert call([(b"content-length", b"1001")], [b" "]) == (413, 0)
    assert call([(b"content-length", b"9" * 5000)], [b" "]) == (413, 0)
    assert call([(b"content-length", b"none")], [b" "]) == (200, 2)


def test_a_client_that_goes_away_is_not_answered() -> None:
    sent: list[Message] = []

    async def gone() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    async def never(*_: object) -> None:
        raise AssertionError("the app was called")

    asyncio.run(BodyLimit(never, LIMIT)({"type": "http", "headers": []}, gone, send))
    assert sent == []


def test_a_get_with_a_body_is_limited_too(make_client: MakeClient) -> None:
    client: TestClient = make_client(max_body_bytes=LIMIT)
    problem(client.request("GET", "/livez", content=chunks(2000)), 413, "")


def test_a_compressed_body_is_not_unpacked(make_client: MakeClient) -> None:
    for path in ("/v1/attention", "/v1/jobs"):
        response = make_client().post(path, content=gzip.compress(b"{}"), headers={"Content-Encoding": "gzip"})
        problem(response, 415)
        assert response.headers["accept-encoding"] == "identity"
