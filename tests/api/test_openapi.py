"""The API's description is what it was: a change to it is seen in the diff of a file. And it has examples of all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from starlette.testclient import TestClient

SNAPSHOT = Path(__file__).parents[1] / "golden" / "openapi.json"
BINARY = {
    "application/vnd.apache.parquet",
    "application/octet-stream",
    "text/html",
    "text/plain",
    "image/svg+xml",
    "image/png",
}


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def test_the_description_is_as_it_was(document: dict[str, Any]) -> None:
    shown = json.dumps(bare(document | {"info": {}}), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if os.environ.get("POLYSEME_WRITE_SNAPSHOT"):
        SNAPSHOT.write_text(shown, encoding="utf-8")
    assert shown == SNAPSHOT.read_text(encoding="utf-8"), "if this change is meant: make examples"


def bare(node: Any) -> Any:
    """Without the examples of answers, which have a file of their own."""
    if isinstance(node, dict):
        return {key: bare(held) for key, held in node.items() if key != "example"}
    return [bare(held) for held in node] if isinstance(node, list) else node


def test_every_route_and_every_error_has_an_example_that_is_right(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            for status, response in operation["responses"].items():
                for media_type, content in response.get("content", {}).items():
                    if media_type in BINARY or status == "default":
                        continue
                    assert "example" in content, f"{where} {status}: make examples"
                    assert_right(content["example"], content["schema"], document, where)
            if body := operation.get("requestBody", {}).get("content", {}).get("application/json"):
                example = resolved(body["schema"], document)["examples"][0]
                assert_right(example, body["schema"], document, where)
            for parameter in operation.get("parameters", ()):
                described = {"examples", "default"} & (parameter.keys() | parameter["schema"].keys())
                assert described or parameter["in"] != "path", (where, parameter["name"])


def resolved(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return found


def assert_right(example: Any, schema: dict[str, Any], document: dict[str, Any], where: str) -> None:
    validator = jsonschema_rs.validator_for({**schema, "components": document["components"]})
    errors = [f"{where}: {error.message[:300]}" for error in validator.iter_errors(example)]
    assert errors == []
