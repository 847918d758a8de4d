"""All that the database holds as one portable file, and back: from SQLite to PostgreSQL and the other way too.

A file is gzip over JSON lines: first what it is and of which schema, then a row a line, then how many rows there were,
so that one cut short is known. The parts of a running job are not in it: such a job begins anew where it is restored.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import DateTime, LargeBinary, Table, delete, func, insert, select, text
from sqlalchemy.engine import Connection, Engine

from analysis.errors import BadFile
from service.database import StoreError, newest, store_errors, utc
from service.tables import METADATA

FORMAT = "polyseme backup 1"
TABLES = {table.name: table for table in METADATA.sorted_tables}  # what is referred to comes first


class NotEmpty(StoreError):
    """The database holds something else than the backup."""


def write(engine: Engine, path: Path) -> dict[str, int]:
    """Everything as it is at one moment, to the file, whole or not at all; how many rows a table.

    Raises BadFile where the file cannot be written, StoreError.
    """
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with (
                os.fdopen(descriptor, "wb") as raw,
                gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) as file,
            ):
                counts = _write(engine, file)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        what = f"cannot write {path}: {error.strerror}"
        raise BadFile(what, remedy="name a file in a folder that you may write to") from error
    return counts


def read(engine: Engine, path: Path, *, replace: bool = False) -> dict[str, int]:
    """Everything in the file into the database, or nothing; how many rows a table.

    What is there already may stay where the file has it too, and the same. Raises BadFile for a file that is no whole
    backup of this version's schema, NotEmpty where something else is there and `replace` is not said, StoreError.
    """
    for _ in _rows(path):  # whole, before anything is touched
        pass
    counts: Counter[str] = Counter(dict.fromkeys(TABLES, 0))
    with store_errors(), engine.connect() as connection:
        _begin(connection, to_write=True)
        if replace:
            for table in reversed(TABLES.values()):
                connection.execute(delete(table))
        for table, row in _rows(path):
            counts[table.name] += 1
            if replace or not _is_there(connection, table, row):
                connection.execute(insert(table).values(row))
        for table in () if replace else TABLES.values():
            if connection.scalar(select(func.count()).select_from(table)) != counts[table.name]:
                raise _not_empty()
        connection.commit()
    return dict(counts)


def _write(engine: Engine, file: gzip.GzipFile) -> dict[str, int]:
    counts = dict.fromkeys(TABLES, 0)
    with store_errors(), engine.connect() as connection:
        _begin(connection, to_write=False)
        _line(file, {"format": FORMAT, "schema": newest()})
        for table in TABLES.values():
            # Bodies are large: a row at a time, whose ids are known before.
            for row_id in connection.scalars(select(table.c.id).order_by(table.c.id)).all():
                row = connection.execute(select(table).where(table.c.id == row_id)).mappings().one()
                _line(file, {"table": table.name, "row": {name: _plain(value) for name, value in row.items()}})
                counts[table.name] += 1
        _line(file, {"rows": sum(counts.values())})
    return counts


def _line(file: gzip.GzipFile, value: dict[str, Any]) -> None:
    file.write(json.dumps(value, ensure_ascii=False).encode() + b"\n")


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return utc(value).isoformat() if isinstance(value, datetime) else value


def _rows(path: Path) -> Iterator[tuple[Table, dict[str, Any]]]:
    """The rows of the file in its order, checked as they come. Raises BadFile."""
    number = 0
    told = None
    try:
        with gzip.open(path, "rb") as file:
            head = json.loads(file.readline())
            if head["format"] != FORMAT:
                raise ValueError
            if head["schema"] != newest():
                raise BadFile(
                    f"{path} is a backup of schema {head['schema']}; this version has {newest()}",
                    remedy="restore it with the version that wrote it, then start this one on that database",
                )
            for line in file:
                value = json.loads(line)
                if "rows" in value:
                    told = value["rows"]
                    continue
                yield _row(value)
                number += 1
    except OSError as error:
        # Also what is no gzip file at all.
        why = error.strerror or "it is not one that `polyseme db backup` wrote"
        raise BadFile(f"{path} cannot be read: {why}", remedy="give a backup") from error
    except (ValueError, KeyError, TypeError, EOFError, zlib.error) as error:
        raise BadFile(
            f"{path} is no backup, or is damaged", remedy="give a whole file of `polyseme db backup`"
        ) from error
    if told != number:
        raise BadFile(f"{path} is cut short after {number} rows", remedy="give a whole file of `polyseme db backup`")


def _row(value: dict[str, Any]) -> tuple[Table, dict[str, Any]]:
    table = TABLES[value["table"]]
    row = value["row"]
    if row.keys() != set(table.c.keys()):
        raise ValueError
    return table, {column.name: _typed(column.type, row[column.name]) for column in table.c}


def _typed(kind: Any, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(kind, DateTime):
        return utc(datetime.fromisoformat(value))
    return base64.b64decode(value, validate=True) if isinstance(kind, LargeBinary) else value


def _is_there(connection: Connection, table: Table, row: dict[str, Any]) -> bool:
    """Whether the row is in the table, the same. Raises NotEmpty for another one of its id."""
    found = connection.execute(select(table).where(table.c.id == row["id"])).mappings().one_or_none()
    if found is None:
        return False
    if any(_plain(found[name]) != _plain(value) for name, value in row.items()):
        raise _not_empty()
    return True


def _not_empty() -> NotEmpty:
    return NotEmpty(
        "the database holds something else than the backup",
        remedy="restore into an empty one, or say --replace to forget what it holds",
    )


def _begin(connection: Connection, *, to_write: bool) -> None:
    """One moment for all that is read, and no other writer beside one that restores."""
    if connection.dialect.name == "sqlite":
        connection.execute(text("BEGIN IMMEDIATE" if to_write else "BEGIN"))
        return
    connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
    if to_write:
        connection.execute(text(f"LOCK TABLE {', '.join(TABLES)} IN EXCLUSIVE MODE"))
