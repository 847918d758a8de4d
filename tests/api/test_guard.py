"""Nobody comes in who should not: keys, limits, headers; and what each is told."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from pydantic import ValidationError

from service import keys
from service.settings import Settings
from tests.api.conftest import MakeClient, problem

BODY = {"text": "a bank"}
ALICE, ALICE_KEPT = keys.make("alice")
BOB, BOB_KEPT = keys.make("bob")
PAGES = ("/", "/livez", "/docs", "/docs/openapi.json", "/openapi.json", "/docs/static/swagger-ui.css")


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize("key", [ALICE, BOB], ids=["alice", "bob"])
def test_a_key_opens_in_either_header(make_client: MakeClient, key: str) -> None:
    client = make_client(api_keys=(ALICE_KEPT, BOB_KEPT))
    for headers in (bearer(key), {"Authorization": f"bearer  {key}"}, {"X-API-Key": key}):
        assert client.post("/v1/attention", json=BODY, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        bearer("wrong"),
        bearer(ALICE[:-1]),
        bearer(ALICE + "x"),
        bearer(ALICE_KEPT),
        bearer(ALICE_KEPT.partition(":")[2]),
        {"Authorization": f"Basic {ALICE}"},
        {"Authorization": ALICE},
        {"X-API-Key": "é".encode("latin-1")},
    ],
)
def test_without_a_known_key_nothing_is_done(make_client: MakeClient, headers: Any) -> None:
    client = make_client(api_keys=(ALICE_KEPT,), max_body_bytes=100)
    for method, path in (("POST", "/v1/attention"), ("GET", "/v1/models"), ("GET", "/metrics"), ("GET", "/nothing")):
        refused = client.request(method, path, content=b" " * 1000 if method == "POST" else None, headers=headers)
        told = problem(refused, 401)  # not 413: the body is not looked at
        assert "Bearer" in refused.headers["www-authenticate"]
        assert "X-API-Key" in told["remedy"]


def test_probes_and_the_documentation_need_no_key(make_client: MakeClient) -> None:
    client = make_client(api_keys=(ALICE_KEPT,))
    assert [client.get(page).status_code for page in PAGES] == [200] * len(PAGES)
    assert client.get("/readyz").status_code == 200
    scheme = client.get("/openapi.json").json()["components"]["securitySchemes"]["key"]
    assert scheme["scheme"] == "bearer"


def test_a_key_is_kept_as_its_hash_only() -> None:
    assert f"alice:{hashlib.sha256(ALICE.encode()).hexdigest()}" == ALICE_KEPT
    assert keys.make("alice")[0] != ALICE
    assert keys.owner(BOB, [ALICE_KEPT, BOB_KEPT]) == "bob"
    assert keys.owner("", [ALICE_KEPT]) is None
    for wrong in ("alice", f"alice:{ALICE}", "a b:" + "0" * 64, "x:" + "0" * 63):
        with pytest.raises(ValidationError):
            Settings(api_keys=(wrong,))


def test_each_key_has_a_limit_of_its_own(make_client: MakeClient) -> None:
    client = make_client(api_keys=(ALICE_KEPT, BOB_KEPT), requests_per_minute=2)
    for _ in range(2):
        assert client.get("/v1/models", headers=bearer(ALICE)).status_code == 200
    refused = client.get("/v1/models", headers=bearer(ALICE))
    problem(refused, 429)
    assert 1 <= int(refused.headers["retry-after"]) <= 61
    assert client.get("/v1/models", headers=bearer(BOB)).status_code == 200
    assert client.get("/livez").status_code == 200, "a probe is never too often"


def test_an_address_has_a_limit_where_there_are_no_keys(make_client: MakeClient) -> None:
    client = make_client(requests_per_minute=1)
    answers = [client.get("/v1/models") for _ in range(3)]  # a minute may turn between two of them
    assert answers[0].status_code == 200
    problem(answers[2], 429)


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.5", False),
        ("example.org", False),
        ("", False),
    ],
)
def test_which_addresses_only_this_machine_reaches(host: str, own: bool) -> None:
    assert keys.is_loopback(host) is own


def test_every_answer_has_headers_that_keep_browsers_out_of_trouble(make_client: MakeClient) -> None:
    client = make_client(api_keys=(ALICE_KEPT,))
    key = bearer(ALICE)
    answers = [client.get(path, headers=key) for path in (*PAGES, "/v1/models", "/v1/nothing", "/metrics")]
    answers += [client.get("/v1/models"), client.post("/v1/senses", content=b"{", headers=key)]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors" in answer.headers["content-security-policy"]
        assert "server" not in answer.headers
    assert "script-src 'self'" in client.get("/docs").headers["content-security-policy"]


def test_another_site_may_ask_nothing(make_client: MakeClient) -> None:
    client = make_client()
    there = {"Origin": "https://example.org"}
    asked = client.options("/v1/senses", headers=there | {"Access-Control-Request-Method": "POST"})
    assert asked.status_code == 405
    for answer in (asked, client.get("/v1/models", headers=there)):
        assert not [name for name in answer.headers if name.startswith("access-control")]
    # What a page of another site can send without asking first is no JSON.
    assert client.post("/v1/senses", content=b"{}", headers={"content-type": "text/plain"}).status_code == 415
