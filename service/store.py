"""Analyses and sense models by id, in SQLite or PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    DateTime,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    delete,
    event,
    insert,
    select,
)
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from analysis.errors import BadFile, PolysemeError
from analysis.record import Analysis, from_json, to_json
from analysis.saved import SavedSenses, summary
from analysis.sensefile import from_bytes, to_bytes

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
SENSE_MODELS = Table(
    "sense_models",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("created", DateTime(timezone=True), nullable=False),
    Column("about", Text, nullable=False),  # JSON: what a list says of it, so that no list reads bodies
    Column("body", LargeBinary, nullable=False),
)


class NotFound(PolysemeError):
    """Nothing is kept under the id."""


class StoreError(PolysemeError):
    """The database does not answer, or holds what this version cannot read."""


class Store:
    """Analyses and sense models, each in a table of the database at `url`. Safe to share between threads.

    Both have ids that are made of their content: to keep one again changes nothing. Every method raises StoreError
    where the database fails. "sqlite://" is a database in memory, gone with the Store.
    """

    def __init__(self, url: str) -> None:
        with _store_errors():
            self._engine = _engine(url)
            METADATA.create_all(self._engine)

    def save(self, analysis: Analysis) -> None:
        """Keep the analysis under its id."""
        self._insert(
            ANALYSES,
            {
                "id": analysis.id,
                "target": analysis.target,
                "model": analysis.provenance.model,
                "verdict": analysis.verdict,
                "created": datetime.now(UTC),
                "body": to_json(analysis),
            },
        )

    def get(self, analysis_id: str) -> Analysis:
        """The analysis. Raises NotFound."""
        body = self._body(ANALYSES, analysis_id)
        try:
            return from_json(body)
        except BadFile as error:
            raise StoreError(
                f"the analysis {analysis_id} was kept by another version", remedy="make the analysis again"
            ) from error

    def delete(self, analysis_id: str) -> None:
        """Forget the analysis. Raises NotFound."""
        self._delete(ANALYSES, analysis_id)

    def save_senses(self, saved: SavedSenses) -> bool:
        """Keep the sense model under its id; true where it was not there before."""
        about = json.dumps(summary(saved))
        row = {"id": saved.id, "created": datetime.now(UTC), "about": about, "body": to_bytes(saved)}
        return self._insert(SENSE_MODELS, row)

    def get_senses(self, model_id: str) -> SavedSenses:
        """The sense model. Raises NotFound."""
        body = self._body(SENSE_MODELS, model_id)
        try:
            return from_bytes(body)
        except BadFile as error:
            raise StoreError(
                f"the sense model {model_id} was kept by another version", remedy="make the sense model again"
            ) from error

    def list_senses(self, *, limit: int, offset: int = 0) -> list[dict[str, Any]]:
        """At most `limit` summaries of sense models, the last that were made first, after `offset` of them."""
        newest = select(SENSE_MODELS.c.about).order_by(SENSE_MODELS.c.created.desc(), SENSE_MODELS.c.id)
        with _store_errors(), self._engine.connect() as connection:
            return [json.loads(about) for about in connection.scalars(newest.limit(limit).offset(offset))]

    def delete_senses(self, model_id: str) -> None:
        """Forget the sense model; those made of it stay. Raises NotFound."""
        self._delete(SENSE_MODELS, model_id)

    def ping(self) -> None:
        """Read from the tables, so that a lost database or a missing table shows."""
        with _store_errors(), self._engine.connect() as connection:
            for table in (ANALYSES, SENSE_MODELS):
                connection.execute(select(table.c.id).limit(1)).all()

    def close(self) -> None:
        """Let go of the database's connections."""
        self._engine.dispose()

    def _insert(self, table: Table, row: dict[str, Any]) -> bool:
        with _store_errors():
            try:
                with self._engine.begin() as connection:
                    connection.execute(insert(table).values(row))
            except IntegrityError:
                if not self._has(table, row["id"]):
                    raise
                return False
        return True

    def _body(self, table: Table, row_id: str) -> Any:
        with _store_errors(), self._engine.connect() as connection:
            body = connection.scalar(select(table.c.body).where(table.c.id == _checked(table, row_id)))
        if body is None:
            raise _not_found(table, row_id)
        return body

    def _delete(self, table: Table, row_id: str) -> None:
        with _store_errors(), self._engine.begin() as connection:
            gone = connection.execute(delete(table).where(table.c.id == _checked(table, row_id))).rowcount
        if not gone:
            raise _not_found(table, row_id)

    def _has(self, table: Table, row_id: str) -> bool:
        with self._engine.connect() as connection:
            return connection.scalar(select(table.c.id).where(table.c.id == row_id)) is not None


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


def _checked(table: Table, row_id: str) -> str:
    """Ids are letters and digits; not every database takes any text (PostgreSQL refuses NUL)."""
    if not (row_id.isascii() and row_id.isalnum()):
        raise _not_found(table, row_id)
    return row_id


def _not_found(table: Table, row_id: str) -> NotFound:
    noun, route = ("analysis", "/v1/senses") if table is ANALYSES else ("sense model", "/v1/sense-models")
    return NotFound(f"there is no {noun} {row_id!r}", remedy=f"POST {route} makes one and tells its id")
