"""Jobs outlive their workers: real processes, killed with SIGKILL, on both databases."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from analysis.corpus import documents
from analysis.pipeline import analyse
from analysis.record import Analysis
from service import parts
from service.dictionary import Shelf
from service.jobs import JobOut, Jobs
from service.schemas import SensesRequest
from service.store import Store
from tests.api.conftest import MONEY, RIVER
from tests.conftest import Postgres
from tests.fake import FakeEncoder
from tests.worker_process import PART


def asked(copies: int) -> SensesRequest:
    texts = [f"{text} {number}" for number in range(copies) for text in RIVER + MONEY]
    return SensesRequest.model_validate(
        {"target": "bank", "texts": texts, "budget": 2, "explained": 1000, "faithfulness": 1}
    )


def at_once(request: SensesRequest) -> tuple[Analysis, int]:
    """What comes of the request without any job, and in how many parts a job does it."""
    names: list[str] = []

    def keep(name: str, work: Callable[[], str]) -> str:
        names.append(name)
        return work()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "PART", PART)
        encoder = parts.Parts(FakeEncoder(), keep)
        texts = documents([text.text for text in request.texts])
        # As the workers have it: no dictionary in their home.
        found = analyse(encoder, texts, "bank", request.options(), namer=Shelf(Path("nowhere")).name)
    return found, len(names)


LONGEST = 600.0  # seconds; far more than anything takes, on a machine that others use too
MakePlace = Callable[..., "Place"]
Begin = Callable[[list[Any]], int]


class Place:
    """A database, and the processes that work on it; `parts` counts those begun and those done."""

    def __init__(self, begin: Begin, url: str, home: Path, lease: float) -> None:
        self.store, self.home = Store(url), home
        self.jobs = Jobs(self.store)
        self._begin = lambda: begin([url, str(home), str(home / "log"), lease])
        self._begun: list[int] = []

    def begin(self) -> int:
        """A worker more; the id of its process."""
        self._begun.append(self._begin())
        return self._begun[-1]

    def close(self) -> None:
        for process in self._begun:
            self.kill(process)
        self.store.close()

    def kill(self, process: int, number: int = signal.SIGKILL) -> None:
        """Send the signal, and wait until the process is gone."""
        with suppress(ProcessLookupError):
            os.kill(process, number)
            self.until(lambda: os.kill(process, 0))  # which in the end raises

    def parts(self) -> tuple[int, int]:
        log = self.home / "log"
        lines = log.read_bytes().splitlines() if log.exists() else []
        return lines.count(b"begun"), lines.count(b"done")

    def until(self, holds: Callable[[], Any]) -> None:
        end = time.monotonic() + LONGEST
        while not holds():
            assert time.monotonic() < end, self.parts()
            time.sleep(0.01)

    def end(self, job_id: str) -> JobOut:
        self.until(lambda: self.jobs.get(job_id).finished)
        return self.jobs.get(job_id)


@pytest.fixture(scope="module")
def begin() -> Iterator[Begin]:
    """Begins a worker, and gives the id of its process."""
    command = [sys.executable, "-m", "tests.worker_process"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as workers:
        assert workers.stdin is not None
        assert workers.stdout is not None

        def one(arguments: list[Any]) -> int:
            workers.stdin.write(json.dumps(arguments) + "\n")  # type: ignore[union-attr]
            workers.stdin.flush()  # type: ignore[union-attr]
            return int(workers.stdout.readline())  # type: ignore[union-attr]

        yield one
        workers.kill()


@pytest.fixture
def make_place(begin: Begin, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[MakePlace]:
    with ExitStack() as stack:

        def make(kind: str, lease: float = 0.5) -> Place:
            url = f"sqlite:///{tmp_path}/a.db" if kind == "file" else request.getfixturevalue("fresh_postgres_url")
            place = Place(begin, url, tmp_path, lease)
            stack.callback(place.close)
            return place

        yield make


def killed_again_and_again(place: Place, request: SensesRequest, kills: int) -> None:
    chance = random.Random()
    unbroken, n_parts = at_once(request)
    job = place.jobs.submit(request).id
    last = 0
    for number in range(kills):
        process = place.begin()
        # Later each time, and somewhere in the part: while it is worked at, kept, or told of.
        after = last + chance.randint(0, max(0, (n_parts - last) // (kills - number) - 3))
        place.until(lambda: place.parts()[0] > after or place.jobs.get(job).finished)  # noqa: B023 - called here
        time.sleep(chance.random() * 0.06)
        place.kill(process)
        last = place.parts()[0] - number
    assert place.jobs.get(job).status == "running", "it was killed before its end each time"
    place.begin()
    ended = place.end(job)
    assert (ended.status, ended.analysis) == ("done", unbroken.id)
    assert place.store.get(unbroken.id) == unbroken
    assert ended.progress.done == ended.progress.total
    begun, done = place.parts()
    assert n_parts <= done <= begun <= n_parts + kills, "a part that was kept is not done again"


@pytest.mark.slow  # by default the next but one
def test_a_killed_worker_goes_on_where_it_was(make_place: MakePlace) -> None:
    killed_again_and_again(make_place("file"), asked(2), kills=2)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", pytest.param("server", marks=pytest.mark.postgres)])
def test_a_worker_killed_twenty_times_goes_on_where_it_was(make_place: MakePlace, kind: str) -> None:
    killed_again_and_again(make_place(kind), asked(20), kills=20)


@pytest.mark.parametrize(
    "kind", [pytest.param("file", marks=pytest.mark.slow), pytest.param("server", marks=pytest.mark.postgres)]
)
def test_workers_share_a_database_and_take_over_from_one_that_is_killed(make_place: MakePlace, kind: str) -> None:
    place, request = make_place(kind), asked(2)
    first, second = place.begin(), place.begin()
    ids = [place.jobs.submit(request.model_copy(update={"seed": seed})).id for seed in range(2)]
    place.until(lambda: all(place.jobs.get(one).status == "running" for one in ids))
    assert len({row["worker"] for one in ids if (row := place.jobs.rows.get(one))}) == 2, "each has one of the jobs"
    place.kill(first)
    for one in ids:
        assert place.end(one).status == "done"
    unbroken, n_parts = at_once(request)
    assert place.jobs.get(ids[0]).analysis == unbroken.id
    begun, done = place.parts()
    assert 2 * n_parts <= done <= begun <= 2 * n_parts + 1, "only the part in which it was killed"
    place.kill(second, signal.SIGTERM)


@pytest.mark.slow
def test_a_worker_that_is_told_to_stop_leaves_its_job_to_the_next(make_place: MakePlace) -> None:
    place, request = make_place("file", lease=60), asked(2)  # a lease that the next one need not wait for
    job = place.jobs.submit(request).id
    process = place.begin()
    place.until(lambda: place.parts()[1] > 3)
    place.kill(process, signal.SIGTERM)
    begun, done = place.parts()
    assert begun == done, "the part in work was finished"
    assert place.jobs.get(job).status == "running"
    place.begin()
    unbroken, n_parts = at_once(request)
    assert place.end(job).analysis == unbroken.id
    assert place.parts() == (n_parts, n_parts)


@pytest.mark.slow
@pytest.mark.postgres
def test_a_server_that_falls_and_comes_back_costs_nothing(make_place: MakePlace, postgres: Postgres) -> None:
    place, request = make_place("server", lease=5), asked(6)
    job = place.jobs.submit(request).id
    place.begin()
    for after in (3, 20):
        place.until(lambda: place.parts()[1] > after)  # noqa: B023 - called here
        postgres.restart()
    ended = place.end(job)
    assert (ended.status, ended.analysis) == ("done", at_once(request)[0].id)


@pytest.mark.slow
def test_a_full_disk_holds_a_job_up_and_no_more(make_place: MakePlace) -> None:
    place, request = make_place("file"), asked(6)
    job = place.jobs.submit(request).id
    process = place.begin()
    place.until(lambda: place.parts()[1] > 3)
    unlimited = resource.prlimit(process, resource.RLIMIT_FSIZE, (16_384, resource.RLIM_INFINITY))
    time.sleep(2)  # the part in work cannot be kept
    stuck = place.parts()
    time.sleep(1)
    assert place.parts() == stuck
    assert stuck[1] < at_once(request)[1]
    assert place.jobs.get(job).status == "running"
    resource.prlimit(process, resource.RLIMIT_FSIZE, unlimited)
    ended = place.end(job)
    assert (ended.status, ended.analysis) == ("done", at_once(request)[0].id)


@pytest.mark.slow
def test_the_command_runs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from service.cli import main; main()", "worker"]
    environment = os.environ | {"POLYSEME_HOME": str(tmp_path), "POLYSEME_DATABASE_URL": ""}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline().endswith(" runs jobs\n")
        process.terminate()
        assert process.wait(60) == 0
        assert process.stderr.read() == ""
    assert (tmp_path / "polyseme.db").exists()
