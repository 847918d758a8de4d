"""Analyses by id, in SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Column, DateTime, MetaData, String, Table, Text, create_engine, delete, event, insert, select
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from analysis.errors import BadFile, PolysemeError
from analysis.record import Analysis, from_json, to_json

METADATA = MetaData()
ANALYSES = Table(
    "analyses",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("target", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("verdict", String(32), nullable=False),
    Column("created", DateTime(timezone=True), nullable=False),
    Column("body", Text, nullable=False),
)


class NotFound(PolysemeError):
    """Nothing is kept under the id."""


class StoreError(PolysemeError):
    """The database does not answer, or holds what this version cannot read."""


class Store:
    """Analyses in one table of the database at `url`. Safe to share between threads.

    Every method raises StoreError where the database fails. "sqlite://" is a database in memory, gone with the Store.
    """

    def __init__(self, url: str) -> None:
        with _store_errors():
            self._engine = _engine(url)
            METADATA.create_all(self._engine)

    def save(self, analysis: Analysis) -> None:
        """Keep the analysis under its id, which is made of its content: to keep it again changes nothing."""
        row = {
            "id": analysis.id,
            "target": analysis.target,
            "model": analysis.provenance.model,
            "verdict": analysis.verdict,
            "created": datetime.now(UTC),
            "body": to_json(analysis),
        }
        with _store_errors():
            try:
                with self._engine.begin() as connection:
                    connection.execute(insert(ANALYSES).values(row))
            except IntegrityError:
                if not self._has(analysis.id):
                    raise

    def get(self, analysis_id: str) -> Analysis:
        """The analysis. Raises NotFound."""
        with _store_errors(), self._engine.connect() as connection:
            body = connection.scalar(select(ANALYSES.c.body).where(ANALYSES.c.id == _checked(analysis_id)))
        if body is None:
            raise _not_found(analysis_id)
        try:
            return from_json(body)
        except BadFile as error:
            raise StoreError(
                f"the analysis {analysis_id} was kept by another version", remedy="make the analysis again"
            ) from error

    def delete(self, analysis_id: str) -> None:
        """Forget the analysis. Raises NotFound."""
        with _store_errors(), self._engine.begin() as connection:
            gone = connection.execute(delete(ANALYSES).where(ANALYSES.c.id == _checked(analysis_id))).rowcount
        if not gone:
            raise _not_found(analysis_id)

    def ping(self) -> None:
        """Read from the table, so that a lost database or a missing table shows."""
        with _store_errors(), self._engine.connect() as connection:
            connection.execute(select(ANALYSES.c.id).limit(1)).all()

    def close(self) -> None:
        """Let go of the database's connections."""
        self._engine.dispose()

    def _has(self, analysis_id: str) -> bool:
        with self._engine.connect() as connection:
            return connection.scalar(select(ANALYSES.c.id).where(ANALYSES.c.id == analysis_id)) is not None


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    # An error's text goes to the log; without this it would carry the rows, and with them people's texts.
    options: dict[str, Any] = {"hide_parameters": True}
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_pre_ping=True, **options)
    if _in_memory(parsed):
        # A database in memory belongs to its connection: threads take turns with the one.
        one = {"pool_size": 1, "max_overflow": 0, "connect_args": {"check_same_thread": False}}
        options |= {"poolclass": QueuePool, **one}
    else:
        Path(parsed.database or "").parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed, **options)
    event.listen(engine, "connect", _set_up_sqlite)
    return engine


def _in_memory(url: URL) -> bool:
    return not url.database or url.database == ":memory:"


def _set_up_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in ("busy_timeout = 5000", "journal_mode = WAL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


@contextmanager
def _store_errors() -> Iterator[None]:
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


def _checked(analysis_id: str) -> str:
    """Ids are letters and digits; not every database takes any text (PostgreSQL refuses NUL)."""
    if not (analysis_id.isascii() and analysis_id.isalnum()):
        raise _not_found(analysis_id)
    return analysis_id


def _not_found(analysis_id: str) -> NotFound:
    return NotFound(f"there is no analysis {analysis_id!r}", remedy="POST /v1/senses makes one and tells its id")
