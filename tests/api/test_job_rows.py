"""What a job's row allows, on each database: nobody undoes another's change, and one worker takes a job over."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import update

from service import worker
from service.job_rows import JobRows
from service.jobs import Jobs, KeyReused
from service.schemas import SensesRequest
from service.settings import Settings
from service.store import NotFound, Store
from service.tables import JOBS
from tests.api.conftest import MONEY, RIVER
from tests.fake import FakeEncoder

ASK = SensesRequest.model_validate({"target": "bank", "texts": RIVER})
OTHER = SensesRequest.model_validate({"target": "bank", "texts": MONEY})


@pytest.fixture(params=["memory", "file", pytest.param("server", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    urls = {"memory": lambda: "sqlite://", "file": lambda: f"sqlite:///{tmp_path}/a.db"}
    store = Store(urls.get(request.param, lambda: request.getfixturevalue("fresh_postgres_url"))())
    yield store
    store.close()


@pytest.fixture
def jobs(store: Store) -> Jobs:
    return Jobs(store)


@pytest.fixture
def rows(jobs: Jobs) -> JobRows:
    return jobs.rows


def told(rows: JobRows, job_id: str, by: str) -> bool:
    return rows.progress(job_id, by, step="read", done=1, total=2, rate=None)


def test_a_key_sent_at_once_many_times_is_one_job(jobs: Jobs) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: jobs.submit(ASK, key="k").id, range(16)))
    assert len(set(made)) == 1
    assert jobs.rows.count() == {"queued": 1}
    with pytest.raises(KeyReused):
        jobs.submit(OTHER, key="k")
    assert jobs.submit(OTHER, key="K").id != made[0]


def test_the_first_that_came_is_the_first(jobs: Jobs) -> None:
    ids = [jobs.submit(ASK).id for _ in range(5)]
    assert jobs.rows.active() == ids


def test_only_the_worker_that_has_a_job_changes_it(jobs: Jobs, rows: JobRows) -> None:
    job = jobs.submit(ASK).id
    assert not told(rows, job, "one"), "not begun"
    assert rows.begin(job, "one") == 1
    assert told(rows, job, "one")
    assert rows.begin(job, "two") == 1, "counted from when it last got on"
    assert not told(rows, job, "one")
    assert not rows.fail(job, "one", error="{}")
    assert rows.begin(job, "two") == 2
    assert told(rows, job, "two")
    assert rows.finish(job, "two", analysis=None)
    assert rows.begin(job, "three") is None, "it is at its end"
    assert jobs.get(job).status == "done"


def test_what_was_deleted_stays_so(jobs: Jobs, rows: JobRows) -> None:
    job = jobs.submit(ASK).id
    rows.begin(job, "one")
    jobs.delete(job)
    assert not told(rows, job, "one")
    assert not rows.finish(job, "one", analysis=None)
    assert not rows.fail(job, "one", error="{}")
    assert rows.begin(job, "one") is None
    assert rows.active() == []
    with pytest.raises(NotFound):
        jobs.get(job)
    with pytest.raises(NotFound):
        jobs.delete(job)


def test_a_job_is_taken_over_once_its_worker_is_silent(jobs: Jobs, rows: JobRows, store: Store) -> None:
    job = jobs.submit(ASK).id
    rows.begin(job, "one")
    assert not rows.adopt(job, "one", 60), "it has just said that it lives"
    with store.engine.begin() as connection:
        connection.execute(update(JOBS).values(beat=JOBS.c.beat - 61))
    rows.beat("two", [job])
    assert not rows.adopt(job, "two", 60), "another has it"
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(lambda _: rows.adopt(job, "one", 60), range(8))) == 1
    with store.engine.begin() as connection:
        connection.execute(update(JOBS).values(beat=JOBS.c.beat - 61))
    rows.beat("one", ["other"])
    assert rows.adopt(job, "one", 60), "it works on others"
    with store.engine.begin() as connection:
        connection.execute(update(JOBS).values(beat=JOBS.c.beat - 61))
    rows.beat("one", ["other", job])
    assert not rows.adopt(job, "one", 60), "it lives after all"
    rows.release("two")
    assert not rows.adopt(job, "one", 60)
    rows.release("one")
    assert rows.adopt(job, "one", 60), "it was left to whoever comes"
    rows.disown(job, "one")
    assert not told(rows, job, "one")
    assert rows.adopt(job, None, -1)
    rows.forget(job)
    assert not rows.adopt(job, None, -1)


def test_a_job_that_no_worker_survives_is_given_up(jobs: Jobs, rows: JobRows, store: Store) -> None:
    job = jobs.submit(ASK).id
    for _ in range(worker.MOST_ATTEMPTS):
        rows.begin(job, "killed")
    worker.Worker(store, {"fake": FakeEncoder()}, Settings(model="fake"))._run(job)
    given_up = jobs.get(job)
    assert given_up.error is not None
    assert (given_up.status, given_up.error.type) == ("failed", "urn:polyseme:problem:given-up")
