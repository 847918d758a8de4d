"""The app over encoders without weights and a database in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest
import structlog
from starlette.testclient import TestClient

from analysis.types import Encoder
from service import logs
from service.app import create_app
from service.settings import Settings
from service.store import Store
from tests.fake import FakeEncoder

MakeClient = Callable[..., TestClient]
RIVER = [f"the bank {rest}" for rest in ("river water fish", "water fish river", "fish river water", "river fish")]
MONEY = [f"the bank {rest}" for rest in ("money loan cash", "loan cash money", "cash money loan", "money cash")]


@pytest.fixture(autouse=True)
def plain_logs() -> None:
    """As the service logs: structlog's own form of an exception, with all its variables, takes seconds to lay out."""
    structlog.configure(processors=[logs.told_safely, structlog.processors.JSONRenderer()])


@pytest.fixture
def make_client() -> Iterator[MakeClient]:
    """A client of an app with other encoders or settings; a 500 is answered, not raised."""
    with ExitStack() as stack:

        def make(
            encoders: Mapping[str, Encoder] | None = None, store: Store | None = None, **settings: Any
        ) -> TestClient:
            app = create_app(
                Settings(**{"model": "fake", **settings}),
                encoders=encoders or {"fake": FakeEncoder(), "causal": FakeEncoder(causal=True)},
                store=store or Store("sqlite://"),
            )
            return stack.enter_context(TestClient(app, raise_server_exceptions=False))

        yield make


@pytest.fixture
def client(make_client: MakeClient) -> TestClient:
    return make_client()


def problem(response: Any, status: int, pointer: str | None = None) -> dict[str, Any]:
    """The body of a problem, after checking what every problem must be; `pointer` is where its first error is."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    if pointer is not None:
        assert [error["pointer"] for error in body["errors"]][:1] == [pointer]
        assert body["errors"][0]["detail"]
        assert body["errors"][0]["remedy"]
    return body
