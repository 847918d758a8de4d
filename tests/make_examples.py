"""`make examples`: writes service/api/examples.json, an answer of every route, as a real service gives it.

Rows of numbers are cut to the first three. Routes are walked in the order of what they need of one another.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from analysis.catalogue import resolve
from analysis.lesson import PARTS
from analysis.model.encoder import load
from service.app import create_app
from service.settings import Settings
from service.store import Store

WHERE = Path(__file__).parents[1] / "service" / "api" / "examples.json"
TEXTS = ["I went to the bank to deposit money.", "The bank lent us the money for the house.",
         "I sat by the bank watching the river.", "The river rose over the bank."]  # fmt: skip
LABELLED = [{"text": text, "label": "money" if "money" in text else "river"} for text in TEXTS]
ASK = {"target": "bank", "texts": TEXTS}
MODEL_ID, ANALYSIS_ID = "{model_id}", "{analysis_id}"


def walk() -> list[tuple[str, str, Any]]:
    """(method, path, body) of each request."""
    model = f"/v1/sense-models/{MODEL_ID}"
    analysis = f"/v1/analyses/{ANALYSIS_ID}"
    return [
        ("post", "/v1/embeddings", ASK | {"texts": TEXTS[:1]}),
        ("post", "/v1/openai/embeddings", {"input": TEXTS[:1], "model": "minilm"}),
        ("post", "/v1/attention", {"text": "the bank", "layers": [0], "heads": [0]}),
        ("post", "/v1/compare", ASK | {"pairs": 1}),
        ("post", "/v1/senses", ASK),
        ("post", "/v1/disambiguate", {"texts": TEXTS[2:3], "target": "bank", "pos": "n"}),
        ("get", f"{analysis}.csv", None),
        ("post", "/v1/sense-models", ASK | {"texts": LABELLED}),
        ("get", "/v1/sense-models", None),
        ("get", model, None),
        ("post", f"{model}/assign", {"texts": ["The bank refused my loan."]}),
        ("post", f"{model}/rename", {"sense": "s0", "label": "money"}),
        ("post", f"{model}/merge", {"senses": ["s0", "s1"]}),
        ("post", f"{model}/split", {"sense": "s0", "n_senses": 2}),
        ("post", "/v1/attributions", {"sense_model": MODEL_ID, "text": "The bank refused my loan."}),
        ("put", f"{model}.safetensors", "the file"),
        ("get", "/v1/lesson", None),
        *(("get", f"/v1/lesson/{part}", None) for part in PARTS),
        ("post", "/v1/lesson/exercise", {"answer": "Any two words are one step apart, so gradients do not vanish."}),
        ("get", "/v1/models", None),
        ("get", "/livez", None),
        ("get", "/readyz", None),
    ]


def shortened(value: Any) -> Any:
    """Rows of numbers cut to the first three."""
    if isinstance(value, dict):
        return {key: shortened(held) for key, held in value.items()}
    if isinstance(value, list):
        return value[:3] if len(value) > 8 and isinstance(value[0], float) else [shortened(held) for held in value]
    return value


def answers(client: TestClient) -> dict[str, Any]:
    """What each request gets, by method and path."""
    ids: dict[str, str] = {}
    found: dict[str, Any] = {}
    for method, path, body in walk():
        address = path
        sent: dict[str, Any] = {} if body is None else {"json": body}
        for name, made in ids.items():
            address = address.replace(name, made)
            if isinstance(body, dict):
                sent = {"json": json.loads(json.dumps(body).replace(name, made))}
        if method == "put":
            sent = {"content": client.get(address).content}
        answer = client.request(method, address, **sent)
        assert answer.status_code < 300, answer.text
        made = answer.json() if "json" in answer.headers["content-type"] else answer.text
        if path in ("/v1/senses", "/v1/sense-models") and method == "post":
            ids[ANALYSIS_ID if path == "/v1/senses" else MODEL_ID] = made["id"]
        found[f"{method} {path}"] = shortened(made)
    return found


def main() -> None:
    settings = Settings(model="minilm", models=("minilm",))
    encoder = load(resolve("minilm", settings.home))
    app = create_app(settings, encoders={"minilm": encoder}, store=Store("sqlite://"), quick_lesson=True)
    with TestClient(app) as client:
        rows = [f"{json.dumps(name)}: {json.dumps(made, ensure_ascii=False)}" for name, made in answers(client).items()]
        WHERE.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
