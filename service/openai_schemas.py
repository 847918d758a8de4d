"""Requests and answers of POST /v1/openai/embeddings, as OpenAI's API reference has them (embeddings, create)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, JsonValue

from service.schemas import Count, Name, Request, Text
from service.settings import MOST_TEXTS

SENTENCES: list[JsonValue] = ["I went to the bank to deposit money.", "I sat by the bank watching the river."]


class OpenAIEmbeddingsRequest(Request):
    """Whole sentences. Lists of token numbers are not taken: they would be those of another model."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"input": SENTENCES, "model": "mpnet"}]})

    input: Text | Annotated[list[Text], Field(fail_fast=True, min_length=1, max_length=MOST_TEXTS)] = Field(
        description="a text, or a list of them", examples=[SENTENCES]
    )
    model: Name = Field(description="a name of GET /v1/models", examples=["mpnet"])
    encoding_format: Literal["float", "base64"] = Field(
        default="float", description='"base64": the bytes of little-endian float32'
    )
    dimensions: Count | None = Field(default=None, description="the model's own width, or nothing: it has no other")
    user: Text | None = Field(default=None, description="taken for the sake of clients that send it, and not used")


class OpenAIEmbedding(Request):
    """The vector of one text, of length 1."""

    object: Literal["embedding"]
    index: int = Field(description="the place of the text in `input`")
    embedding: list[float] | str = Field(description="the numbers, or their bytes in base64")


class OpenAIUsage(Request):
    """What was read, in the model's own subwords."""

    prompt_tokens: int
    total_tokens: int


class OpenAIEmbeddings(Request):
    """The vectors, in the order of the texts."""

    object: Literal["list"]
    data: list[OpenAIEmbedding]
    model: str
    usage: OpenAIUsage
