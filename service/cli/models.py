"""`polyseme models list|pull|verify`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from analysis.errors import BadOption
from service.cli.common import Json, settings, write

models_app = typer.Typer(help="The pretrained models.", no_args_is_help=True)


@models_app.command("list")
def list_models(json: Json = None) -> None:
    """The models by short name, and which of them are on this machine."""
    from json import dumps

    from analysis.catalogue import CATALOGUE, pulled
    from service import terminal

    chosen = settings()
    here = {folder.name: folder for folder in pulled(chosen.home)}
    rows: list[dict[str, object]] = [
        {"name": source.name, "pulled": source.name in here, "source": source.repo, "about": source.about}
        for source in CATALOGUE.values()
    ]
    rows += [
        {"name": folder.name, "pulled": True, "source": folder.source, "about": ""}
        for folder in here.values()
        if folder.name not in CATALOGUE
    ]
    for row in rows:
        row["default"] = row["name"] == chosen.model
    if json:
        write(json, dumps(rows, ensure_ascii=False) + "\n")
    if json != "-":
        terminal.print_models(rows)


@models_app.command()
def pull(
    names: Annotated[list[str], typer.Argument(help="Short names, or Hub names such as org/model.")],
    json: Json = None,
) -> None:
    """Bring models to this machine and check every file's digest. Afterwards no network is needed."""
    _each_model(names, json, "pulled", lambda name, home: _catalogue().pull(name, home, say=_say))


@models_app.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="All that are on this machine, when left out.")] = None,
    json: Json = None,
) -> None:
    """Hash every file of the models again and compare with what was pinned."""
    chosen = names or [folder.name for folder in _catalogue().pulled(settings().home)]
    if not chosen:
        raise BadOption("no model is on this machine", remedy="get one with `polyseme models pull mpnet`")
    _each_model(chosen, json, "verified", lambda name, home: _catalogue().verify(home, name))


def _each_model(names: list[str], json: str | None, done: str, act: Callable[[str, Path], Any]) -> None:
    from json import dumps

    home = settings().home
    rows = []
    for name in names:
        folder = act(name, home)
        rows.append({"name": folder.name, "source": folder.source, "revision": folder.revision, "sha256": folder.digest,
                     "path": str(folder.path)})  # fmt: skip
        if json != "-":
            print(f"{name}: {done}, SHA-256 {folder.digest}")
    if json:
        write(json, dumps(rows, ensure_ascii=False) + "\n")


def _catalogue() -> Any:
    from analysis import catalogue

    return catalogue


def _say(line: str) -> None:
    print(line, file=sys.stderr)
