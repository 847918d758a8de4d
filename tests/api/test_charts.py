"""The charts of a kept analysis over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from analysis import report
from analysis.charts import frame, gallery
from analysis.record import Analysis, from_json
from service.app import create_app
from service.settings import Settings
from service.store import Store
from tests.api.conftest import MONEY, RIVER, problem
from tests.fake import FakeEncoder

ASK = {"target": "bank", "texts": RIVER + MONEY, "attention": True}


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    """One for all: its process for drawing takes seconds to begin."""
    app = create_app(Settings(model="fake"), encoders={"fake": FakeEncoder()}, store=Store("sqlite://"))
    with TestClient(app, raise_server_exceptions=False) as made:
        yield made


@pytest.fixture(scope="module")
def analysis(client: TestClient) -> Analysis:
    return from_json(client.post("/v1/senses", json=ASK).content)


def test_every_chart_is_told_with_its_words_and_figures(client: TestClient, analysis: Analysis) -> None:
    told = client.get(f"/v1/analyses/{analysis.id}/charts").json()
    drawn = gallery.draw_all(analysis)
    assert [chart["name"] for chart in told["charts"]] == [chart.name for chart in drawn] == list(gallery.CHARTS)
    for chart, own in zip(told["charts"], drawn, strict=True):
        assert (chart["title"], chart["caption"], chart["spec"]) == (own.title, own.caption, own.spec)
        assert (chart["columns"], chart["rows"]) == (list(own.columns), [list(row) for row in own.rows])
    assert told["missing"] == {}
    assert told["dark"] == dict(frame.DARK)


def test_what_was_not_asked_for_is_said(client: TestClient) -> None:
    made = client.post("/v1/senses", json=ASK | {"attention": False, "drivers": "none"}).json()
    missing = client.get(f"/v1/analyses/{made['id']}/charts").json()["missing"]
    assert missing["drivers"] == "drivers were not asked for"
    assert missing["attention-lines"] == "the attention of exemplars was not asked for"
    told = problem(client.get(f"/v1/analyses/{made['id']}.svg?chart=drivers"), 422, "/chart")
    assert "drivers were not asked for" in told["detail"]
    assert "choose from sense-map" in told["remedy"]


@pytest.mark.parametrize(
    ("ending", "media", "begins"), [("svg", "image/svg+xml", b"<svg"), ("png", "image/png", b"\x89PNG")]
)
def test_a_chart_as_a_picture(client: TestClient, analysis: Analysis, ending: str, media: str, begins: bytes) -> None:
    at = f"/v1/analyses/{analysis.id}.{ending}"
    pictures = [client.get(at + query) for query in ("", "?chart=sense-map", "?chart=separation", "?scheme=dark")]
    for picture in pictures:
        assert picture.status_code == 200, picture.text
        assert picture.headers["content-type"] == media
        assert picture.content.startswith(begins)
    first, same, other, dark = (picture.content for picture in pictures)
    assert first == same
    assert len({first, other, dark}) == 3
    if ending == "svg":
        assert pictures[0].headers["content-security-policy"].startswith("default-src 'none'")


def test_an_unknown_chart_or_scheme_lists_the_known(client: TestClient, analysis: Analysis) -> None:
    for ending in ("svg", "png"):
        told = problem(client.get(f"/v1/analyses/{analysis.id}.{ending}?chart=pie"), 422, "/chart")
        assert all(name in told["remedy"] for name in gallery.CHARTS)
        problem(client.get(f"/v1/analyses/{analysis.id}.{ending}?scheme=grey"), 422)


def test_the_page_escapes_texts_and_knows_its_scripts(client: TestClient) -> None:
    hostile = "the bank <script>alert(1)</script> & 'so' on"
    made = client.post("/v1/senses", json={"target": "bank", "texts": [hostile, *RIVER]}).json()
    page = client.get(f"/v1/analyses/{made['id']}.html")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert" in page.text
    policy = page.headers["content-security-policy"]
    assert policy.startswith(report.policy())
    assert "default-src 'none'" in policy
    assert "script-src 'sha256-" in policy
    assert "script-src 'unsafe" not in policy


def test_the_loop_answers_while_a_chart_is_drawn(client: TestClient, analysis: Analysis) -> None:
    """The renderer keeps the interpreter's lock: in this process nothing else would be answered meanwhile."""
    import threading

    done: list[Any] = []
    at = f"/v1/analyses/{analysis.id}.html"
    drawing = threading.Thread(target=lambda: done.append(client.get(at).status_code))
    drawing.start()
    answered = 0
    while drawing.is_alive():
        assert client.get("/livez").status_code == 200
        answered += 1
    assert done == [200]
    assert answered > 20
