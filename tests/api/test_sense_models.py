"""/v1/sense-models: made, kept, edited, given new usages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from starlette.testclient import TestClient

from analysis import edits, sensefile
from analysis.types import Encoder, ModelInfo
from service.store import Store
from tests.api.conftest import MONEY, RIVER, MakeClient, problem
from tests.fake import FakeEncoder

ASK = {"target": "bank", "texts": RIVER + MONEY}
LABELLED = [{"text": text, "label": name} for name, texts in (("r", RIVER), ("m", MONEY)) for text in texts]
AT = "/v1/sense-models"


def make(client: TestClient, **more: Any) -> dict[str, Any]:
    response = client.post(AT, json=ASK | more)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    assert response.headers["location"] == f"{AT}/{made['id']}"
    return made


def assign(client: TestClient, model_id: str, **more: Any) -> list[dict[str, Any]]:
    response = client.post(f"{AT}/{model_id}/assign", json={"texts": ASK["texts"]} | more)
    assert response.status_code == 200, response.text
    found = response.json()
    assert found["sense_model"] == model_id
    usages: list[dict[str, Any]] = found["usages"]
    return usages


def test_senses_are_found_as_the_main_job_finds_them_and_kept(client: TestClient) -> None:
    made = make(client)
    analysis = client.post("/v1/senses", json=ASK).json()
    assert [(s["id"], s["label"], s["size"]) for s in made["senses"]] == [
        (s["id"], s["label"], s["size"]) for s in analysis["senses"]
    ]
    assert made.pop("warnings") == []
    kept = client.get(f"{AT}/{made['id']}")
    assert kept.headers["content-type"] == "application/json"
    assert kept.json() == made
    assert [use["sense"] for use in assign(client, made["id"], threshold=1)] == [
        use["sense"] for use in analysis["usages"]
    ]


def test_labels_teach_the_senses(client: TestClient) -> None:
    made = make(client, texts=[*LABELLED, {"text": "nothing", "label": "x"}])
    assert [sense["label"] for sense in made["senses"]] == ["m", "r"]
    assert made["provenance"]["supervised"]
    assert [warning["kind"] for warning in made["warnings"]] == ["target-missing", "label-missing"]
    found = assign(client, made["id"], texts=[*ASK["texts"], "the bank zebra quark"])
    assert [use["label"] for use in found] == ["r"] * 4 + ["m"] * 4 + [None]
    assert found[-1]["flags"] == ["none-of-these"]
    assert {tuple(use["flags"]) for use in found[:-1]} == {("known",)}


def test_options_reach_the_library(client: TestClient) -> None:
    made = make(client, n_senses=3, seed=7, match="exact", drivers="none")
    assert [sense["label"] for sense in made["senses"]] == ["s0", "s1", "s2"]
    assert (made["provenance"]["seed"], made["provenance"]["match"]) == (7, "exact")
    texts = ["the Bank river water", *RIVER]
    response = client.post(f"{AT}/{made['id']}/assign", json={"texts": texts})
    assert response.json()["warnings"][0]["source_ids"] == ["1"], "exact, as it was made"
    assert len(assign(client, made["id"], texts=texts, match="lemma")) == 5


def test_edits_make_new_sense_models(client: TestClient) -> None:
    made = make(client)
    at = f"{AT}/{made['id']}"

    def edit(verb: str, at: str, **body: Any) -> dict[str, Any]:
        response = client.post(f"{at}/{verb}", json=body)
        assert response.status_code == 201, response.text
        assert response.headers["location"] == f"{AT}/{response.json()['id']}"
        assert client.get(response.headers["location"]).json() == response.json()
        edited: dict[str, Any] = response.json()
        return edited

    renamed = edit("rename", at, sense="s0", label="money")
    assert (renamed["parent"], renamed["senses"][0]["label"]) == (made["id"], "money")
    merged = edit("merge", f"{AT}/{renamed['id']}", senses=["s0", "s1"])
    assert [sense["id"] for sense in merged["senses"]] == ["s0+s1"]
    parts = edit("split", f"{AT}/{merged['id']}", sense="s0+s1")
    assert [sense["id"] for sense in parts["senses"]] == ["(s0+s1).1", "(s0+s1).2"]
    assert {use["sense"] for use in assign(client, merged["id"])} == {"s0+s1"}
    assert client.get(at).json()["senses"] == made["senses"], "the first is as it was"
    listed = client.get(AT).json()["sense_models"]
    assert [one["id"] for one in listed] == [parts["id"], merged["id"], renamed["id"], made["id"]]
    assert listed[2]["senses"][0] == {"id": "s0", "label": "money", "size": 4}
    page = client.get(f"{AT}?limit=3").json()
    assert [one["id"] for one in page["sense_models"]] == [one["id"] for one in listed[:3]]
    last = client.get(AT, params={"limit": 3, "cursor": page["next"]}).json()
    assert ([one["id"] for one in last["sense_models"]], last["next"]) == ([made["id"]], None)
    # The same edit is the same sense model.
    assert edit("merge", f"{AT}/{renamed['id']}", senses=["s1", "s0"])["id"] == merged["id"]
    assert len(client.get(AT).json()["sense_models"]) == 4


def test_the_file_travels(client: TestClient, make_client: MakeClient) -> None:
    made = make(client)
    file = client.get(f"{AT}/{made['id']}.safetensors")
    assert file.headers["content-type"] == "application/octet-stream"
    assert file.headers["content-disposition"].endswith(f'polyseme-{made["id"]}.safetensors"')
    saved = sensefile.from_bytes(file.content)
    assert saved.id == made["id"]
    elsewhere = make_client(store=Store("sqlite://"))
    at = f"{AT}/{made['id']}"
    problem(elsewhere.get(at), 404)
    assert elsewhere.put(f"{at}.safetensors", content=file.content).status_code == 201
    assert elsewhere.put(f"{at}.safetensors", content=file.content).status_code == 200
    assert elsewhere.get(f"{at}.safetensors").content == file.content
    assert assign(elsewhere, made["id"]) == assign(client, made["id"])


def test_a_file_that_is_not_right_is_refused(client: TestClient, make_client: MakeClient) -> None:
    made = make(client)
    at = f"{AT}/{made['id']}.safetensors"
    data = client.get(at).content
    for body in (b"", data[:-1], data[:-1] + bytes([data[-1] ^ 1]), b"{}"):
        told = problem(client.put(at, content=body), 422)
        assert told["type"] == "urn:polyseme:problem:bad-file"
    told = problem(client.put(f"{AT}/other.safetensors", content=data), 422)
    assert made["id"] in told["detail"]
    small = make_client(store=Store("sqlite://"), max_body_bytes=1000)
    problem(small.put(at, content=data), 413)


def test_delete_forgets_one(client: TestClient) -> None:
    made = make(client)
    other = client.post(f"{AT}/{made['id']}/rename", json={"sense": "s0", "label": "x"}).json()
    gone = client.delete(f"{AT}/{made['id']}")
    assert (gone.status_code, gone.content) == (204, b"")
    problem(client.get(f"{AT}/{made['id']}"), 404)
    problem(client.delete(f"{AT}/{made['id']}"), 404)
    assert client.get(f"{AT}/{other['id']}").json()["parent"] == made["id"]


@pytest.mark.parametrize("name", ["nothing", "%00", "%2e%2e%2fetc", "a%27%20OR%201=1", "é"])
def test_a_sense_model_that_is_not_there(client: TestClient, name: str) -> None:
    at = f"{AT}/{name}"
    for response in (
        client.get(at),
        client.get(f"{at}.safetensors"),
        client.delete(at),
        client.post(f"{at}/assign", json={"texts": RIVER}),
        client.post(f"{at}/rename", json={"sense": "s0", "label": "x"}),
        client.post(f"{at}/merge", json={"senses": ["s0", "s1"]}),
        client.post(f"{at}/split", json={"sense": "s0"}),
    ):
        problem(response, 404)


@pytest.mark.parametrize(
    ("more", "pointer", "says"),
    [
        ({"target": "zebra"}, "/target", "zebra"),
        ({"texts": []}, "/texts", "texts"),
        ({"texts": ["the bank", ""]}, "/texts/1", "empty"),
        ({"texts": [*LABELLED, "the bank"]}, "/texts/8", "text 9 has no label"),
        ({"texts": [{"text": "the bank", "label": ""}]}, "/texts/0/label", "1"),
        ({"texts": [{"text": "the bank", "label": " "}]}, "/texts/0", "label is empty"),
        ({"texts": [{"text": "the bank", "label": "a\nb\x1b"}]}, "/texts/0", "control"),
        ({"texts": [{"text": "the bank", "label": 3}]}, "/texts/0/label", "string"),
        (
            {"texts": [{"text": "the bank", "label": "a"}, {"text": "the bank", "label": "b"}]},
            "/texts/1",
            "'a' and 'b'",
        ),
        ({"texts": LABELLED, "n_senses": 2}, "/n_senses", "n_senses"),
        ({"texts": LABELLED, "drivers": "none"}, "/drivers", "drivers"),
        ({"model": "gpt-9"}, "/model", "gpt-9"),
        ({"n_senses": 9}, "/n_senses", "8 usages"),
        ({"color": 1}, "/color", "no such field"),
    ],
)
def test_what_cannot_be_made(client: TestClient, more: dict[str, Any], pointer: str, says: str) -> None:
    told = problem(client.post(AT, json=ASK | more), 422, pointer)
    assert says in told["errors"][0]["detail"]
    assert client.get(AT).json() == {"sense_models": [], "next": None}


@pytest.mark.parametrize(
    ("verb", "body", "pointer", "says"),
    [
        ("assign", {"texts": ["no such word"]}, "/texts", "'bank' is not in"),
        ("assign", {"texts": RIVER, "threshold": 1.5}, "/threshold", "1"),
        ("assign", {"texts": RIVER, "threshold": float("nan")}, "/threshold", "finite"),
        ("assign", {"texts": RIVER, "match": "fuzzy"}, "/match", "lemma"),
        ("assign", {"texts": RIVER, "language": "xx"}, "/language", "xx"),
        ("assign", {"texts": [{"text": "a bank", "spans": [[1, 2]]}]}, "/texts/0", "'1'"),
        ("assign", {"texts": [{"text": "a bank", "label": "x"}]}, "/texts/0/label", "no such field"),
        ("rename", {"sense": "s9", "label": "x"}, "/sense", "no sense 's9'"),
        ("rename", {"sense": "s0", "label": ""}, "/label", "empty"),
        ("rename", {"sense": "s0", "label": "x" * 201}, "/label", "201"),
        ("rename", {"sense": "s0", "label": "\udc00"}, "/label", "surrogate"),
        ("merge", {"senses": ["s0"]}, "/senses", "two senses"),
        ("merge", {"senses": ["s0", "s9"]}, "/senses/1", "no sense 's9'"),
        ("split", {"sense": "s9"}, "/sense", "no sense 's9'"),
        ("split", {"sense": "s0", "n_senses": 3}, "/n_senses", "distinct"),
        ("split", {"sense": "s0", "n_senses": 1}, "/n_senses", "1"),
    ],
)
def test_what_cannot_be_done_with_it(
    client: TestClient, verb: str, body: dict[str, Any], pointer: str, says: str
) -> None:
    at = f"{AT}/{make(client)['id']}/{verb}"
    told = problem(client.post(at, content=json.dumps(body), headers={"content-type": "application/json"}), 422)
    assert says in told["errors"][0]["detail"]
    assert told["errors"][0]["pointer"] == pointer
    if "no sense" in says:
        assert told["remedy"] == "choose from s0, s1"
    problem(client.post(at, content=b"{", headers={"content-type": "application/json"}), 400, "")
    problem(client.post(at, content=b"{}", headers={"content-type": "text/plain"}), 415)
    assert len(client.get(AT).json()["sense_models"]) == 1


def test_limits_hold_for_assigning_too(make_client: MakeClient) -> None:
    store = Store("sqlite://")
    made = make(make_client(store=store))
    at = f"{AT}/{made['id']}/assign"
    small = make_client(store=store, max_texts=3, max_characters=100, max_usages=5)
    problem(small.post(at, json={"texts": RIVER}), 413, "/texts")
    problem(small.post(at, json={"texts": ["the bank", "bank " * 30]}), 413, "/texts/1")
    problem(small.post(at, json={"texts": ["bank " * 6]}), 413, "/texts")


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "cursor=x", "cursor=MjAyNiB4", "cursor="])
def test_a_list_is_limited(client: TestClient, query: str) -> None:
    problem(client.get(f"{AT}?{query}"), 422)


class Other(FakeEncoder):
    """Other weights under the same name."""

    @property
    def info(self) -> ModelInfo:
        return replace(super().info, revision="2", digest="f" * 64)


@pytest.mark.parametrize(
    ("encoders", "says"),
    [
        ({"one": FakeEncoder(), "two": FakeEncoder()}, ("'fake'", "one, two")),
        ({"fake": Other()}, ("fake (revision 1, weights 0", "fake (revision 2, weights f")),
    ],
)
def test_another_model_is_refused_with_both_names(
    make_client: MakeClient, encoders: Mapping[str, Encoder], says: tuple[str, str]
) -> None:
    store = Store("sqlite://")
    made = make(make_client(store=store))
    other = make_client(encoders, store=store)
    told = problem(other.post(f"{AT}/{made['id']}/assign", json={"texts": RIVER}), 409)
    assert told["type"] == "urn:polyseme:problem:model-mismatch"
    assert all(name in told["detail"] for name in says)
    # An edit reads no text, so it needs no model.
    assert other.post(f"{AT}/{made['id']}/merge", json={"senses": ["s0", "s1"]}).status_code == 201


def test_a_sense_model_that_another_version_kept_is_the_services_fault(make_client: MakeClient) -> None:
    from sqlalchemy import update

    from service.store import SENSE_MODELS

    store = Store("sqlite://")
    client = make_client(store=store)
    made = make(client)
    with store._engine.begin() as connection:
        connection.execute(update(SENSE_MODELS).values(body=b"{}"))
    problem(client.get(f"{AT}/{made['id']}"), 503)


def test_a_sense_model_of_the_library_and_of_the_service_are_one(client: TestClient) -> None:
    made = make(client)
    saved = sensefile.from_bytes(client.get(f"{AT}/{made['id']}.safetensors").content)
    here = edits.split(saved, "s1")
    there = client.post(f"{AT}/{made['id']}/split", json={"sense": "s1"}).json()
    assert here.id == there["id"]
