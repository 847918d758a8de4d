"""The lesson over REST: every part, measured once however many ask, and the exercise."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from starlette.testclient import TestClient

from analysis import measuring
from analysis.exercise import CHOICES, IDEAS
from analysis.lesson import PARTS, Cross, Masking, Paths
from analysis.measuring import MeasurementFailed
from service.app import create_app
from service.lesson import Lesson
from service.settings import Settings
from service.store import Store
from tests.api.conftest import problem
from tests.fake import FakeEncoder


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    """A service that measures small sizes; its model has no queries and keys to show."""
    app = create_app(
        Settings(model="fake"), encoders={"fake": FakeEncoder()}, store=Store("sqlite://"), quick_lesson=True
    )
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def test_the_parts_are_listed_and_then_measured(client: TestClient) -> None:
    threads = torch.get_num_threads()
    listed = client.get("/v1/lesson").json()["parts"]
    assert [row["part"] for row in listed] == list(PARTS)
    assert not any(row["measured"] for row in listed)
    kinds: list[tuple[str, type]] = [
        ("paths", Paths), ("masking", Masking), ("cross", Cross)
    ]  # fmt: skip
    with ThreadPoolExecutor() as pool:
        first = pool.submit(client.get, "/v1/lesson/paths")
        assert client.get("/livez").json() == {"status": "alive"}
        assert not first.done(), "another process is being started for it"
    for name, kind in kinds:
        answer = client.get(f"/v1/lesson/{name}")
        assert answer.status_code == 200, answer.text
        TypeAdapter(kind).validate_json(answer.content)
        assert client.get(f"/v1/lesson/{name}").content == answer.content, "measured once, then kept"
    measured = [row["part"] for row in client.get("/v1/lesson").json()["parts"] if row["measured"]]
    assert measured == [name for name, _ in kinds]
    machine = client.get("/v1/lesson/paths").json()["machine"]
    assert machine["threads"] == 1
    assert machine["measured_at"].endswith("+00:00")
    assert torch.get_num_threads() == threads


def test_without_the_model_its_part_says_so_and_the_page_is_there(client: TestClient) -> None:
    told = problem(client.get("/v1/lesson/variants"), 404)
    assert "POLYSEME_MODELS" in told["remedy"]
    problem(client.get("/view/lesson/variants"), 404)
    assert client.get("/lesson").status_code == 200


def test_an_unknown_part_is_not_found(client: TestClient) -> None:
    problem(client.get("/v1/lesson/nothing"), 404)
    assert client.get("/view/lesson/nothing").status_code == 422


def test_the_exercise(client: TestClient) -> None:
    asked = client.get("/v1/lesson/exercise").json()
    assert [choice["letter"] for choice in asked["choices"]] == [choice.letter for choice in CHOICES]
    assert not any("feedback" in choice or "right" in choice for choice in asked["choices"])
    told = client.post("/v1/lesson/exercise", json={"answer": "b"}).json()
    assert (told["kind"], told["right"], told["chart"]) == ("choice", True, "paths")
    told = client.post("/v1/lesson/exercise", json={"answer": "One step between any two words."}).json()
    assert (told["kind"], told["right"]) == ("typed", None)
    assert "path" in [idea["id"] for idea in told["found"]]
    assert {idea["id"] for idea in told["found"] + told["missing"]} == {idea.id for idea in IDEAS if not idea.mistaken}


@pytest.mark.parametrize("body", [{"answer": ""}, {"answer": "z"}, {"answer": "a" * 2001}, {}, {"answer": 3}])
def test_an_answer_that_is_none_is_pointed_at(client: TestClient, body: dict[str, Any]) -> None:
    problem(client.post("/v1/lesson/exercise", json=body), 422, "/answer")


def test_first_requests_share_one_measurement_and_a_failed_one_is_made_again() -> None:
    calls: list[str] = []
    working, most = 0, 0
    lock = threading.Lock()

    def measure(name: str) -> str:
        nonlocal working, most
        with lock:
            working += 1
            most = max(most, working)
            calls.append(name)
        threading.Event().wait(0.05)
        with lock:
            working -= 1
        if calls.count("paths") == 1:
            raise MeasurementFailed("no", remedy="again")
        return name

    async def main() -> None:
        lesson = Lesson(measure)
        failed = await asyncio.gather(*(lesson.part("paths") for _ in range(5)), return_exceptions=True)
        assert [type(error) for error in failed] == [MeasurementFailed] * 5
        assert calls == ["paths"]
        assert not lesson.measured("paths")
        gone = asyncio.create_task(lesson.part("paths"))
        await asyncio.sleep(0.01)
        gone.cancel()  # who asked first goes away
        assert await asyncio.gather(*(lesson.part("paths") for _ in range(5)), lesson.part("cost")) == [
            *["paths"] * 5, "cost"
        ]  # fmt: skip
        assert lesson.measured("paths")

    asyncio.run(main())
    assert calls == ["paths", "paths", "cost"]
    assert most == 1, "one at a time"


def test_a_process_that_breaks_off_is_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(MeasurementFailed, match="broke off"):
        measuring._apart("nothing", quick=True, seed=0)
    assert "KeyError" in caplog.text
    monkeypatch.setattr(measuring, "LONGEST", 0.05)
    with pytest.raises(MeasurementFailed, match="less busy"):
        measuring._apart("paths", quick=True, seed=0)
