"""The pages as HTML: who may have them, how they are kept, and that no text gets out of its place."""

from __future__ import annotations

import gzip
import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from service import keys
from tests.api.conftest import MONEY, RIVER, MakeClient, problem

PAGES = ("/", "/attention", "/vectors", "/senses/0123456789abcdef0123", "/vectors/0123456789abcdef0123")
KEY, KEPT = keys.make("alice")
NASTY = "<script>alert(1)</script> the bank </textarea>\"' money loan cash {{ 7 * 7 }}"


@pytest.mark.parametrize("path", PAGES)
def test_pages_need_no_key_and_hold_nothing_of_anyone(make_client: MakeClient, path: str) -> None:
    client = make_client(api_keys=(KEPT,))
    page = client.get(path)
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert 'id="key"' in page.text
    assert 'id="key"' not in make_client().get(path).text
    assert "://" not in re.sub(r"<noscript>.*?</noscript>", "", page.text, flags=re.DOTALL).replace(
        "https://vega.github.io/schema", ""
    )


def test_what_pages_show_needs_the_key(make_client: MakeClient) -> None:
    client = make_client(api_keys=(KEPT,))
    bearer = {"Authorization": f"Bearer {KEY}"}
    made = client.post("/v1/senses", json={"target": "bank", "texts": RIVER + MONEY}, headers=bearer).json()
    for path in (f"/view/senses/{made['id']}", f"/view/vectors/{made['id']}", "/view/saved/0"):
        problem(client.get(path), 401)
    shown = client.get(f"/view/senses/{made['id']}", headers=bearer)
    assert shown.headers["cache-control"] == "no-store"
    assert shown.headers["content-security-policy"].startswith("default-src 'none'")
    problem(client.get("/view/senses/0123456789abcdef0123", headers=bearer), 404)


def test_files_are_kept_for_ever_under_their_digest(client: TestClient) -> None:
    folder = re.search(r'data-static="\./(static/[0-9a-f]{12}/)"', client.get("/").text)
    assert folder
    for name, kind in (("site.css", "text/css"), ("heat.css", "text/css"), ("senses.js", "text/javascript")):
        for packed in ("gzip", "identity"):
            answer = client.get(f"/{folder[1]}{name}", headers={"Accept-Encoding": packed})
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith(kind)
            assert "immutable" in answer.headers["cache-control"]
            assert answer.headers.get("content-encoding") == ("gzip" if packed == "gzip" else None)
            assert answer.text
    problem(client.get(f"/{folder[1]}nothing.js"), 404)
    problem(client.get("/static/0123456789ab/site.css"), 404)
    problem(client.get(f"/{folder[1]}..%2fpages.py"), 404)


def test_pages_ask_for_files_that_are_there(client: TestClient) -> None:
    from service.web.pages import assets

    found = assets().found
    asked = {name for path in PAGES for name in re.findall(r"/static/[0-9a-f]+/([\w.-]+)", client.get(path).text)}
    asked |= {
        name
        for asset in found.values()
        if "javascript" in asset.media_type
        for name in re.findall(r'from "\./([\w.]+)"', gzip.decompress(asset.packed).decode())
    }
    assert asked <= found.keys()
    assert {"senses.js", "result.js", "api.js", "icon.svg"} <= asked


def test_no_text_gets_out_of_its_place(client: TestClient) -> None:
    ask: dict[str, Any] = {"target": "bank", "texts": [{"text": NASTY, "id": "<b>1</b>"}, *RIVER, *MONEY]}
    made = client.post("/v1/compare", json=ask).json()
    kept = client.post("/v1/sense-models", json=ask).json()
    renamed = client.post(f"/v1/sense-models/{kept['id']}/rename", json={"sense": "s0", "label": "<i>'\""}).json()
    for path in (f"senses/{made['id']}", f"vectors/{made['id']}", f"saved/{renamed['id']}"):
        shown = client.get(f"/view/{path}")
        assert shown.status_code == 200
        assert set(re.findall(r"<script[^>]*>", shown.text)) <= {'<script type="application/json" class="specs">'}
        for markup in ("<b>1", "<i>", "alert(1)</script>", "</textarea>"):
            assert markup not in shown.text
        assert "{{ 7 * 7 }}" in shown.text or path.startswith("saved")


def test_an_analysis_that_compared_nothing_has_no_page_of_vectors(client: TestClient) -> None:
    made = client.post("/v1/senses", json={"target": "bank", "texts": RIVER}).json()
    page = client.get(f"/view/vectors/{made['id']}")
    assert page.status_code == 200  # the layers are there, the pairs and the maps are not
    assert "From one point to many" not in page.text
