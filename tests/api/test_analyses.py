"""POST /v1/senses and /v1/compare, and the reports of what they found."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from pyarrow import BufferReader, parquet
from starlette.testclient import TestClient

from analysis import record, report
from tests.api.conftest import MONEY, RIVER, MakeClient, problem

ASK = {"target": "bank", "texts": RIVER + MONEY}


def post(client: TestClient, path: str = "/v1/senses", **more: Any) -> dict[str, Any]:
    response = client.post(path, json=ASK | more)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def test_two_groups_of_sentences_are_two_senses_driven_by_their_words(client: TestClient) -> None:
    found = post(client)
    assert found["verdict"] == "several senses"
    senses = [usage["sense"] for usage in found["usages"]]
    assert len(set(senses[:4])) == len(set(senses[4:])) == 1
    assert senses[0] != senses[4]
    words = {sense["id"]: {driver["word"] for driver in sense["drivers"]} for sense in found["senses"]}
    assert words[senses[0]] <= {"river", "water", "fish", "the"}
    assert "river" in words[senses[0]]
    assert "money" in words[senses[4]]


def test_the_answer_is_the_records_own_json_and_is_kept(client: TestClient) -> None:
    response = client.post("/v1/senses", json=ASK)
    analysis = record.from_json(response.content)
    assert response.text == record.to_json(analysis)
    assert response.headers["content-type"] == "application/json"
    assert response.headers["content-location"] == f"/v1/analyses/{analysis.id}"
    assert client.get(response.headers["content-location"]).content == response.content


def test_the_same_request_is_the_same_analysis(client: TestClient) -> None:
    assert post(client) == post(client)
    assert post(client)["id"] != post(client, seed=1)["id"]


def test_options_reach_the_library(client: TestClient) -> None:
    found = post(client, n_senses=3, drivers="none", match="exact", seed=7)
    assert len(found["senses"]) == 3
    assert all(usage["drivers"] is None for usage in found["usages"])
    made = found["provenance"]
    assert (made["n_senses"], made["drivers"], made["match"], made["seed"]) == (3, "none", "exact", 7)
    assert post(client, explained=2, budget=1)["provenance"]["explained"] == 2
    assert max(len(usage["drivers"] or ()) for usage in post(client, budget=1)["usages"]) == 1
    assert post(client, drivers="occlusion-mask")["provenance"]["operator"] == "mask"
    lemma = post(client, drivers="gates", driver_form="lemma", faithfulness=3)
    assert [lemma["provenance"][name] for name in ("drivers", "driver_form", "faithfulness")] == ["gates", "lemma", 3]
    assert [(f["method"], f["n"]) for f in lemma["faithfulness"] if f["level"] == "analysis"] == [("gates", 3)] * 2
    assert post(client, faithfulness=0)["faithfulness"] is None


def test_texts_may_have_ids_and_spans(client: TestClient) -> None:
    texts = [
        {"text": "a bank and the bank", "id": "own", "spans": [[15, 19]]},
        {"text": "no such word, but a shore", "spans": [[20, 25]]},
        "🏦 the bank",
    ]
    usages = client.post("/v1/senses", json={"target": "bank", "texts": texts}).json()["usages"]
    assert [(u["source_id"], u["start"], u["end"]) for u in usages] == [("own", 15, 19), ("2", 20, 25), ("3", 6, 10)]


def test_a_text_without_the_target_is_named_and_left_out(client: TestClient) -> None:
    warnings = {warning["kind"]: warning for warning in post(client, texts=[*RIVER, "nothing of the kind"])["warnings"]}
    assert warnings["target-missing"]["source_ids"] == ["5"]
    assert set(warnings) <= {"target-missing", "lexicon-missing"}


@pytest.mark.parametrize("path", ["/v1/senses", "/v1/compare"])
def test_one_usage_is_answered_not_refused(client: TestClient, path: str) -> None:
    assert post(client, path, texts=["the bank"])["verdict"] == "too little data"


def test_control_characters_in_a_text_are_read(client: TestClient) -> None:
    texts = ["the bank\0 and\ttabs", "a bank\r\n\x1b[31m", *RIVER]
    assert [usage["text"] for usage in post(client, texts=texts)["usages"]] == texts


def test_compare_lists_pairs_and_no_drivers(client: TestClient) -> None:
    found = post(client, "/v1/compare")
    assert [layer["layer"] for layer in found["static"]["layers"]] == ["static", 0, 1, 2, 3]
    pairs = found["static"]["pairs"]
    assert len(pairs) == 28
    assert all(pair["static"] == 1 for pair in pairs), "one form has one static vector"
    assert all(len(pair["layers"]) == 4 for pair in pairs)
    apart = [pair["layers"][-1] for pair in pairs if not pair["same_sense"]]
    assert max(apart) < min(pair["layers"][-1] for pair in pairs if pair["same_sense"])
    assert all(usage["drivers"] is None for usage in found["usages"])
    assert len(post(client, "/v1/compare", pairs=5)["static"]["pairs"]) == 5
    assert client.get(f"/v1/analyses/{found['id']}").json() == found


def test_what_was_made_is_listed_newest_first(client: TestClient) -> None:
    made = [post(client, seed=seed) for seed in range(3)]
    page = client.get("/v1/analyses?limit=2").json()
    assert [one["id"] for one in page["analyses"]] == [made[2]["id"], made[1]["id"]]
    assert set(page["analyses"][0]) == {"id", "target", "model", "verdict", "created", "usages", "senses"}
    assert (page["analyses"][0]["usages"], page["analyses"][0]["senses"]) == (8, 2)
    last = client.get("/v1/analyses", params={"cursor": page["next"]}).json()
    assert ([one["id"] for one in last["analyses"]], last["next"]) == ([made[0]["id"]], None)
    for query in ("limit=0", "limit=1001", "cursor=x"):
        problem(client.get(f"/v1/analyses?{query}"), 422)


def test_reports_hold_the_analysis_that_was_made(client: TestClient) -> None:
    made = client.post("/v1/senses", json=ASK)
    analysis = record.from_json(made.content)
    at = f"/v1/analyses/{analysis.id}"

    as_json = client.get(f"{at}.json")
    assert as_json.headers["content-type"] == "application/json"
    assert as_json.headers["content-disposition"] == f'attachment; filename="polyseme-{analysis.id}.json"'
    assert as_json.content == made.content

    as_csv = client.get(f"{at}.csv")
    assert as_csv.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert as_csv.headers["content-disposition"].endswith('.csv"')
    rows = list(csv.DictReader(io.StringIO(as_csv.text, newline="")))
    assert [row["keyword"] for row in rows] == ["bank"] * 8
    assert [row["sense"] for row in rows] == [usage.sense for usage in analysis.usages]

    as_parquet = client.get(f"{at}.parquet")
    assert as_parquet.headers["content-type"] == "application/vnd.apache.parquet"
    assert as_parquet.headers["content-disposition"].endswith('.parquet"')
    assert parquet.read_table(BufferReader(as_parquet.content)).to_pylist() == report.rows(analysis)


def test_delete_forgets_all_forms(client: TestClient) -> None:
    at = f"/v1/analyses/{post(client)['id']}"
    gone = client.delete(at)
    assert (gone.status_code, gone.content) == (204, b"")
    for ending in ("", ".json", ".html", ".csv", ".parquet", ".svg", ".png", "/charts"):
        problem(client.get(at + ending), 404)
    problem(client.delete(at), 404)


@pytest.mark.parametrize(
    "name", ["nothing", "nothing.json", "nothing.svg", "%00", "%2e%2e%2fetc", "a%27%20OR%201=1", "é"]
)
def test_an_analysis_that_is_not_there(client: TestClient, name: str) -> None:
    problem(client.get(f"/v1/analyses/{name}"), 404)


def test_a_database_that_fails_is_503_and_texts_are_not_told_nor_logged(
    make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    from service.store import METADATA, Store

    store = Store("sqlite://")
    client = make_client(store=store)
    METADATA.drop_all(store._engine)
    told = problem(client.post("/v1/senses", json=ASK), 503)
    assert "river" not in str(told)
    assert "INSERT" not in str(told)
    assert "no such table" in caplog.text
    assert "river" not in caplog.text
    problem(client.get("/readyz"), 503)
