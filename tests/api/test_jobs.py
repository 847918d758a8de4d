"""/v1/jobs over a service that runs its own, as it does on SQLite; the worker and its database are the real ones."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from threading import Event, Thread
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from starlette.testclient import TestClient

from analysis.types import Usages
from service import parts, worker
from service.api import jobs
from service.app import create_app
from service.keys import make
from service.settings import Settings
from service.store import Store
from tests.api.conftest import MONEY, RIVER, MakeClient, problem
from tests.fake import FakeEncoder

AT = "/v1/jobs"
ASK: dict[str, Any] = {"target": "bank", "texts": RIVER + MONEY, "budget": 2, "faithfulness": 1}
LINES = "\n".join(RIVER + MONEY).encode()


class Gate(FakeEncoder):
    """Lets every part through while it is open; `waiting` tells that one waits, `within` counts those inside."""

    def __init__(self) -> None:
        super().__init__()
        self.open, self.waiting = Event(), Event()
        self.open.set()
        self.within = self.most_within = 0

    def encode(self, *args: Any, **kwargs: Any) -> Usages:
        self.within += 1
        self.most_within = max(self.most_within, self.within)
        try:
            if not self.open.is_set():
                self.waiting.set()
                assert self.open.wait(30)
            return super().encode(*args, **kwargs)
        finally:
            self.within -= 1


@pytest.fixture(scope="module")
def gate() -> Gate:
    return Gate()


@pytest.fixture(scope="module")
def service(gate: Gate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """One for all tests of this module: a process has one worker."""
    home = tmp_path_factory.mktemp("home")
    settings = Settings(home=home, model="fake", async_texts=8, max_upload_bytes=20_000, max_job_texts=50)
    app = create_app(settings, encoders={"fake": gate}, store=Store(f"sqlite:///{home}/a.db"))
    with pytest.MonkeyPatch.context() as patch, TestClient(app, raise_server_exceptions=False) as client:
        patch.setattr(parts, "PART", 16)
        patch.setattr(worker, "TICK", 0.03)
        patch.setattr(jobs, "LOOK", 0.03)
        yield client


def made(response: Any) -> str:
    assert response.status_code == 202, response.text
    assert response.headers["location"] == f"{AT}/{response.json()['id']}"
    return str(response.headers["location"])


def last_told(client: TestClient, at: str) -> dict[str, Any]:
    """The job at its end, as its events tell it."""
    with client.stream("GET", f"{at}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        told = [json.loads(line.removeprefix("data: ")) for line in stream.iter_lines() if line.startswith("data: ")]
    done = [job["progress"]["done"] for job in told]
    assert done == sorted(done), "progress does not go back"
    last: dict[str, Any] = told[-1]
    return last


def ended(client: TestClient, at: str) -> dict[str, Any]:
    """The job at its end, which stays as it was told."""
    last = last_told(client, at)
    assert last == client.get(at).json()
    return last


def test_a_job_makes_the_analysis_that_the_request_makes(service: TestClient) -> None:
    at = made(service.post(AT, json=ASK))
    job = ended(service, at)
    assert (job["status"], job["error"]) == ("done", None)
    assert job["progress"]["done"] == job["progress"]["total"] > len(ASK["texts"])
    assert job["created"] <= job["started"] <= job["finished"]
    found = service.post("/v1/senses", json=ASK).json()
    assert job["analysis"] == found["id"], "the fake encoder gives the same in any batch"
    assert service.get(f"/v1/analyses/{job['analysis']}").json() == found


def test_a_file_is_the_same_job_as_its_texts(service: TestClient) -> None:
    inline = ended(service, made(service.post(AT, json=ASK | {"seed": 3, "n_senses": 2})))
    options = {"target": "bank", "seed": "3", "n_senses": "2", "budget": "2", "faithfulness": "1"}
    raw = service.post(AT, params=options, content=LINES, headers={"content-type": "text/plain; charset=utf-8"})
    form = service.post(AT, data=options, files={"file": ("my texts.txt", LINES)})
    table = pa.BufferOutputStream()
    parquet.write_table(pa.table({"sentence": RIVER + MONEY}), table)
    named = options | {"text_field": "sentence"}
    columns = service.post(AT, data=named, files={"file": ("a.parquet", table.getvalue().to_pybytes())})
    jsonl = "\n".join(json.dumps({"sentence": text}) for text in RIVER + MONEY)
    lines = service.post(AT, params=named, content=jsonl, headers={"content-type": "application/x-ndjson"})
    for response in (raw, form, columns, lines):
        assert ended(service, made(response))["analysis"] == inline["analysis"]


def test_ids_and_spans_of_a_file_are_kept(service: TestClient) -> None:
    rows = 'text,id,start,end\n"a bank, and the bank",one,16,20\nthe bank,two,,\n'
    at = made(service.post(AT, params={"target": "bank"}, content=rows, headers={"content-type": "text/csv"}))
    usages = service.get(f"/v1/analyses/{ended(service, at)['analysis']}").json()["usages"]
    assert [(use["source_id"], use["start"]) for use in usages] == [("one", 16), ("two", 4)]


def test_the_same_key_is_the_same_job(service: TestClient) -> None:
    headers = {"Idempotency-Key": "one of mine"}
    first = service.post(AT, json=ASK | {"seed": 11}, headers=headers)
    again = service.post(AT, json={"seed": 11} | ASK, headers=headers)
    assert made(first) == made(again)
    told = problem(service.post(AT, json=ASK | {"seed": 12}, headers=headers), 422)
    assert told["type"] == "urn:polyseme:problem:key-reused"
    other = made(service.post(AT, json=ASK | {"seed": 11}))
    assert other != made(first), "without a key each is a job"
    ended(service, made(first))
    ended(service, other)
    assert service.post(AT, json=ASK | {"seed": 11}, headers=headers).json()["status"] == "done"
    service.delete(made(first))
    new = made(service.post(AT, json=ASK | {"seed": 11}, headers=headers))
    assert new != made(first), "forgotten with its job"
    ended(service, new)
    for key in ("", "x" * 256, "tab\tin it"):
        problem(service.post(AT, json=ASK, headers={"Idempotency-Key": key}), 422)


def test_a_running_job_is_deleted_at_once(service: TestClient, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    watched, changes = Event(), jobs._changes

    async def seen(*args: Any) -> AsyncIterator[str]:
        async for event in changes(*args):
            watched.set()
            yield event

    monkeypatch.setattr(jobs, "_changes", seen)
    gate.open.clear()
    gate.waiting.clear()
    try:
        at = made(service.post(AT, json=ASK | {"seed": 21}))
        behind = made(service.post(AT, json=ASK | {"seed": 22}))
        assert gate.waiting.wait(30)
        running = service.get(at).json()
        assert (running["status"], running["progress"]["step"], running["analysis"]) == ("running", "read", None)
        assert service.get(behind).json()["status"] == "queued"
        watching = Future[dict[str, Any]]()
        Thread(target=lambda: watching.set_result(last_told(service, at))).start()
        assert watched.wait(30)
        for one in (at, behind):
            assert service.delete(one).status_code == 204
            problem(service.get(one), 404)
        told = watching.result(30)
        assert (told["status"], told["analysis"], told["progress"]["seconds_left"]) == ("cancelled", None, None)
    finally:
        gate.open.set()
    after = ended(service, made(service.post(AT, json=ASK | {"seed": 23})))
    assert after["status"] == "done"
    for one in (at, behind):
        problem(service.get(one), 404)
        problem(service.delete(one), 404)
        problem(service.get(f"{one}/events"), 404)


def test_a_job_takes_turns_with_requests(service: TestClient, gate: Gate) -> None:
    gate.open.clear()
    gate.waiting.clear()
    gate.most_within = 0
    try:
        at = made(service.post(AT, json=ASK | {"seed": 41}))
        assert gate.waiting.wait(30)
        answer = Future[Any]()
        asked = {"target": "bank", "texts": RIVER}
        Thread(target=lambda: answer.set_result(service.post("/v1/embeddings", json=asked))).start()
        shared = service.app.state.services.shared  # type: ignore[attr-defined]
        until = time.monotonic() + 30
        while not (waits := shared.waiting()) and not answer.done() and gate.within < 2:
            assert time.monotonic() < until
            time.sleep(0.001)
        assert waits == 1, "the job has the model"
    finally:
        gate.open.set()
    assert answer.result(30).status_code == 200
    assert ended(service, at)["status"] == "done"
    assert gate.most_within == 1, "one has the model at a time"


def test_each_api_key_has_idempotency_keys_of_its_own(make_client: MakeClient) -> None:
    keys = {name: make(name) for name in ("alice", "bob")}
    client = make_client(api_keys=tuple(kept for _, kept in keys.values()), run_jobs=False)

    def job_of(name: str, **options: Any) -> str:
        headers = {"Authorization": f"Bearer {keys[name][0]}", "Idempotency-Key": "k"}
        return made(client.post(AT, json=ASK | options, headers=headers))

    hers = job_of("alice")
    assert job_of("bob", seed=1) not in (hers, job_of("alice"))
    assert job_of("alice") == hers


def test_what_was_forgotten_leaves_its_analysis(service: TestClient) -> None:
    at = made(service.post(AT, json=ASK))
    job = ended(service, at)
    service.delete(at)
    assert service.get(f"/v1/analyses/{job['analysis']}").status_code == 200
    other = made(service.post(AT, json=ASK | {"seed": 31}))
    analysis = ended(service, other)["analysis"]
    service.delete(f"/v1/analyses/{analysis}")
    assert service.get(other).json()["analysis"] is None


def test_a_job_that_cannot_be_done_says_why(service: TestClient) -> None:
    job = ended(service, made(service.post(AT, json=ASK | {"n_senses": 99})))
    assert (job["status"], job["analysis"]) == ("failed", None)
    would = problem(service.post("/v1/senses", json=ASK | {"n_senses": 99}), 422, "/n_senses")
    assert {name: value for name, value in job["error"].items() if value is not None} == would


def test_an_error_of_ours_fails_the_job_and_is_not_told(service: TestClient, gate: Gate) -> None:
    def broken(*_: object, **__: object) -> Usages:
        raise RuntimeError("secret")

    gate.encode = broken  # type: ignore[method-assign]
    try:
        job = ended(service, made(service.post(AT, json=ASK)))
    finally:
        del gate.encode  # type: ignore[method-assign]
    assert (job["status"], job["error"]["status"]) == ("failed", 500)
    assert "secret" not in json.dumps(job)
    assert ended(service, made(service.post(AT, json=ASK)))["status"] == "done", "the worker goes on"


def test_a_request_of_many_texts_is_a_job_where_it_prefers_that(service: TestClient) -> None:
    many = ASK | {"texts": [*RIVER, *MONEY, "the bank"]}
    response = service.post("/v1/senses", json=many, headers={"Prefer": "wait=10, Respond-Async;x=1"})
    assert response.headers["preference-applied"] == "respond-async"
    assert ended(service, made(response))["status"] == "done"
    for body, headers in ((ASK, {"Prefer": "respond-async"}), (many, {}), (many, {"Prefer": "return=minimal"})):
        assert service.post("/v1/senses", json=body, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (ASK | {"target": "zebra"}, "/target"),
        (ASK | {"texts": ["the bank", ""]}, "/texts/1"),
        (ASK | {"model": "/etc/passwd"}, "/model"),
        (ASK | {"n_senses": "2"}, "/n_senses"),
        (ASK | {"color": 1}, "/color"),
        ({"texts": RIVER}, "/target"),
        ([], ""),
    ],
)
def test_what_is_wrong_is_said_at_once(service: TestClient, body: Any, pointer: str) -> None:
    problem(service.post(AT, json=body), 422, pointer)


@pytest.mark.parametrize(
    ("content", "content_type", "query", "status", "says"),
    [
        (b"{", "application/json", {}, 400, "JSON"),
        (b"", "application/json", {}, 400, "empty"),
        (b"[" * 10_000, "application/json", {}, 400, "JSON"),
        (b"the bank", "text/html", {"target": "bank"}, 415, "text/html"),
        (b"the bank", None, {"target": "bank"}, 415, "nothing"),
        (b"\xff\xfe", "text/plain", {"target": "bank"}, 422, "UTF-8"),
        (b"", "text/plain", {"target": "bank"}, 422, "empty"),
        (b"the bank", "text/plain", {}, 422, "missing"),
        (b"the bank", "text/plain", {"target": "bank", "seed": "many"}, 422, "seed"),
        (b"the bank", "text/plain", {"target": "bank", "texts": "x"}, 422, "texts"),
        (b"the bank", "text/plain", {"target": "bank", "../x": "x"}, 422, "../x"),
        (b"no texts", "application/vnd.apache.parquet", {"target": "bank"}, 422, "not Parquet"),
        (b'{"a": "the bank"}', "application/jsonl", {"target": "bank"}, 422, "text"),
        (b"the bank\n" * 51, "text/plain", {"target": "bank"}, 413, "51 texts"),
        (b"the bank\n" * 3000, "text/plain", {"target": "bank"}, 413, "20,000 bytes"),
        (b"--x--", "multipart/form-data; boundary=x", {"target": "bank"}, 400, "no file"),
        (b"what?", "multipart/form-data; boundary=x", {"target": "bank"}, 400, "form"),
        (b"what?", "multipart/form-data", {"target": "bank"}, 400, "oundary"),
    ],
)
def test_a_file_that_is_not_right(
    service: TestClient, content: bytes, content_type: str | None, query: dict[str, str], status: int, says: str
) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    told = problem(service.post(AT, params=query, content=content, headers=headers), status)
    assert says in json.dumps(told)
    assert "/uploads" not in json.dumps(told)


def test_a_form_has_one_file_and_few_fields(service: TestClient) -> None:
    two = [("file", ("a.txt", LINES)), ("more", ("b.txt", LINES))]
    problem(service.post(AT, data={"target": "bank"}, files=two), 400)
    many = {f"field{number}": "x" for number in range(60)}
    problem(service.post(AT, data=many, files={"file": ("a.txt", LINES)}), 400)
    problem(service.post(AT, data={"target": "bank"}, files={"file": ("a.exe", LINES)}), 422)


@pytest.mark.parametrize("name", ["nothing", "%00", "a%27%20OR%201=1", "é"])
def test_a_job_that_is_not_there(service: TestClient, name: str) -> None:
    for response in (service.get(f"{AT}/{name}"), service.get(f"{AT}/{name}/events"), service.delete(f"{AT}/{name}")):
        problem(response, 404)


def test_nothing_is_left_of_what_ended(service: TestClient) -> None:
    from dbos import DBOS

    ended(service, made(service.post(AT, json=ASK)))
    for _ in range(100):
        left = DBOS.list_workflows(load_input=False, load_output=False)
        if not left:
            break
        time.sleep(0.1)
    assert left == []
    assert list((service.app.state.services.settings.home / "uploads").iterdir()) == []  # type: ignore[attr-defined]


def call(service: TestClient, receive: Any) -> tuple[int, dict[str, Any]]:
    """The answer of the app to a POST of a text file that arrives as `receive` says."""
    sent: list[dict[str, Any]] = []
    headers = [(b"content-type", b"text/plain")]
    scope = {"type": "http", "method": "POST", "path": AT, "query_string": b"target=bank", "headers": headers}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(service.app(scope, receive, send))  # type: ignore[arg-type]
    return sent[0]["status"], json.loads(sent[1]["body"])


def test_a_body_that_is_cut_short_or_never_comes(service: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    messages = iter([{"type": "http.request", "body": b"the bank", "more_body": True}, {"type": "http.disconnect"}])

    async def cut() -> dict[str, Any]:
        return next(messages)

    async def never() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    settings = service.app.state.services.settings  # type: ignore[attr-defined]
    before = settings.model_copy()
    assert call(service, cut)[0] == 400
    monkeypatch.setattr(settings, "upload_seconds", 0.01)
    status, told = call(service, never)
    assert (status, told["type"]) == (408, "urn:polyseme:problem:upload-too-slow")
    monkeypatch.setattr(settings, "upload_seconds", before.upload_seconds)
    (settings.home / "uploads").rmdir()
    (settings.home / "uploads").write_bytes(b"in the way")
    told = problem(service.post(AT, json=ASK), 503)
    assert str(settings.home) not in json.dumps(told)
    (settings.home / "uploads").unlink()
    ended(service, made(service.post(AT, json=ASK)))
