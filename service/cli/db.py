"""`polyseme db upgrade|backup|restore`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.cli.common import Json, settings, write

db_app = typer.Typer(help="The service's database: POLYSEME_DATABASE_URL, or SQLite in the home.", no_args_is_help=True)
File = Annotated[Path, typer.Argument(help="A file of `polyseme db backup`, such as polyseme.jsonl.gz.")]


@db_app.command()
def upgrade(json: Json = None) -> None:
    """Bring the tables to this version's schema; the service and the worker do so when they start."""
    from service import database

    engine = database.open_engine(settings().database)
    try:
        before, after = database.upgrade(engine)
    finally:
        engine.dispose()
    _say(json, {"before": before, "after": after}, f"the database is of revision {after}")


@db_app.command()
def backup(file: File, json: Json = None) -> None:
    """Write all that is kept to one file, which `restore` reads into SQLite or PostgreSQL alike."""
    from service import backup as backups
    from service.store import Store

    store = Store(settings().database)
    try:
        counts = backups.write(store.engine, file)
    finally:
        store.close()
    _say(json, counts, f"{_told(counts)} written to {file}")


@db_app.command()
def restore(
    file: File,
    replace: Annotated[bool, typer.Option("--replace", help="Forget what the database holds.")] = False,
    json: Json = None,
) -> None:
    """Read a backup into the database: all of it or, where something is wrong, nothing."""
    from service import backup as backups
    from service.store import Store

    store = Store(settings().database)
    try:
        counts = backups.read(store.engine, file, replace=replace)
    finally:
        store.close()
    _say(json, counts, f"{_told(counts)} restored from {file}")


def _told(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in counts.items())


def _say(json: str | None, facts: dict[str, int] | dict[str, str | None], line: str) -> None:
    from json import dumps

    if json:
        write(json, dumps(facts) + "\n")
    if json != "-":
        print(line)
