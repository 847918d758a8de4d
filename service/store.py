"""Analyses and sense models by id, in SQLite or PostgreSQL."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, Table, and_, delete, insert, or_, select
from sqlalchemy.engine import Engine
from sqlalchemy.exc import IntegrityError

from analysis.errors import BadFile, BadOption, PolysemeError
from analysis.record import Analysis, from_json, to_json
from analysis.saved import SavedSenses, summary
from analysis.sensefile import from_bytes, to_bytes
from service.database import StoreError, open_engine, store_errors, upgrade, utc
from service.tables import ANALYSES, METADATA, SENSE_MODELS

__all__ = ["ANALYSES", "METADATA", "SENSE_MODELS", "NotFound", "Page", "Store", "StoreError"]


class NotFound(PolysemeError):
    """Nothing is kept under the id."""


class Page(NamedTuple):
    """Some of a list, and the cursor of what comes after them; None at its end."""

    items: list[dict[str, Any]]
    next: str | None


class Store:
    """Analyses and sense models, each in a table of the database at `url`. Safe to share between threads.

    Both have ids that are made of their content: to keep one again changes nothing. Every method raises StoreError
    where the database fails. "sqlite://" is a database in memory, gone with the Store. Opening it climbs to the newest
    schema; raises NewerDatabase where it is newer than this version.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine = open_engine(url)
        try:
            upgrade(self._engine)
        except BaseException:
            self._engine.dispose()
            raise

    @property
    def engine(self) -> Engine:
        """The connections, for what else is kept in the same database."""
        return self._engine

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
                "usages": len(analysis.usages),
                "senses": len(analysis.senses),
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

    def list_analyses(self, *, limit: int, cursor: str | None = None) -> Page:
        """At most `limit` analyses without their bodies, the last that were made first, from the cursor on.

        Raises BadOption for a cursor that no list gave.
        """
        columns = [column for column in ANALYSES.c if column.name != "body"]
        rows, after = self._page(select(*columns), ANALYSES, limit, cursor)
        return Page([dict(row) | {"created": utc(row["created"])} for row in rows], after)

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

    def list_senses(self, *, limit: int, cursor: str | None = None) -> Page:
        """At most `limit` summaries of sense models, the last that were made first, from the cursor on.

        Raises BadOption for a cursor that no list gave.
        """
        columns = [column for column in SENSE_MODELS.c if column.name != "body"]
        rows, after = self._page(select(*columns), SENSE_MODELS, limit, cursor)
        return Page([json.loads(row["about"]) for row in rows], after)

    def delete_senses(self, model_id: str) -> None:
        """Forget the sense model; those made of it stay. Raises NotFound."""
        self._delete(SENSE_MODELS, model_id)

    def ping(self) -> None:
        """Read from the tables, so that a lost database or a missing table shows."""
        with store_errors(), self._engine.connect() as connection:
            for table in (ANALYSES, SENSE_MODELS):
                connection.execute(select(table.c.id).limit(1)).all()

    def close(self) -> None:
        """Let go of the database's connections."""
        self._engine.dispose()

    def _page(self, columns: Select[Any], table: Table, limit: int, cursor: str | None) -> tuple[list[Any], str | None]:
        """Rows by time and id, so that no row is shown twice or left out when others come or go meanwhile."""
        created, row_id = table.c.created, table.c.id
        query = columns.order_by(created.desc(), row_id).limit(limit + 1)
        if cursor is not None:
            when, last = _place(cursor)
            query = query.where(or_(created < when, and_(created == when, row_id > last)))
        with store_errors(), self._engine.connect() as connection:
            rows = list(connection.execute(query).mappings())
        if len(rows) <= limit:
            return rows, None
        end = rows[limit - 1]
        return rows[:limit], _cursor(end["created"], end["id"])

    def _insert(self, table: Table, row: dict[str, Any]) -> bool:
        with store_errors():
            try:
                with self._engine.begin() as connection:
                    connection.execute(insert(table).values(row))
            except IntegrityError:
                if not self._has(table, row["id"]):
                    raise
                return False
        return True

    def _body(self, table: Table, row_id: str) -> Any:
        with store_errors(), self._engine.connect() as connection:
            body = connection.scalar(select(table.c.body).where(table.c.id == _checked(table, row_id)))
        if body is None:
            raise _not_found(table, row_id)
        return body

    def _delete(self, table: Table, row_id: str) -> None:
        with store_errors(), self._engine.begin() as connection:
            gone = connection.execute(delete(table).where(table.c.id == _checked(table, row_id))).rowcount
        if not gone:
            raise _not_found(table, row_id)

    def _has(self, table: Table, row_id: str) -> bool:
        with self._engine.connect() as connection:
            return connection.scalar(select(table.c.id).where(table.c.id == row_id)) is not None


def _checked(table: Table, row_id: str) -> str:
    """Ids are letters and digits; not every database takes any text (PostgreSQL refuses NUL)."""
    if not (row_id.isascii() and row_id.isalnum()):
        raise _not_found(table, row_id)
    return row_id


def _not_found(table: Table, row_id: str) -> NotFound:
    noun, route = ("analysis", "/v1/senses") if table is ANALYSES else ("sense model", "/v1/sense-models")
    return NotFound(f"there is no {noun} {row_id!r}", remedy=f"POST {route} makes one and tells its id")


def _cursor(created: datetime, row_id: str) -> str:
    """Where a page ended, as text that a query may hold; what it says is nobody's concern but `_place`'s."""
    return base64.urlsafe_b64encode(f"{utc(created).isoformat()} {row_id}".encode()).decode()


def _place(cursor: str) -> tuple[datetime, str]:
    """The inverse of _cursor. Raises BadOption."""
    try:
        created, row_id = base64.b64decode(cursor, altchars=b"-_", validate=True).decode("ascii").split(" ")
        when = utc(datetime.fromisoformat(created))
        if when.tzinfo is not UTC or not row_id.isalnum():
            raise ValueError
    except (ValueError, OverflowError):  # binascii's error is a ValueError
        raise BadOption("the cursor is not one that a list gave", remedy="give `next` of the page before") from None
    return when, row_id
