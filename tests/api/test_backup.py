"""`polyseme db`: everything round-trips, between SQLite and PostgreSQL, and nothing is lost by a wrong file."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from analysis import fitting
from analysis.corpus import documents
from analysis.errors import BadFile
from analysis.pipeline import Induced, induced
from service import backup
from service.backup import NotEmpty
from service.cli.app import app
from service.database import newest
from service.jobs import Jobs
from service.schemas import SensesRequest
from service.store import METADATA, Store
from tests.api.conftest import MONEY, RIVER
from tests.fake import FakeEncoder

Open = Callable[[str], Store]
DATABASES = ["file", pytest.param("server", marks=pytest.mark.postgres)]


@pytest.fixture(scope="module")
def found() -> Induced:
    return induced(FakeEncoder(), documents([*RIVER, *MONEY, "an “über” bank 🏦\0"]), "bank")


@pytest.fixture
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """A store with nothing in it, in a file or on the server."""
    stores: list[Store] = []

    def make(kind: str) -> Store:
        url = f"sqlite:///{tmp_path}/{len(stores)}.db"
        stores.append(Store(url if kind == "file" else request.getfixturevalue("fresh_postgres_url")))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


def fill(store: Store, found: Induced) -> None:
    store.save(found.analysis)
    store.save_senses(fitting.keep(found))
    jobs = Jobs(store)
    done = jobs.submit(SensesRequest(target="bank", texts=RIVER), key="key").id
    jobs.rows.begin(done, "worker")
    jobs.rows.progress(done, "worker", step="read", done=3, total=9, rate=1 / 3)
    jobs.rows.finish(done, "worker", analysis=found.analysis.id)
    jobs.rows.begin(jobs.submit(SensesRequest(target="bank", texts=MONEY)).id, "worker")


def everything(store: Store) -> dict[str, list[dict[str, Any]]]:
    with store.engine.connect() as connection:
        return {
            table.name: [
                {name: backup._plain(value) for name, value in row.items()}
                for row in connection.execute(select(table).order_by(table.c.id)).mappings()
            ]
            for table in METADATA.sorted_tables
        }


@pytest.mark.parametrize("source", DATABASES)
@pytest.mark.parametrize("target", DATABASES)
def test_everything_comes_back(open_store: Open, found: Induced, tmp_path: Path, source: str, target: str) -> None:
    old = open_store(source)
    fill(old, found)
    before = everything(old)
    counts = {"analyses": 1, "sense_models": 1, "jobs": 2}
    assert backup.write(old.engine, tmp_path / "a.gz") == counts
    if source == target == "server":  # one database of the test's own: emptied, and then filled again
        with old.engine.begin() as connection:
            for table in reversed(METADATA.sorted_tables):
                connection.execute(table.delete())
        new = old
    else:
        new = open_store(target)
    assert backup.read(new.engine, tmp_path / "a.gz") == counts
    assert everything(new) == before
    assert new.get(found.analysis.id) == found.analysis
    assert backup.read(new.engine, tmp_path / "a.gz") == counts, "the same rows once more change nothing"
    backup.write(new.engine, tmp_path / "b.gz")
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


@pytest.mark.parametrize("kind", DATABASES)
def test_a_database_that_holds_something_else_is_left_alone(
    open_store: Open, found: Induced, tmp_path: Path, kind: str
) -> None:
    old = open_store("file")
    fill(old, found)
    path = tmp_path / "a.gz"
    backup.write(old.engine, path)
    new = open_store(kind)
    Jobs(new).submit(SensesRequest(target="bank", texts=RIVER))
    before = everything(new)
    with pytest.raises(NotEmpty, match="something else"):
        backup.read(new.engine, path)
    assert everything(new) == before, "also not the rows that were new"
    backup.read(new.engine, path, replace=True)
    assert everything(new) == everything(old)
    with new.engine.begin() as connection:
        connection.execute(METADATA.tables["analyses"].update().values(target="other"))
    with pytest.raises(NotEmpty):
        backup.read(new.engine, path)


def lines(path: Path) -> list[bytes]:
    return gzip.decompress(path.read_bytes()).splitlines(keepends=True)


def test_a_file_that_is_no_whole_backup_changes_nothing(open_store: Open, found: Induced, tmp_path: Path) -> None:
    store, path, bad = open_store("file"), tmp_path / "a.gz", tmp_path / "bad.gz"
    fill(store, found)
    backup.write(store.engine, path)
    before, whole = everything(store), path.read_bytes()
    head, *rows = lines(path)
    newer = json.dumps(json.loads(head) | {"schema": "9999"}).encode() + b"\n"
    damaged = [
        (whole[:-9], "damaged"),
        (whole[: len(whole) // 2], "damaged"),
        (whole[:200] + bytes([whole[200] ^ 255]) + whole[201:], "damaged|cannot be read"),
        (b"", "damaged"),
        (b"SQLite format 3", "cannot be read"),
        (gzip.compress(b"".join([head, *rows[:-1]])), "cut short after 4 rows"),
        (gzip.compress(b"".join([head, *rows[1:]])), "cut short after 3 rows"),
        (gzip.compress(b"".join([newer, *rows])), f"of schema 9999; this version has {newest()}"),
        (gzip.compress(b"".join([head, b'{"table": "alembic_version", "row": {}}\n', *rows])), "damaged"),
        (gzip.compress(b"".join([head, b'{"table": "jobs", "row": {"id": "x"}}\n', *rows])), "damaged"),
        (gzip.compress(b"".join([head, b"[]\n", *rows])), "damaged"),
    ]
    for content, says in damaged:
        bad.write_bytes(content)
        with pytest.raises(BadFile, match=says):
            backup.read(store.engine, bad, replace=True)
    with pytest.raises(BadFile, match="No such file"):
        backup.read(store.engine, tmp_path / "none", replace=True)
    assert everything(store) == before


def test_a_backup_that_cannot_be_written_leaves_the_old_one(open_store: Open, tmp_path: Path) -> None:
    store = open_store("file")
    with pytest.raises(BadFile, match="cannot write"):
        backup.write(store.engine, tmp_path / "none" / "a.gz")
    folder = tmp_path / "a.gz"
    folder.mkdir()
    with pytest.raises(BadFile, match="cannot write"):
        backup.write(store.engine, folder)
    assert [path.name for path in tmp_path.iterdir() if ".gz" in path.name] == ["a.gz"]


def test_the_commands(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, found: Induced, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POLYSEME_HOME", str(tmp_path))
    path = str(tmp_path / "a.jsonl.gz")

    def run(*arguments: str) -> str:
        app(["db", *arguments], standalone_mode=False)
        return capsys.readouterr().out

    assert run("upgrade") == f"the database is of revision {newest()}\n"
    assert json.loads(run("upgrade", "--json", "-")) == {"before": newest(), "after": newest()}
    store = Store(f"sqlite:///{tmp_path}/polyseme.db")
    fill(store, found)
    assert run("backup", path) == f"1 analyses, 1 sense models, 2 jobs written to {path}\n"
    before = everything(store)
    store.delete(found.analysis.id)
    with pytest.raises(NotEmpty):
        run("restore", path)
    assert "restored" in run("restore", path, "--replace")
    assert everything(store) == before
    store.close()
