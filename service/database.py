"""The database itself: its connections, its errors, and its schema, which climbs to the newest when it is opened.

An error's text never carries rows: they are people's texts.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from analysis.errors import PolysemeError

BUSY_SECONDS = 5.0  # how long SQLite waits for another writer
MIGRATING = 7_014_921  # PostgreSQL's advisory lock of whoever migrates: several programs may start at once


class StoreError(PolysemeError):
    """The database does not answer, or holds what this version cannot read."""


class NewerDatabase(StoreError):
    """A newer version of Polyseme has changed the database's tables."""


def open_engine(url: str) -> Engine:
    """An engine for SQLite (in WAL mode, foreign keys on; its folder is made) or PostgreSQL.

    Raises StoreError. "sqlite://" is a database in memory, gone with the engine.
    """
    with _opening():
        parsed = make_url(url)
        options: dict[str, Any] = {"hide_parameters": True}
        if parsed.get_backend_name() != "sqlite":
            return create_engine(parsed, pool_pre_ping=True, **options)
        if in_memory(parsed):
            # A database in memory belongs to its connection: threads take turns with the one.
            one = {"pool_size": 1, "max_overflow": 0, "connect_args": {"check_same_thread": False}}
            options |= {"poolclass": QueuePool, **one}
        else:
            Path(parsed.database or "").parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(parsed, **options)
        event.listen(engine, "connect", _set_up_sqlite)
        return engine


def in_memory(url: URL) -> bool:
    """Whether the database is gone with its connection."""
    return url.get_backend_name() == "sqlite" and (not url.database or url.database == ":memory:")


def upgrade(engine: Engine) -> tuple[str | None, str]:
    """Climb to the newest schema, all of the way or not at all; the revisions before and after.

    Raises StoreError, and NewerDatabase for a database that a newer version has changed.
    """
    with _opening(), engine.connect() as connection:
        _lock(connection)
        before = revision(connection)
        scripts = _scripts()
        if before is not None and before not in {script.revision for script in scripts.walk_revisions()}:
            raise NewerDatabase(
                f"the database is of revision {before}; this version knows {newest()} at most",
                remedy="install the version that made it, or a newer one",
            )
        if before != newest():
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        connection.commit()
        return before, newest()


def revision(connection: Connection) -> str | None:
    """The revision that the database's tables are of; None for a new database, and for one of version 0.1."""
    return MigrationContext.configure(connection).get_current_revision()


def newest() -> str:
    """The revision that this version's tables are of."""
    head = _scripts().get_current_head()
    assert head is not None  # noqa: S101 - the package has its migrations
    return head


def utc(moment: datetime) -> datetime:
    """SQLite keeps no time zone, PostgreSQL gives its own: all are kept in UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


@contextmanager
def store_errors() -> Iterator[None]:
    """What the database and its driver raise, as StoreError."""
    try:
        yield
    except ArgumentError as error:  # also an unknown kind of database
        raise StoreError("the database's URL is not right", remedy="mend POLYSEME_DATABASE_URL") from error
    except ImportError as error:
        raise StoreError(
            f"the driver of the database is missing: {error.name}", remedy="pip install 'polyseme[postgres]'"
        ) from error
    except (SQLAlchemyError, OSError) as error:
        raise StoreError("the database does not answer", remedy="try again; else see the service's log") from error


@contextmanager
def _opening() -> Iterator[None]:
    """As `store_errors`, with the cause: whoever opens the database runs the service, and no caller hears of it."""
    try:
        with store_errors():
            yield
    except NewerDatabase:
        raise
    except StoreError as error:
        cause = error.__cause__
        if isinstance(cause, ArgumentError | ImportError):
            raise
        lines = str(getattr(cause, "orig", None) or cause).strip().splitlines()
        raise StoreError(
            f"the database cannot be opened: {lines[0] if lines else type(cause).__name__}",
            remedy="see that it is there and may be written, or mend POLYSEME_DATABASE_URL",
        ) from cause


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "service:migrations")
    return config


@lru_cache(maxsize=1)
def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _lock(connection: Connection) -> None:
    """One program migrates at a time; the others wait, and then find it done."""
    if connection.dialect.name == "sqlite":
        # Python's driver begins no transaction of its own before a CREATE TABLE.
        connection.execute(text("BEGIN IMMEDIATE"))
    else:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATING})


def _set_up_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in (f"busy_timeout = {int(1000 * BUSY_SECONDS)}", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    _to_wal(cursor)
    cursor.close()


def _to_wal(cursor: Any) -> None:
    """SQLite does not wait for its lock here, busy timeout or not, where several open a new file at once."""
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.01)
