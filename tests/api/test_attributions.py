"""/v1/attributions: one text explained against a sense model."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.conftest import MONEY, RIVER, MakeClient, problem
from tests.fake import FakeEncoder

ASK = {"target": "bank", "texts": RIVER + MONEY}
LABELLED = [{"text": text, "label": name} for name, texts in (("r", RIVER), ("m", MONEY)) for text in texts]


def made(client: TestClient, **more: Any) -> dict[str, Any]:
    response = client.post("/v1/sense-models", json=ASK | more)
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    return answer


def explained(client: TestClient, model_id: str, text: Any, **more: Any) -> dict[str, Any]:
    response = client.post("/v1/attributions", json={"sense_model": model_id, "text": text} | more)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    assert answer["sense_model"] == model_id
    return answer


@pytest.mark.parametrize("texts", [ASK["texts"], LABELLED], ids=["induced", "supervised"])
def test_the_words_of_the_sense_drive_it(client: TestClient, texts: list[Any]) -> None:
    model = made(client, texts=texts)
    answer = explained(client, model["id"], "a bank of river fish")
    (use,) = answer["usages"]
    label = {sense["id"]: sense["label"] for sense in model["senses"]}
    assert use["sense"] == use["explains"] == use["senses"][0]["id"]
    assert label[use["runner_up"]] != label[use["sense"]]
    assert sum(sense["probability"] for sense in use["senses"]) == pytest.approx(1, abs=1e-5)
    assert use["confidence"] == use["senses"][0]["probability"]
    assert use["margin"] == pytest.approx(use["confidence"] - use["senses"][1]["probability"], abs=2e-6)
    assert {driver["word"] for driver in use["drivers"][:2]} == {"river", "fish"}
    assert all(driver["effect"] > 0 for driver in use["drivers"][:2])
    for driver in use["drivers"]:
        assert use["text"][driver["start"] : driver["end"]] == driver["word"]
        assert driver["margin"] == pytest.approx(2 * driver["effect"], abs=3e-6), "of two senses, one's loss is a gain"
    assert answer["method"] == "occlusion"
    assert answer["passes"] <= 1 + 9


def test_a_usage_of_the_model_is_explained_without_itself(client: TestClient) -> None:
    model = made(client)
    (known,) = explained(client, model["id"], RIVER[0])["usages"]
    analysis = client.post("/v1/senses", json=ASK).json()
    (own,) = [use for use in analysis["usages"] if use["text"] == RIVER[0]]
    assert known["flags"] == ["known"]
    assert known["confidence"] == pytest.approx(own["confidence"], abs=1e-4)
    assert [driver["word"] for driver in known["drivers"]] == [driver["word"] for driver in own["drivers"]]


def test_where_the_model_abstains_the_nearest_sense_is_explained(client: TestClient) -> None:
    model = made(client, texts=LABELLED)
    (sure,) = explained(client, model["id"], "the bank river money loan")["usages"]
    (use,) = explained(client, model["id"], "the bank river money loan", threshold=1)["usages"]
    assert (use["sense"], use["explains"], use["drivers"]) == (None, sure["explains"], sure["drivers"])
    assert set(use["flags"]) & {"abstained", "none-of-these"}


def test_a_text_of_nothing_but_the_target(client: TestClient) -> None:
    (use,) = explained(client, made(client)["id"], "Bank!")["usages"]
    assert use["drivers"] == []
    assert "no-context" in use["flags"]


def test_spans_choose_the_usage(client: TestClient) -> None:
    answer = explained(client, made(client)["id"], {"text": "bank river, bank money", "spans": [[12, 16]]})
    assert [(use["start"], use["end"]) for use in answer["usages"]] == [(12, 16)]


@pytest.mark.parametrize(
    ("more", "pointer", "told"),
    [
        ({"drivers": "magic"}, "/drivers", "integrated-gradients"),
        ({"drivers": "none"}, "/drivers", "occlusion"),
        ({"drivers": "attention:9"}, "/drivers", "0 to 2"),
        ({"budget": 0}, "/budget", ""),
        ({"text": "no such word"}, "/text", ""),
        ({"text": {"text": "bank", "spans": [[0, 9]]}}, "/text/spans/0", "0 <= start"),
        ({"threshold": 2}, "/threshold", ""),
        ({"typo": 1}, "/typo", ""),
    ],
)
def test_what_is_wrong_is_pointed_at(client: TestClient, more: dict[str, Any], pointer: str, told: str) -> None:
    ask = {"sense_model": made(client)["id"], "text": "bank river"} | more
    found = problem(client.post("/v1/attributions", json=ask), 422, pointer)
    assert told in str(found["errors"][0]["remedy"])


def test_an_unknown_sense_model(client: TestClient) -> None:
    problem(client.post("/v1/attributions", json={"sense_model": "0" * 20, "text": "bank"}), 404)


def test_a_decoder_has_no_mask_to_occlude_by(make_client: MakeClient) -> None:
    client = make_client({"fake": FakeEncoder(causal=True)})
    ask = {"sense_model": made(client)["id"], "text": "bank river", "drivers": "occlusion-mask"}
    told = problem(client.post("/v1/attributions", json=ask), 422, "/drivers")
    assert "gates" in told["errors"][0]["remedy"]
    assert "occlusion-mask" not in told["errors"][0]["remedy"]
