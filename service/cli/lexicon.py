"""`polyseme lexicon pull|fit` and `polyseme disambiguate`: the dictionary, WordNet 3.0."""

from __future__ import annotations

import sys

import typer

from service.cli.common import Json, settings, write

lexicon_app = typer.Typer(help="The dictionary, WordNet 3.0.", no_args_is_help=True)


@lexicon_app.command()
def pull(json: Json = None) -> None:
    """Bring WordNet 3.0 to this machine and check every file's digest. Afterwards no network is needed."""
    from json import dumps

    from analysis.lexicon import pull as pulling

    home = settings().home
    place = pulling.pull(home, say=lambda line: print(line, file=sys.stderr))
    if json:
        write(json, dumps({"source": pulling.source(home), "path": str(place)}, ensure_ascii=False) + "\n")
    if json != "-":
        print(f"WordNet 3.0 in {place}, from {pulling.source(home)}; its licence is beside it in {pulling.LICENCE}")
