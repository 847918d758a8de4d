from __future__ import annotations

import numpy as np
import pytest
from starlette.testclient import TestClient

from service.answers import AttentionOut
from tests.api.conftest import MakeClient, problem

TEXT = "The bank by the river"


def test_units_have_offsets_and_rows_sum_to_one(client: TestClient) -> None:
    response = client.post("/v1/attention", json={"text": TEXT})
    assert response.status_code == 200
    answer = AttentionOut.model_validate_json(response.content, extra="forbid")
    assert [unit.text for unit in answer.units] == ["[CLS]", "The", "bank", "by", "the", "river", "[SEP]"]
    assert [unit.text for unit in answer.units if unit.special] == ["[CLS]", "[SEP]"]
    assert all(TEXT[unit.start : unit.end] == unit.text for unit in answer.units if not unit.special)
    weights = np.array(answer.weights)
    assert weights.shape == (3, 2, 7, 7)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-5)
    assert (answer.layers, answer.heads, answer.causal) == ([0, 1, 2], [0, 1], False)


@pytest.mark.parametrize("unit", ["word", "subword"])
def test_a_causal_model_sees_no_future(client: TestClient, unit: str) -> None:
    answer = client.post("/v1/attention", json={"text": TEXT, "model": "causal", "unit": unit}).json()
    assert answer["causal"] is True
    weights = np.array(answer["weights"])
    assert (weights[..., *np.triu_indices(7, k=1)] == 0).all()
    assert (weights[..., *np.tril_indices(7)] > 0).all()


def test_layers_and_heads_are_those_asked_for(client: TestClient) -> None:
    answer = client.post("/v1/attention", json={"text": TEXT, "layers": [2, 0], "heads": [1]}).json()
    assert (answer["layers"], answer["heads"]) == ([2, 0], [1])
    assert np.shape(answer["weights"]) == (2, 1, 7, 7)


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"layers": [0, 3]}, "/layers/1"),
        ({"heads": [2]}, "/heads/0"),
        ({"layers": [-1]}, "/layers/0"),
        ({"layers": [1, 1]}, "/layers"),
        ({"layers": []}, "/layers"),
        ({"layers": [1.5]}, "/layers/0"),
        ({"heads": [True]}, "/heads/0"),
        ({"unit": "letter"}, "/unit"),
        ({"model": "gpt-9"}, "/model"),
        ({"text": ""}, "/text"),
        ({"text": " \n"}, "/text"),
        ({"text": "\ud800"}, "/text"),
        ({"text": "word " * 500}, "/text"),
        ({"text": None}, "/text"),
        ({"colour": "red"}, "/colour"),
    ],
)
def test_bad_input_is_pointed_at(client: TestClient, more: dict[str, object], pointer: str) -> None:
    import json

    body = json.dumps({"text": TEXT} | more)
    problem(client.post("/v1/attention", content=body, headers={"content-type": "application/json"}), 422, pointer)


def test_too_large_an_answer_says_what_to_choose(make_client: MakeClient) -> None:
    client = make_client(max_attention_cells=7 * 7)
    told = problem(client.post("/v1/attention", json={"text": TEXT}), 413, "/layers")
    assert "294" in told["detail"], "3 layers x 2 heads x 7 x 7"
    assert "layers or heads" in told["remedy"]
    fits = client.post("/v1/attention", json={"text": TEXT, "layers": [0], "heads": [0]})
    assert fits.status_code == 200
    problem(client.post("/v1/attention", json={"text": TEXT, "layers": [0]}), 413, "/heads")
    problem(client.post("/v1/attention", json={"text": TEXT + " side", "layers": [0], "heads": [0]}), 413, "/text")


def test_a_long_text_is_413(make_client: MakeClient) -> None:
    problem(make_client(max_characters=10).post("/v1/attention", json={"text": TEXT}), 413, "/text")
