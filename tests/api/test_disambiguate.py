"""POST /v1/disambiguate, and names of senses, with real WordNet and an encoder without weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from analysis.lexicon.wordnet import Lexicon
from tests.api.conftest import MONEY, RIVER, MakeClient, problem

TEXT = "the bank of the river rose"


@pytest.fixture
def with_lexicon(make_client: MakeClient, lexicon: Lexicon) -> TestClient:
    return make_client()


@pytest.fixture
def without(make_client: MakeClient, tmp_path: Path) -> TestClient:
    return make_client(home=tmp_path)


def ask(client: TestClient, **body: Any) -> Any:
    return client.post("/v1/disambiguate", json={"texts": [TEXT], **body})


def test_a_target_is_ranked_and_explained(with_lexicon: TestClient) -> None:
    answer = ask(with_lexicon, target="bank", pos="n")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["model"], found["dictionary"], found["method"]) == ("fake", "WordNet 3.0", "glosses")
    (usage,) = found["usages"]
    assert TEXT[usage["start"] : usage["end"]] == "bank"
    assert usage["candidates"] == 10
    chances = [sense["probability"] for sense in usage["senses"]]
    assert chances == sorted(chances, reverse=True)
    assert sum(chances) == pytest.approx(1, abs=1e-5)
    assert {driver["word"] for driver in usage["drivers"]} <= set(TEXT.split())
    # One reading of the text, one for each word left out, and the dictionary's.
    assert found["passes"] > 1 + len(usage["drivers"])


def test_spans_and_every_content_word(with_lexicon: TestClient) -> None:
    texts = [{"text": TEXT, "id": "mine", "spans": [[16, 21]]}, TEXT]
    usages = ask(with_lexicon, texts=texts, drivers=False).json()["usages"]
    words = [(usage["source_id"], usage["text"][usage["start"] : usage["end"]]) for usage in usages]
    assert words == [("mine", "river"), ("2", "bank"), ("2", "river"), ("2", "rose")]
    assert usages[0]["drivers"] is None


def test_texts_without_the_target_are_named(with_lexicon: TestClient) -> None:
    found = ask(with_lexicon, texts=[TEXT, "no such word"], target="bank", drivers=False).json()
    assert [(notice["kind"], notice["source_ids"]) for notice in found["warnings"]] == [("target-missing", ["2"])]


def test_below_the_threshold_nothing_is_said(with_lexicon: TestClient) -> None:
    (usage,) = ask(with_lexicon, target="bank", threshold=1).json()["usages"]
    assert usage["sense"] is None
    assert "abstained" in usage["flags"]
    assert usage["senses"]


@pytest.mark.parametrize(
    ("body", "pointer", "told"),
    [
        ({"target": "blorf"}, "/target", "WordNet has no 'blorf'"),
        ({"target": "bank", "pos": "r"}, "/pos", "not as adverb"),
        ({"target": "tree"}, "/target", "is not in the 1 text given"),
        ({"target": "bank", "pos": "x"}, "/pos", ""),
        ({"texts": [{"text": TEXT, "spans": [[4, 8], [0, 99]]}]}, "/texts/0/spans/1", "is not inside text 1"),
        ({"texts": [TEXT, {"text": "a blorf", "spans": [[2, 7]]}]}, "/texts/1/spans/0", "WordNet has no 'blorf'"),
        ({"texts": ["of the"]}, "/texts", "no word of the texts"),
        ({"target": "bank", "budget": 0}, "/budget", ""),
        ({"target": "bank", "model": "other"}, "/model", "there is no model"),
    ],
)
def test_what_is_wrong_is_pointed_at(with_lexicon: TestClient, body: Any, pointer: str, told: str) -> None:
    assert told in problem(ask(with_lexicon, **body), 422, pointer)["detail"]


def test_too_many_words(make_client: MakeClient, lexicon: Lexicon) -> None:
    problem(ask(make_client(max_usages=2)), 413, "/texts")


def test_without_the_dictionary(without: TestClient) -> None:
    told = problem(ask(without, target="bank"), 503)
    assert told["remedy"] == "run `polyseme lexicon pull`"
    analysis = without.post("/v1/senses", json={"target": "bank", "texts": RIVER + MONEY}).json()
    assert [sense["lexicon"] for sense in analysis["senses"]] == [None, None]
    assert [notice["kind"] for notice in analysis["warnings"]] == ["lexicon-missing"]


def test_senses_have_names(with_lexicon: TestClient) -> None:
    analysis = with_lexicon.post("/v1/senses", json={"target": "bank", "texts": RIVER + MONEY}).json()
    assert analysis["warnings"] == []
    for sense in analysis["senses"]:
        assert len(sense["lexicon"]) <= 3
        for entry in sense["lexicon"]:
            assert entry.keys() == {"synset", "key", "gloss", "score", "examples"}
            assert 0 <= entry["score"] <= 1
    unknown = with_lexicon.post("/v1/senses", json={"target": "blorf", "texts": ["a blorf", "the blorf"]}).json()
    assert [sense["lexicon"] for sense in unknown["senses"]] == [[]] * len(unknown["senses"])
