from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

from starlette.testclient import TestClient

from analysis.errors import ModelNotPulled
from service.api.docs import as_3_0
from service.encoders import Encoders
from service.settings import Settings
from service.store import Store
from tests.api.conftest import MONEY, RIVER, MakeClient, problem
from tests.fake import FakeEncoder

ASK = {"target": "bank", "texts": RIVER}


class Slow(FakeEncoder):
    """Begins to work, and ends when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.finish, self.calls = Event(), Event(), 0

    def encode(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        self.begun.set()
        assert self.finish.wait(10)
        return super().encode(*args, **kwargs)


def test_work_does_not_hold_up_the_event_loop(make_client: MakeClient) -> None:
    slow = Slow()
    client = make_client({"fake": slow})
    with ThreadPoolExecutor() as pool:
        first = pool.submit(client.post, "/v1/senses", json=ASK)
        assert slow.begun.wait(10)
        second = pool.submit(client.post, "/v1/embeddings", json=ASK)
        try:
            shared = client.app.state.services.shared  # type: ignore[attr-defined]
            while not shared.waiting():
                assert not second.done(), second.result().text
            assert client.get("/livez").json() == {"status": "alive"}
            assert client.get("/v1/models").status_code == 200
            # What is wrong with the texts is told while the model is busy.
            problem(client.post("/v1/senses", json=ASK | {"target": "zebra"}), 422, "/target")
            assert not first.done()
            assert not second.done()
            assert slow.calls == 1, "the second waits for its turn"
        finally:
            slow.finish.set()
        assert (first.result(10).status_code, second.result(10).status_code) == (200, 200)


def test_ready_means_that_the_model_read_a_text(make_client: MakeClient) -> None:
    encoder = FakeEncoder()
    client = make_client({"fake": encoder})
    assert client.get("/readyz").json() == {"status": "ready"}
    assert encoder.asked == [1]


def test_not_ready_without_its_model(make_client: MakeClient) -> None:
    class Broken(FakeEncoder):
        def encode(self, *args: Any, **kwargs: Any) -> Any:
            raise RuntimeError("secret")

    def missing(name: str) -> FakeEncoder:
        raise ModelNotPulled("no /home/secret", remedy="polyseme models pull")

    for encoders in ({"fake": Broken()}, Encoders(["fake"], missing), {"other": FakeEncoder()}):
        client = make_client(encoders)
        assert client.get("/livez").status_code == 200
        assert "secret" not in str(problem(client.get("/readyz"), 503))


def test_models_are_listed_with_limits_and_not_loaded(make_client: MakeClient) -> None:
    client = make_client(Encoders(["fake", "causal"], lambda name: FakeEncoder(causal=name == "causal")), max_texts=5)
    listed = client.get("/v1/models").json()
    assert [(model["name"], model["default"], model["loaded"]) for model in listed["models"]] == [
        ("fake", True, False),
        ("causal", False, False),
    ]
    assert listed["limits"] == {
        "max_body_bytes": 2_000_000,
        "max_texts": 5,
        "max_characters": 100_000,
        "max_usages": 2_000,
        "max_vector_values": 2_000_000,
        "max_attention_cells": 2_000_000,
        "max_upload_bytes": 50_000_000,
        "max_job_texts": 20_000,
        "max_job_usages": 20_000,
    }
    assert client.post("/v1/attention", json={"text": "the bank", "model": "causal"}).json()["causal"]
    causal = client.get("/v1/models").json()["models"][1]
    assert (causal["loaded"], causal["layers"], causal["heads"], causal["width"]) == (True, 3, 2, 24)
    assert (causal["window"], causal["causal"], causal["source"]) == (64, True, "tests")


def test_a_model_that_is_not_pulled_is_503(make_client: MakeClient) -> None:
    def missing(name: str) -> FakeEncoder:
        raise ModelNotPulled(f"{name} is not in /home/secret", remedy=f"polyseme models pull {name}")

    client = make_client(Encoders(["fake"], missing))
    told = problem(client.post("/v1/senses", json=ASK), 503)
    assert "secret" not in str(told)
    assert "polyseme models pull fake" in told["remedy"]


def test_the_documentation_needs_no_other_server(client: TestClient) -> None:
    page = client.get("/docs")
    assert "://" not in page.text
    assert "'sha256-" in page.headers["content-security-policy"]
    for name, kind in (("swagger-ui-bundle.js", "javascript"), ("swagger-ui.css", "css"), ("favicon-32x32.png", "png")):
        assert f"docs/static/{name}" in page.text
        assert kind in client.get(f"/docs/static/{name}").headers["content-type"]


def test_the_description_is_whole(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    posts = {path for path, operations in document["paths"].items() if "post" in operations}
    at = "/v1/sense-models/{model_id}"
    edits = {f"{at}/{verb}" for verb in ("assign", "rename", "merge", "split")}
    asked = {
        "senses",
        "compare",
        "attention",
        "embeddings",
        "openai/embeddings",
        "attributions",
        "disambiguate",
        "sense-models",
        "jobs",
        "lesson/exercise",
    }
    assert posts == {*(f"/v1/{name}" for name in asked), *edits}
    schemas = document["components"]["schemas"]
    model_id = client.post("/v1/sense-models", json={"target": "bank", "texts": RIVER + MONEY}).json()["id"]
    for path in posts:
        name = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        example = schemas[name.rsplit("/", 1)[1]]["examples"][0]
        most = {"layers": [0], "heads": [0]} if "layers" in example else {}
        most |= {"model": "fake"} if example.get("model") else {}
        most |= {"sense_model": model_id} if "sense_model" in example else {}
        body = {**example, **{k: v for k, v in most.items() if k in example}}
        done = client.post(path.format(model_id=model_id), json=body).status_code
        assert str(done) in document["paths"][path]["post"]["responses"]
        assert done in (200, 201, 202)
    for operations in document["paths"].values():
        for operation in operations.values():
            assert operation["description"]
            for status, response in operation["responses"].items():
                if status == "default" or int(status) >= 400:
                    assert list(response["content"]) == ["application/problem+json"]
    assert "HTTPValidationError" not in schemas
    assert schemas["Analysis"]["required"][:4] == ["schema_version", "id", "target", "verdict"]


def test_the_page_gets_the_description_in_terms_it_knows(client: TestClient) -> None:
    def nodes(value: Any) -> Any:
        if isinstance(value, dict | list):
            yield value
            for item in value.values() if isinstance(value, dict) else value:
                yield from nodes(item)

    document = client.get("/docs/openapi.json").json()
    assert document["openapi"] == "3.0.3"
    assert not any(isinstance(node, dict) and node.get("type") == "null" for node in nodes(document))
    assert as_3_0({"anyOf": [{"type": "integer"}, {"type": "null"}], "title": "N"}) == {
        "type": "integer",
        "nullable": True,
        "title": "N",
    }


def test_importing_the_service_does_not_import_torch() -> None:
    code = "import sys, service.app; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_build_wires_the_settings(tmp_path: Any) -> None:
    from service.app import build

    app = build(Settings(home=tmp_path / "home", model="one", models=("two", "one")))
    with TestClient(app) as client:
        assert [model["name"] for model in client.get("/v1/models").json()["models"]] == ["one", "two"]
        assert (tmp_path / "home" / "polyseme.db").exists()
        problem(client.post("/v1/senses", json=ASK | {"model": "/etc"}), 422, "/model")


def test_the_store_is_closed_at_the_end(make_client: MakeClient) -> None:
    class Watched(Store):
        closed = False

        def close(self) -> None:
            self.closed = True
            super().close()

    from service.app import create_app

    store = Watched("sqlite://")
    with TestClient(create_app(Settings(model="fake"), encoders={"fake": FakeEncoder()}, store=store)):
        assert not store.closed
    assert store.closed
