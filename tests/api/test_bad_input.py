"""Every bad request is told what is wrong, where, and what to do; never a 500, never a traceback."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.conftest import MONEY, RIVER, MakeClient, problem
from tests.fake import FakeEncoder

ASK = {"target": "bank", "texts": RIVER + MONEY}
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("more", "pointer", "says"),
    [
        ({"target": "zebra"}, "/target", "zebra"),
        ({"target": ""}, "/target", ""),
        ({"target": "  "}, "/target", "empty"),
        ({"target": "b\0nk"}, "/target", "NUL"),
        ({"target": "\udfff"}, "/target", "surrogate"),
        ({"target": "x" * 201}, "/target", "200"),
        ({"target": 3}, "/target", "string"),
        ({"texts": []}, "/texts", "texts"),
        ({"texts": None}, "/texts", ""),
        ({"texts": "the bank"}, "/texts", "list"),
        ({"texts": ["the bank", ""]}, "/texts/1", "empty"),
        ({"texts": ["the bank", " \t"]}, "/texts/1", "empty"),
        ({"texts": ["the bank", 7]}, "/texts/1", "object"),
        ({"texts": ["the bank", {"text": ""}]}, "/texts/1", "empty"),
        ({"texts": ["the bank", {"id": "x"}]}, "/texts/1/text", "missing"),
        ({"texts": ["the bank", {"text": "bank", "color": "red"}]}, "/texts/1/color", "no such field"),
        ({"texts": ["bank \ud83d"]}, "/texts/0", "surrogate"),
        ({"texts": [{"text": "bank \udc00"}]}, "/texts/0/text", "surrogate"),
        ({"texts": [{"text": "bank", "id": "\ud800"}]}, "/texts/0/id", "surrogate"),
        ({"texts": [{"text": "a bank", "spans": [[0, 1], [2, 7]]}]}, "/texts/0/spans/1", "6 characters"),
        ({"texts": [{"text": "a bank", "spans": [[3, 3]]}]}, "/texts/0/spans/0", "3:3"),
        ({"texts": [{"text": "a bank", "spans": [[-1, 3]]}]}, "/texts/0/spans/0/0", "0"),
        ({"texts": [{"text": "a bank", "spans": [[2]]}]}, "/texts/0/spans/0/1", "missing"),
        ({"texts": [{"text": "a bank", "spans": [[2, 3, 4]]}]}, "/texts/0/spans/0", "2 items"),
        ({"texts": [{"text": "a bank", "spans": [[2, 10**400]]}]}, "/texts/0/spans/0", "6 characters"),
        ({"texts": [{"text": "a bank", "spans": [[1, 2]]}, "the bank"]}, "/texts/0", "'1'"),
        ({"model": "gpt-9"}, "/model", "gpt-9"),
        ({"model": "../../etc"}, "/model", "etc"),
        ({"model": "\ud800"}, "/model", "surrogate"),
        ({"n_senses": 9}, "/n_senses", "8 usages"),
        ({"n_senses": 0}, "/n_senses", "1"),
        ({"n_senses": "2"}, "/n_senses", "integer"),
        ({"n_senses": True}, "/n_senses", "integer"),
        ({"n_senses": float("nan")}, "/n_senses", "integer"),
        ({"n_senses": float("inf")}, "/n_senses", "integer"),
        ({"n_senses": 10**300}, "/n_senses", "8 usages"),
        ({"seed": -1}, "/seed", "0"),
        ({"seed": 2**32}, "/seed", "4294967295"),
        ({"drivers": "magic"}, "/drivers", "magic"),
        ({"drivers": "attention:3"}, "/drivers", "layer 3"),
        ({"drivers": "attention:0:2"}, "/drivers", "head 2"),
        ({"drivers": "x" * 10**5}, "/drivers", ""),
        ({"drivers": None}, "/drivers", "string"),
        ({"operator": "mask"}, "/operator", "no such field"),
        ({"faithfulness": -1}, "/faithfulness", "0"),
        ({"faithfulness": 10**9}, "/faithfulness", "1000"),
        ({"fractions": [0.5, 0]}, "/fractions/1", "0"),
        ({"fractions": [1.5]}, "/fractions/0", "1"),
        ({"fractions": []}, "/fractions", "1"),
        ({"driver_form": "stem"}, "/driver_form", "lemma"),
        ({"budget": 0}, "/budget", "1"),
        ({"explained": 0}, "/explained", "1"),
        ({"match": "fuzzy"}, "/match", "lemma"),
        ({"language": "xx"}, "/language", "xx"),
        ({"a/b~c": 1}, "/a~1b~0c", "no such field"),
        ({"\ud800": 1}, "", "surrogate"),
    ],
)
def test_senses_points_at_what_is_wrong(client: TestClient, more: dict[str, Any], pointer: str, says: str) -> None:
    told = problem(client.post("/v1/senses", content=json.dumps(ASK | more), headers=JSON), 422, pointer)
    assert says in told["errors"][0]["detail"]
    assert "Traceback" not in str(told)


def test_kinds_of_problem_are_for_programs_and_remedies_for_people(client: TestClient) -> None:
    told = problem(client.post("/v1/senses", json=ASK | {"target": "zebra"}), 422, "/target")
    assert told["type"] == "urn:polyseme:problem:target-not-found"
    assert told["title"] == "Target not found"
    assert told["remedy"] == told["errors"][0]["remedy"]
    told = problem(client.post("/v1/senses", json=ASK | {"model": "gpt-9"}), 422, "/model")
    assert "fake, causal" in told["remedy"]


def test_all_faults_are_told_at_once_but_not_without_end(client: TestClient) -> None:
    told = problem(client.post("/v1/senses", json={"texts": ["bank"], "match": "fuzzy", "seed": -1}), 422)
    assert {error["pointer"] for error in told["errors"]} == {"/target", "/match", "/seed"}
    many = {f"x{i}": 1 for i in range(1000)}
    told = problem(client.post("/v1/senses", json=ASK | dict(list(many.items())[:40])), 422)
    assert len(told["errors"]) == 20
    assert "37 more" in told["detail"]
    assert len(problem(client.post("/v1/senses", json=ASK | many), 422, "")["errors"]) == 1


@pytest.mark.parametrize("path", ["/v1/senses", "/v1/compare", "/v1/attention", "/v1/embeddings"])
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"bank", b'{"target": "bank",}', b"\xff\xfe\x00", b"\xe9", b"[" * 100_000, b"1" * 5000],
)
def test_a_body_that_is_not_json_is_400(client: TestClient, path: str, body: bytes) -> None:
    problem(client.post(path, content=body, headers=JSON), 400, "")


@pytest.mark.parametrize("body", [b"null", b"[]", b'"bank"', b"3", b"NaN"])
def test_json_that_is_no_object_is_422(client: TestClient, body: bytes) -> None:
    problem(client.post("/v1/senses", content=body, headers=JSON), 422, "")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml"])
def test_another_content_type_is_415(client: TestClient, kind: str) -> None:
    response = client.post("/v1/senses", content=json.dumps(ASK), headers={"content-type": kind})
    assert "application/json" in problem(response, 415)["remedy"]


def test_more_texts_than_the_limit(make_client: MakeClient) -> None:
    client = make_client(max_texts=3)
    for path in ("/v1/senses", "/v1/compare", "/v1/embeddings"):
        told = problem(client.post(path, json={"target": "bank", "texts": RIVER}), 413, "/texts")
        assert "the limit is 3" in told["detail"]
        problem(client.post(path, json={"target": "bank", "texts": ["bank"] * 20_001}), 413, "/texts")


def test_more_uses_than_the_limit(make_client: MakeClient) -> None:
    client = make_client(max_usages=5)
    told = problem(client.post("/v1/senses", json={"target": "bank", "texts": ["bank " * 6]}), 413, "/texts")
    assert "6 times" in told["detail"]


def test_a_text_of_a_million_characters(client: TestClient) -> None:
    long = "bank " * 200_000
    told = problem(client.post("/v1/senses", json={"target": "bank", "texts": ["the bank", long]}), 413, "/texts/1")
    assert "1,000,000 characters" in told["detail"]
    emoji = "🏦" * 1_000_000  # four bytes each: the body is beyond the limit already
    problem(client.post("/v1/senses", json={"target": "bank", "texts": [emoji]}), 413, "")


def test_limits_count_code_points(make_client: MakeClient) -> None:
    client = make_client(max_characters=8)
    assert client.post("/v1/senses", json={"target": "bank", "texts": ["🏦🏦🏦 bank"]}).status_code == 200
    problem(client.post("/v1/senses", json={"target": "bank", "texts": ["🏦🏦🏦🏦 bank"]}), 413, "/texts/0")


def test_compare_has_fields_of_its_own(client: TestClient) -> None:
    problem(client.post("/v1/compare", json=ASK | {"drivers": "none"}), 422, "/drivers")
    problem(client.post("/v1/compare", json=ASK | {"pairs": 0}), 422, "/pairs")
    problem(client.post("/v1/compare", json=ASK | {"n_senses": 9}), 422, "/n_senses")


def test_no_such_address_or_method(client: TestClient) -> None:
    problem(client.get("/v1/nothing"), 404)
    problem(client.get("/docs/static/nothing.js"), 404)
    told = client.get("/v1/senses")
    problem(told, 405)
    assert told.headers["allow"] == "POST"


@pytest.mark.parametrize("method", ["occlusion-mask", "integrated-gradients"])
def test_a_mask_asked_of_a_model_without_one(client: TestClient, method: str) -> None:
    asked = ASK | {"model": "causal", "drivers": method}
    told = problem(client.post("/v1/senses", json=asked), 422, "/drivers")
    assert "no mask token" in told["detail"]
    assert method not in told["remedy"]
    assert "occlusion, occlusion-exact, gates" in told["remedy"]


def test_an_unknown_method_is_told_the_others(client: TestClient) -> None:
    told = problem(client.post("/v1/senses", json=ASK | {"drivers": "magic"}), 422, "/drivers")
    for method in ("occlusion", "gates", "integrated-gradients", "value-zeroing", "rollout", "attention:LAYER:HEAD"):
        assert method in told["errors"][0]["remedy"]


def test_a_bug_tells_nothing_of_itself(make_client: MakeClient) -> None:
    class Broken(FakeEncoder):
        def encode(self, *args: Any, **kwargs: Any) -> Any:
            raise RuntimeError("secret /home/someone/models")

        attention = encode

    client = make_client({"fake": Broken()})
    for path, body in (
        ("/v1/senses", ASK),
        ("/v1/embeddings", ASK),
        ("/v1/attention", {"text": "a bank"}),
    ):
        told = str(problem(client.post(path, json=body), 500))
        assert "secret" not in told
        assert "RuntimeError" not in told
        assert ".py" not in told
