"""Examples in the API's description: an answer of every route (examples.json, real ones), and of every error."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from service.problems import MEDIA_TYPE, plain

# Routes that answer as another does.
LIKE = {
    "get /v1/analyses/{analysis_id}": "post /v1/senses",
    "get /v1/analyses/{analysis_id}.json": "post /v1/senses",
}
WHAT_IS_WRONG: dict[str, tuple[str, str, str | None]] = {
    "400": ("the body is not JSON: Expecting value at character 0", "send one JSON object", ""),
    "401": ("this service wants an API key, and the request has none that it knows", "send a key", None),
    "404": ("there is no analysis '0123456789abcdef0123'", "POST /v1/senses makes one and tells its id", None),
    "408": ("the body took more than 30 s to arrive", "send it faster", None),
    "409": ("the sense model was made with 'mpnet'; this service has minilm", "make it anew with one of them", None),
    "413": ("there are 5,000 texts; the limit is 1,000", "send them in parts", "/texts"),
    "415": ("the body is said to be 'text/plain'", "send the header Content-Type: application/json", None),
    "422": ("'zebra' is not in the 1 text given", "give the form that stands in the texts, or spans", "/target"),
    "429": ("more requests a minute than the service allows", "try again in 12 s", None),
    "503": ("256 requests wait for the model, as many as may", "try again in 5 s", None),
}


def add(path: str, method: str, operation: dict[str, Any]) -> None:
    """Put the examples into an operation of the description."""
    for status, response in operation["responses"].items():
        for media_type, content in response.get("content", {}).items():
            if "example" in content:  # the route has its own
                continue
            example = _problem(status) if media_type == MEDIA_TYPE else _answer(f"{method} {path}")
            if example is not None:
                content["example"] = example


def _answer(route: str) -> Any:
    return _answers().get(LIKE.get(route, route))


@cache
def _answers() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files("service.api").joinpath("examples.json").read_text(encoding="utf-8"))
    return found


def _problem(status: str) -> dict[str, Any] | None:
    if status not in WHAT_IS_WRONG:
        return None
    detail, remedy, pointer = WHAT_IS_WRONG[status]
    return plain(int(status), detail, remedy=remedy, pointer=pointer).model_dump(exclude_none=True)
