"""The schema climbs: from nothing, from what 0.1 left behind, on both databases; and no version reads a newer one."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from analysis.corpus import documents
from analysis.pipeline import analyse
from analysis.record import to_json
from service import database
from service.cli import main
from service.database import NewerDatabase
from service.store import METADATA, Store
from tests.api.conftest import MONEY, RIVER
from tests.fake import FakeEncoder

# The tables as 0.1 made them, word for word in SQLite; PostgreSQL has other names for two types.
FIRST = """
CREATE TABLE analyses (id VARCHAR(64) NOT NULL, target TEXT NOT NULL, model TEXT NOT NULL, verdict VARCHAR(32) NOT NULL,
    created DATETIME NOT NULL, body TEXT NOT NULL, PRIMARY KEY (id));
CREATE TABLE sense_models (id VARCHAR(64) NOT NULL, created DATETIME NOT NULL, about TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (id))
"""


@pytest.fixture(params=["file", pytest.param("server", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Of a database with nothing in it."""
    if request.param == "file":
        yield f"sqlite:///{tmp_path}/a.db"
        return
    yield request.getfixturevalue("fresh_postgres_url")


def run(url: str, statements: str) -> None:
    engine = create_engine(url)
    server = engine.dialect.name == "postgresql"
    with engine.begin() as connection:
        for statement in statements.split(";"):
            typed = statement.replace("DATETIME", "TIMESTAMP WITH TIME ZONE").replace("BLOB", "BYTEA")
            connection.execute(text(typed if server else statement))
    engine.dispose()


def test_the_migrations_make_the_tables_that_the_code_knows(url: str) -> None:
    Store(url).close()
    engine = create_engine(url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
        assert database.revision(connection) == database.newest()
    engine.dispose()


def test_a_database_of_the_first_version_is_taken_over_with_all_it_holds(url: str) -> None:
    analysis = analyse(FakeEncoder(), documents([*RIVER, *MONEY, "an “über” bank 🏦"]), "bank")
    run(url, FIRST)
    engine = create_engine(url)
    old = "INSERT INTO analyses VALUES (:id, 'bank', 'fake', :verdict, '2026-01-02 03:04:05.000006', :body)"
    with engine.begin() as connection:
        row = {"id": analysis.id, "verdict": analysis.verdict, "body": to_json(analysis)}
        connection.execute(text(old), row)
        connection.execute(text(old), row | {"id": "other", "body": '{"schema_version": 0}'})
    engine.dispose()
    store = Store(url)
    assert store.get(analysis.id) == analysis
    listed = {one["id"]: one for one in store.list_analyses(limit=10).items}
    assert (listed[analysis.id]["usages"], listed[analysis.id]["senses"]) == (9, len(analysis.senses))
    assert (listed["other"]["usages"], listed["other"]["senses"]) == (0, 0)
    assert store.list_senses(limit=10).items == []
    store.close()


def test_a_table_that_is_not_there_yet_is_made(url: str) -> None:
    run(url, FIRST.split(";", maxsplit=1)[0])
    store = Store(url)
    store.ping()
    store.close()


def test_a_newer_database_is_refused_and_left_alone(url: str) -> None:
    Store(url).close()
    run(url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(NewerDatabase, match="revision 9999") as caught:
        Store(url)
    assert "newer" in caught.value.remedy
    engine = create_engine(url)
    with engine.connect() as connection:
        assert database.revision(connection) == "9999"
    engine.dispose()


def test_many_programs_may_open_a_new_database_at_once(url: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        stores = list(pool.map(Store, [url] * 6))
    for store in stores:
        store.ping()
        store.close()


def test_a_migration_that_fails_changes_nothing(url: str) -> None:
    # 0002 cannot add a column that is there: what 0001 made before it is undone too.
    run(url, FIRST.split(";", maxsplit=1)[0].replace("body TEXT", "usages INTEGER, body TEXT"))
    with pytest.raises(database.StoreError):
        Store(url)
    engine = create_engine(url)
    assert inspect(engine).get_table_names() == ["analyses"]
    engine.dispose()


@pytest.mark.parametrize("command", ["serve", "worker", "db upgrade"])
def test_what_cannot_be_opened_is_one_line_and_a_failure(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path}/polyseme.db"
    Store(url).close()
    run(url, "UPDATE alembic_version SET version_num = '9999'")
    monkeypatch.setenv("POLYSEME_DATABASE_URL", url)
    monkeypatch.setattr(sys, "argv", ["polyseme", *command.split()])
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with pytest.raises(SystemExit) as caught:
            main()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("polyseme: the database is of revision 9999; this version knows")
    assert told.count("\n") == 1
