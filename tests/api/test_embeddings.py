from __future__ import annotations

import numpy as np
from starlette.testclient import TestClient

from analysis.corpus import documents
from analysis.text import find
from service.answers import EmbeddingsOut
from tests.api.conftest import RIVER, MakeClient, problem
from tests.fake import FakeEncoder

ASK = {"target": "bank", "texts": [*RIVER, "Banks and banks", "nothing"]}


def test_vectors_are_the_encoders_own_by_layer(client: TestClient) -> None:
    response = client.post("/v1/embeddings", json=ASK | {"layers": [0, 3]})
    assert response.status_code == 200
    answer = EmbeddingsOut.model_validate_json(response.content, extra="forbid")
    found = find(documents(ASK["texts"]), "bank")
    expected = FakeEncoder().encode(found.occurrences, layers=[0, 3]).layers
    np.testing.assert_allclose([usage.vectors for usage in answer.usages], expected, atol=1e-6)
    assert (answer.layers, answer.width) == ([0, 3], 24)
    assert [(usage.id, usage.source_id) for usage in answer.usages[3:]] == [("u3", "4"), ("u4", "5"), ("u5", "5")]
    assert all(usage.text[usage.start : usage.end].lower().startswith("bank") for usage in answer.usages)
    assert [form.form for form in answer.static] == ["bank", "Banks", "banks"]
    np.testing.assert_allclose(answer.static[0].vector, FakeEncoder().static(["bank"])[0], atol=1e-6)
    assert [(notice.kind, notice.source_ids) for notice in answer.warnings] == [("target-missing", ("6",))]


def test_the_last_layer_is_the_default(client: TestClient) -> None:
    last = client.post("/v1/embeddings", json=ASK).json()
    assert last["layers"] == [3]
    assert last == client.post("/v1/embeddings", json=ASK | {"layers": [3]}).json()
    first_and_last = client.post("/v1/embeddings", json=ASK | {"layers": [0, 3]}).json()
    assert [one["vectors"] for one in last["usages"]] == [one["vectors"][1:] for one in first_and_last["usages"]]


def test_a_layer_that_is_not_there(client: TestClient) -> None:
    told = problem(client.post("/v1/embeddings", json=ASK | {"layers": [3, 4]}), 422, "/layers/1")
    assert "0 to 3" in told["remedy"]


def test_too_large_an_answer(make_client: MakeClient) -> None:
    client = make_client(max_vector_values=6 * 24)
    assert client.post("/v1/embeddings", json=ASK).status_code == 200
    problem(client.post("/v1/embeddings", json=ASK | {"layers": [0, 1]}), 413, "/layers")
    problem(client.post("/v1/embeddings", json=ASK | {"texts": RIVER * 2}), 413, "/texts")
