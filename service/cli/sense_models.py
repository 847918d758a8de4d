"""`polyseme sense-models fit|show|rename|merge|split` and `polyseme assign`: senses that are kept in a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.common import (
    File,
    IdField,
    Json,
    Language,
    MatchBy,
    Model,
    Seed,
    Target,
    TextField,
    Threshold,
    load_encoder,
    read_documents,
    watching,
    write,
)

if TYPE_CHECKING:
    from analysis.saved import SavedSenses

sense_models_app = typer.Typer(help="Senses that are kept in a file, to put new usages in.", no_args_is_help=True)

Kept = Annotated[Path, typer.Argument(metavar="MODEL", help="A sense model's file, as --save writes it.")]
Sense = Annotated[str, typer.Argument(metavar="SENSE", help="The id of a sense, such as s0.")]
Save = Annotated[Path, typer.Option("--save", help="The file to write; it may be the one that was read.")]


@sense_models_app.command()
def fit(
    target: Target,
    labelled: Annotated[str, typer.Argument(help=".jsonl, .csv, .tsv or .parquet with labels; - reads JSON Lines.")],
    save: Save,
    label_field: Annotated[str, typer.Option(help="The field or column that holds the name of the sense.")] = "label",
    model: Model = None,
    text_field: TextField = "text",
    id_field: IdField = None,
    match: MatchBy = "lemma",
    language: Language = "en",
    seed: Seed = 0,
    json: Json = None,
) -> None:
    """Learn the senses of TARGET from texts that people labelled."""
    from analysis import fitting
    from analysis.corpus import read_labelled

    source = sys.stdin.buffer if labelled == "-" else Path(labelled)
    given = read_labelled(source, label_field=label_field, text_field=text_field, id_field=id_field)
    chosen: Any = match  # `find` says which there are
    encoder = load_encoder(model)
    with watching() as watch:
        saved, notices = fitting.fit(encoder, given, target, match=chosen, language=language, seed=seed, watch=watch)
    _write(saved, save, json)
    if json != "-":
        from service import terminal

        terminal.print_notices(notices)


@sense_models_app.command()
def show(model: Kept, json: Json = None) -> None:
    """The senses of a sense model, and what it was made with."""
    _print(_load(model), json)


@sense_models_app.command()
def rename(
    model: Kept,
    sense: Sense,
    label: Annotated[str, typer.Argument(help="A readable name.")],
    save: Save,
    json: Json = None,
) -> None:
    """Give a sense another label."""
    from analysis import edits

    _write(edits.rename(_load(model), sense, label), save, json)


@sense_models_app.command()
def merge(
    model: Kept,
    senses: Annotated[list[str], typer.Argument(metavar="SENSE SENSE...", help="The ids of two senses or more.")],
    save: Save,
    json: Json = None,
) -> None:
    """Make one sense of several."""
    from analysis import edits

    _write(edits.merge(_load(model), senses), save, json)


@sense_models_app.command()
def split(
    model: Kept,
    sense: Sense,
    save: Save,
    n_senses: Annotated[int, typer.Option(help="The number of senses to make of it.")] = 2,
    json: Json = None,
) -> None:
    """Make several senses of one."""
    from analysis import edits

    _write(edits.split(_load(model), sense, n_senses), save, json)


def assign(
    sense_model: Kept,
    file: File,
    threshold: Threshold = 0.0,
    model: Annotated[
        str | None, typer.Option(help="The model to read with; the sense model's own when left out.")
    ] = None,
    text_field: TextField = "text",
    id_field: IdField = None,
    match: Annotated[
        str | None, typer.Option(help="lemma or exact; as the sense model was made when left out.")
    ] = None,
    language: Annotated[str | None, typer.Option(help="Of the lemmas; as the sense model was made.")] = None,
    json: Json = None,
    csv: Annotated[
        str | None, typer.Option(help="Write a row a usage, keyword in context; - is standard output.")
    ] = None,
) -> None:
    """Put the usages in FILE into the senses of a sense model."""
    from analysis import assigning, senses

    saved = _load(sense_model)
    senses.check_threshold(threshold)
    documents = read_documents(file, text_field, id_field)
    chosen: Any = match
    encoder = load_encoder(model or saved.provenance.model)
    with watching() as watch:
        found = assigning.assign(
            saved, encoder, documents, threshold=threshold, match=chosen, language=language, watch=watch
        )
    if json:
        write(json, assigning.to_json(found) + "\n")
    if csv:
        write(csv, assigning.to_csv(found))
    if "-" not in (json, csv):
        from service import terminal

        terminal.print_assigned(found, saved.model.senses)
        for kind, path in (("JSON", json), ("CSV", csv)):
            if path:
                print(f"{kind} written to {path}")


def _load(path: Path) -> SavedSenses:
    from analysis import sensefile

    return sensefile.load(path)


def _write(saved: SavedSenses, path: Path, json: str | None) -> None:
    from analysis import sensefile

    sensefile.save(saved, path)
    _print(saved, json)
    if json != "-":
        print(f"Sense model written to {path}")


def _print(saved: SavedSenses, json: str | None) -> None:
    from analysis.saved import describe, to_json

    if json:
        write(json, to_json(saved) + "\n")
    if json != "-":
        from service import terminal

        terminal.print_sense_model(describe(saved))
