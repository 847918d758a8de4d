"""The shortcut for short requests answers as FastAPI's own way does, and takes only what is plainly valid."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from service.api.embeddings import embeddings
from service.api.quick import Shortcut

ASK = {"target": "bank", "texts": ["the bank river", "Banks of money"]}
SENTENCES = {"input": ["the bank river", "the bank"], "model": "fake"}
VALID = b'{"target": "bank", "texts": ["a bank"]}'
CASES: dict[str, tuple[str, Any]] = {
    "a word": ("/v1/embeddings", ASK),
    "sentences": ("/v1/openai/embeddings", SENTENCES),
    "no such model": ("/v1/embeddings", ASK | {"model": "other"}),
    "no such layer": ("/v1/embeddings", ASK | {"layers": [9]}),
    "no target": ("/v1/embeddings", ASK | {"target": "crane"}),
    "an empty text": ("/v1/openai/embeddings", SENTENCES | {"input": ["the bank", " "]}),
    "a field too many": ("/v1/embeddings", ASK | {"more": 1}),
    "no field": ("/v1/embeddings", {}),
    "no object": ("/v1/embeddings", [1]),
    "no JSON": ("/v1/embeddings", b'{"target": '),
    "nothing": ("/v1/openai/embeddings", b""),
}


@pytest.mark.parametrize("name", CASES)
def test_it_answers_as_the_usual_way(client: TestClient, name: str) -> None:
    path, body = CASES[name]
    sent = {"content": body} if isinstance(body, bytes) else {"json": body}
    quick = client.post(path, **sent, headers={"content-type": "application/json"})
    usual = client.post(path, **sent, headers={"content-type": "application/json; charset=utf-8"})
    assert quick.status_code == usual.status_code
    assert quick.json() == usual.json()
    for answer in (quick, usual):
        del answer.headers["x-request-id"]
    assert quick.headers == usual.headers


@pytest.mark.parametrize(
    ("path", "body", "taken"),
    [("/v1/embeddings", VALID, True), ("/v1/embeddings", b"{}", False), ("/v1/senses", VALID, False)],
)
def test_what_it_leaves_comes_whole_to_the_app(client: TestClient, path: str, body: bytes, taken: bool) -> None:
    came: list[Message] = []
    sent: list[Message] = []

    async def app(_: Scope, receive: Receive, __: Send) -> None:
        came.append(await receive())

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "headers": [(b"content-type", b"application/json")]}
    shortcut = Shortcut(app, client.app.state.services, {"/v1/embeddings": embeddings})  # type: ignore[attr-defined]
    asyncio.run(shortcut(scope, receive, send))
    assert [message["body"] for message in came] == ([] if taken else [body])
    assert [message["status"] for message in sent if "status" in message] == ([200] if taken else [])
