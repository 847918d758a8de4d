"""What operators see: a line and figures for every request, and nothing of what people sent."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from starlette.testclient import TestClient

from analysis.errors import ModelNotPulled
from service import logs
from service.encoders import Encoders
from service.store import Store
from tests.api.conftest import RIVER, MakeClient, problem
from tests.fake import FakeEncoder

SECRET = "zyzzyva"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the service writes, as `polyseme serve` sets it up."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure(stream)
    clients = logging.getLogger("httpx2")  # the test's own client tells each address that it asks
    clients.disabled = True
    yield stream
    clients.disabled = False
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def figures(client: TestClient) -> dict[str, float]:
    text = client.get("/metrics").text
    pairs = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def test_each_request_has_an_id_and_a_line(client: TestClient, log: io.StringIO) -> None:
    answer = client.get("/v1/analyses/0123456789", headers={"X-Request-ID": "my-id.1"})
    assert answer.headers["x-request-id"] == "my-id.1"
    made = client.get("/livez").headers["x-request-id"]
    assert len(made) == 32
    for wrong in ("a b", "x" * 65, "a\tb", "é".encode()):
        given = client.get("/livez", headers={"X-Request-ID": wrong}).headers["x-request-id"]
        assert len(given) == 32
        assert given != made
    first, second = lines(log)[:2]
    assert first["event"] == "request"
    assert (first["method"], first["route"], first["status"]) == ("GET", "/v1/analyses/{analysis_id}", 404)
    assert (first["request_id"], second["request_id"]) == ("my-id.1", made)
    assert first["seconds"] >= 0
    assert first["level"] == "info"


def test_figures_count_by_template_method_and_status(client: TestClient) -> None:
    for path in ("/v1/analyses/a", "/v1/analyses/b", "/v1/analyses/b.html", "/v1/nothing", "/livez"):
        client.get(path)
    client.request("BREW", "/livez")
    client.post("/v1/embeddings", json={"target": "bank", "texts": RIVER})
    client.post("/v1/senses", json={"target": "bank", "texts": RIVER})
    found = figures(client)

    def count(route: str, status: int, method: str = "GET") -> float:
        return found[f'polyseme_requests_total{{method="{method}",route="{route}",status="{status}"}}']

    assert count("/v1/analyses/{analysis_id}", 404) == 2
    assert count("/v1/analyses/{analysis_id}.html", 404) == 1
    assert count("none", 404) == 1
    assert count("/livez", 200) == 1
    assert count("/livez", 405, "other") == 1
    assert count("/v1/embeddings", 200, "POST") == 1
    assert found['polyseme_request_duration_seconds_count{method="POST",route="/v1/senses"}'] == 1
    assert found["polyseme_queue_size"] == 0
    assert found["polyseme_batch_tokens_count"] >= 2
    assert found["polyseme_batch_tokens_sum"] >= sum(len(text.split()) + 2 for text in RIVER)
    assert found["polyseme_inference_duration_seconds_count"] >= 2
    assert "# TYPE polyseme_jobs gauge" in client.get("/metrics").text


def test_nothing_that_people_sent_is_in_logs_or_figures(make_client: MakeClient, log: io.StringIO) -> None:
    class Broken(FakeEncoder):
        def attention(self, text: str) -> Any:
            try:
                raise KeyError(text)
            except KeyError as error:
                raise RuntimeError(f"cannot read {text!r}") from error

    def missing(name: str) -> FakeEncoder:
        raise ModelNotPulled("no /home/someone", remedy="polyseme models pull")

    clients = [make_client(), make_client({"fake": Broken()}), make_client(Encoders(["fake"], missing))]
    for client in clients:
        for path in ("/v1/senses", "/v1/compare", "/v1/embeddings", "/v1/sense-models"):
            client.post(path, json={"target": SECRET, "texts": [f"a {SECRET} {i}" for i in range(4)]})
            client.post(path, json={"target": SECRET, "texts": ["nothing"], SECRET: SECRET, "model": SECRET})
            client.post(path, content=SECRET.encode(), headers={"content-type": SECRET, "X-Request-ID": f"{SECRET} "})
        client.post("/v1/attention", json={"text": f"the {SECRET}"})
        for path in (f"/{SECRET}", f"/v1/analyses/{SECRET}", f"/v1/models?{SECRET}={SECRET}"):
            client.request(SECRET.upper(), path)
            client.get(path, headers={"Authorization": SECRET, "Cookie": SECRET, "Referer": SECRET, "Host": SECRET})
    assert len(lines(log)) > 60
    assert SECRET not in log.getvalue().lower()
    assert all(SECRET not in client.get("/metrics").text.lower() for client in clients)
    broken = next(line for line in lines(log) if line["event"] == "a request failed")
    assert [error["kind"] for error in broken["error"]] == ["RuntimeError", "KeyError"], "but the place is told"
    assert "attention" in broken["error"][0]["at"][-1]
    unavailable = next(line for line in lines(log) if line.get("error", [{}])[0].get("kind") == "ModelUnavailable")
    assert "no /home/someone" in unavailable["error"][1]["what"], "whoever runs the service needs the cause"


def test_other_libraries_write_the_same_form(log: io.StringIO) -> None:
    try:
        raise ValueError(SECRET)
    except ValueError:
        logging.getLogger("some.library").exception("it broke: %s", "here")
    (line,) = lines(log)
    assert (line["event"], line["logger"], line["level"]) == ("it broke: here", "some.library", "error")
    assert line["error"][0]["kind"] == "ValueError"
    assert SECRET not in log.getvalue()


def test_jobs_are_counted_by_status_where_the_database_answers() -> None:
    from service.metrics import Metrics
    from service.store import StoreError

    def gone() -> dict[str, int]:
        raise StoreError("no answer", remedy="wait")

    for jobs, expected in ((lambda: {"queued": 2, "done": 1}, 2), (gone, 0)):
        metrics = Metrics()
        metrics.watch(lambda: 3, jobs)
        text = metrics.text().decode()
        assert "polyseme_queue_size 3.0" in text
        assert text.count("polyseme_jobs{") == expected
        assert ('polyseme_jobs{status="queued"} 2.0' in text) is bool(expected)


def test_a_bug_is_counted_and_has_an_id(make_client: MakeClient) -> None:
    class Broken(FakeEncoder):
        def attention(self, text: str) -> Any:
            raise RuntimeError

    client = make_client({"fake": Broken()})
    answer = client.post("/v1/attention", json={"text": "a bank"})
    problem(answer, 500)
    assert answer.headers["x-request-id"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert figures(client)['polyseme_requests_total{method="POST",route="/v1/attention",status="500"}'] == 1


def test_not_ready_while_the_model_loads_and_alive_all_the_time(make_client: MakeClient) -> None:
    from threading import Event

    loaded, tries = Event(), []

    def slow(name: str) -> FakeEncoder:
        tries.append(name)
        assert loaded.wait(10)
        return FakeEncoder()

    client = make_client(Encoders(["fake"], slow))
    try:
        for _ in range(3):
            waiting = client.get("/readyz")
            assert problem(waiting, 503)["type"] == "urn:polyseme:problem:loading"
            assert waiting.headers["retry-after"] == "2"
            assert client.get("/livez").status_code == 200
    finally:
        loaded.set()
    while client.get("/readyz").status_code == 503:
        pass
    assert tries == ["fake"]
    assert client.get("/readyz").json() == {"status": "ready"}


def test_a_model_that_failed_to_load_is_told_and_tried_again(make_client: MakeClient) -> None:
    tries: list[str] = []

    def second_time(name: str) -> FakeEncoder:
        tries.append(name)
        if len(tries) == 1:
            raise ModelNotPulled("no /home/secret", remedy="polyseme models pull")
        return FakeEncoder()

    client = make_client(Encoders(["fake"], second_time))
    seen = set()
    while (answer := client.get("/readyz")).status_code == 503:
        assert "secret" not in answer.text
        seen.add(answer.json()["type"].rsplit(":", 1)[1])
    assert "model-unavailable" in seen
    assert len(tries) == 2


def test_not_ready_without_the_database_or_the_workers(make_client: MakeClient, tmp_path: Any) -> None:
    store = Store(f"sqlite:///{tmp_path}/here.db")
    client = make_client(store=store)
    assert client.get("/readyz").status_code == 200
    store.close()
    (tmp_path / "here.db").unlink()
    for extra in tmp_path.glob("here.db-*"):
        extra.unlink()
    assert problem(client.get("/readyz"), 503)["type"] == "urn:polyseme:problem:store-error"
    other = make_client()
    other.app.state.services.shared.close()  # type: ignore[attr-defined]
    assert problem(other.get("/readyz"), 503)["type"] == "urn:polyseme:problem:not-ready"
