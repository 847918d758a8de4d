"""Whole sentences in OpenAI's shape, asked for by OpenAI's own client."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import openai
import pytest
from starlette.testclient import TestClient

from service import keys
from service.openai_schemas import OpenAIEmbeddings
from tests.api.conftest import MakeClient, problem
from tests.fake import FakeEncoder

TEXTS = ["I went to the bank to deposit money.", "I sat by the bank.", "Fish swim."]
PATH = "/v1/openai/embeddings"


def theirs(client: TestClient, key: str = "none") -> openai.OpenAI:
    """OpenAI's client over the app: the only thing that is not its own is the way to it."""
    return openai.OpenAI(base_url="http://testserver/v1/openai", api_key=key, http_client=client, max_retries=0)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", [{}, {"encoding_format": "float"}, {"encoding_format": "base64"}])
def test_their_client_gets_the_vectors(client: TestClient, form: Any) -> None:
    answer = theirs(client).embeddings.create(model="fake", input=TEXTS, **form)
    expected = FakeEncoder().sentences(TEXTS)
    assert [one.index for one in answer.data] == [0, 1, 2]
    vectors = [
        np.frombuffer(base64.b64decode(v), dtype="<f4") if isinstance(v := one.embedding, str) else v
        for one in answer.data
    ]
    np.testing.assert_allclose(vectors, expected.vectors, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == expected.n_subwords
    assert (answer.object, answer.model) == ("list", "fake")


def test_one_text_is_as_good_as_a_list_of_one(client: TestClient) -> None:
    one, several = (theirs(client).embeddings.create(model="fake", input=given) for given in (TEXTS[0], TEXTS[:1]))
    assert one.data[0].embedding == several.data[0].embedding
    OpenAIEmbeddings.model_validate(client.post(PATH, json={"model": "fake", "input": TEXTS}).json())


def test_many_texts_are_read_like_few(client: TestClient) -> None:
    many = [f"sentence number {i}" for i in range(20)]
    answer = theirs(client).embeddings.create(model="fake", input=many)
    np.testing.assert_allclose([one.embedding for one in answer.data], FakeEncoder().sentences(many).vectors, atol=1e-6)


def test_their_client_sends_its_key_and_is_told_what_is_wrong(make_client: MakeClient) -> None:
    key, kept = keys.make("them")
    client = make_client(api_keys=(kept,))
    assert theirs(client, key).embeddings.create(model="fake", input="a bank", user="me", dimensions=24)
    with pytest.raises(openai.AuthenticationError):
        theirs(client).embeddings.create(model="fake", input="a bank")
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        theirs(client, key).embeddings.create(model="gpt-9", input="a bank")
    assert "choose from fake" in problem(refused.value.response, 422, "/model")["remedy"]


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"input": ""}, "/input"),
        ({"input": []}, "/input"),
        ({"input": [" "]}, "/input"),
        ({"input": ["a", ""]}, "/input/1"),
        ({"input": ["a", "!" * 100]}, "/input/1"),
        ({"input": "word " * 100}, "/input"),
        ({"input": [1, 2, 3]}, "/input"),
        ({"input": [[1, 2]]}, "/input"),
        ({"input": None}, "/input"),
        ({"input": "\ud800"}, "/input"),
        ({"model": None}, "/model"),
        ({"model": "../x"}, "/model"),
        ({"encoding_format": "hex"}, "/encoding_format"),
        ({"dimensions": 3}, "/dimensions"),
        ({"dimensions": 0}, "/dimensions"),
        ({"color": 1}, "/color"),
    ],
)
def test_what_is_wrong_is_pointed_at(client: TestClient, more: Any, pointer: str) -> None:
    import json

    content = json.dumps({"model": "fake", "input": "a bank"} | more)
    told = problem(client.post(PATH, content=content, headers={"content-type": "application/json"}), 422)
    assert told["errors"][0]["pointer"].startswith(pointer)


def test_limits(make_client: MakeClient) -> None:
    client = make_client(max_texts=2, max_characters=10, max_vector_values=24)
    for given, pointer in ((TEXTS, "/input"), (["a", "x" * 11], "/input/1"), (["a", "b"], "/input")):
        problem(client.post(PATH, json={"model": "fake", "input": given}), 413, pointer)
