"""`polyseme disambiguate` and `polyseme lexicon pull|verify|fit`: the dictionary, WordNet 3.0."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from analysis.errors import BadOption
from service.cli.common import (
    Budget,
    IdField,
    Json,
    Model,
    Seed,
    TextField,
    load_encoder,
    read_documents,
    settings,
    watching,
    write,
)

if TYPE_CHECKING:
    from analysis.lexicon.disambiguate import Target
    from analysis.lexicon.wordnet import Lexicon, Pos
    from analysis.record import Notice
    from analysis.types import Document

lexicon_app = typer.Typer(help="The dictionary, WordNet 3.0.", no_args_is_help=True)


@lexicon_app.command()
def pull(json: Json = None) -> None:
    """Bring WordNet 3.0 to this machine and check every file's digest. Afterwards no network is needed."""
    from analysis.lexicon import pull as pulling

    _tell(pulling.pull(settings().home, say=lambda line: print(line, file=sys.stderr)), json)


@lexicon_app.command()
def verify(json: Json = None) -> None:
    """Hash every file of the dictionary again and compare with what was noted when it was pulled."""
    from analysis.lexicon import pull as pulling

    _tell(pulling.verify(settings().home), json)


def _tell(place: Path, json: str | None) -> None:
    from json import dumps

    from analysis.lexicon import pull as pulling

    source = pulling.source(settings().home)
    if json:
        write(json, dumps({"source": source, "path": str(place)}, ensure_ascii=False) + "\n")
    if json != "-":
        print(f"WordNet 3.0 in {place}, from {source}; its licence is beside it, in {pulling.LICENCE}")


@lexicon_app.command()
def fit(
    path: Annotated[
        Path, typer.Argument(help="SemCor's .tar.gz or folder of tag files, or the unified framework's XML.")
    ],
    model: Model = None,
    limit: Annotated[
        int | None, typer.Option(help="At most so many tagged usages, drawn by the seed; all when left out.")
    ] = None,
    seed: Seed = 0,
    json: Json = None,
) -> None:
    """Learn sense vectors for a model from sense-tagged text; `disambiguate` uses them from then on.

    They are one file in the home folder. What was encoded is kept too: a run that is broken off goes on from where it
    was. Each sentence is one reading of the model.
    """
    from dataclasses import asdict
    from json import dumps

    from analysis.evaluation.lexicon_fit import fit_vectors, read_tagged
    from analysis.evaluation.outcome import Options
    from analysis.lexicon import vectors, wordnet

    home = settings().home
    Options(seed, limit)  # what is wrong with the options or the data is said before the model is loaded
    instances = read_tagged(path)
    lexicon = wordnet.load(home)
    encoder = load_encoder(model)
    with watching() as watch:
        fitted = fit_vectors(
            encoder, lexicon, instances, Options(seed, limit, home / "evaluation", watch), text=path.name
        )
    file = vectors.save(fitted.vectors, home)
    report = {
        "file": str(file),
        "bytes": file.stat().st_size,
        "learnt": asdict(fitted.vectors.learnt),
        "held_out": fitted.held_out._asdict(),
        "unknown_keys": fitted.unknown_keys,
    }
    if json:
        write(json, dumps(report, ensure_ascii=False) + "\n")
    if json != "-":
        learnt, held_out = fitted.vectors.learnt, fitted.held_out
        print(f"{learnt.encoder}: {learnt.usages} usages of {learnt.senses} senses in {learnt.documents} documents")
        print(
            f"On {held_out.instances} usages of held-out documents: F1 {held_out.f1:.3f} "
            f"(glosses only {held_out.glosses_f1:.3f}, first sense {held_out.first_sense_f1:.3f})"
        )
        if fitted.unknown_keys:
            some = ", ".join(list(fitted.unknown_keys)[:5])
            print(f"Left out: {sum(fitted.unknown_keys.values())} tags whose keys WordNet 3.0 lacks, such as {some}")
        print(f"Written to {file} ({file.stat().st_size / 1e6:.1f} MB)")


def disambiguate(
    text: Annotated[str | None, typer.Argument(help="One text; or give --file.")] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(help="A word to look up; may repeat. Every word that the dictionary has, when left out."),
    ] = None,
    span: Annotated[
        list[str] | None, typer.Option(metavar="START:END", help="A place in TEXT, in code points, end excluded.")
    ] = None,
    file: Annotated[str | None, typer.Option(help="Texts: .txt, .jsonl, .csv, .tsv, .parquet; - reads lines.")] = None,
    pos: Annotated[str | None, typer.Option(help="n, v, a or r; any part of speech when left out.")] = None,
    threshold: Annotated[
        float, typer.Option(help="The least probability of the first sense; below it nothing is said.")
    ] = 0.35,
    drivers: Annotated[bool, typer.Option(help="Find the words that drove the first sense over the second.")] = True,
    budget: Budget = 5,
    model: Model = None,
    text_field: TextField = "text",
    id_field: IdField = None,
    json: Json = None,
) -> None:
    """Which sense of WordNet 3.0 a word has in TEXT, and the words that drove it."""
    from analysis.lexicon import disambiguate as lexical
    from analysis.lexicon import wordnet
    from service import lexicon_terminal
    from service.dictionary import Shelf

    documents = _documents(text, file, span, text_field, id_field)
    shelf = Shelf(settings().home)
    lexicon = shelf.lexicon()
    targets, notices = _targets(lexicon, documents, target or (), wordnet.check_pos(pos))
    encoder = load_encoder(model)
    with watching() as watch:
        found = lexical.disambiguate(
            encoder,
            shelf.dictionary(encoder),
            targets,
            threshold=threshold,
            drivers=drivers,
            budget=budget,
            warnings=notices,
            watch=watch,
        )
    if json:
        write(json, lexical.to_json(found) + "\n")
    if json != "-":
        lexicon_terminal.print_disambiguation(found)
        if json:
            print(f"JSON written to {json}")


def _documents(
    text: str | None, file: str | None, spans: list[str] | None, text_field: str, id_field: str | None
) -> list[Document]:
    from analysis import corpus
    from analysis.errors import BadSpan
    from analysis.types import Span

    if (text is None) == (file is None):
        raise BadOption("there is no text" if text is None else "both a text and a file", remedy="give TEXT or --file")
    if file is not None:
        if spans:
            raise BadOption("--span is about TEXT, not a file", remedy="give TEXT, or spans in a .jsonl file")
        return read_documents(file, text_field, id_field)
    (document,) = corpus.documents([str(text)])
    places = []
    for given in spans or ():
        start, _, end = given.partition(":")
        if not (start.isdecimal() and end.isdecimal() and int(start) < int(end) <= len(document.text)):
            raise BadSpan(
                f"the span {given!r} is not inside the text of {len(document.text)} characters",
                remedy="give START:END, in code points, end excluded",
            )
        places.append(Span(int(start), int(end)))
    return [type(document)(document.text, document.id, tuple(places))]


def _targets(
    lexicon: Lexicon, documents: list[Document], words: list[str] | tuple[str, ...], pos: Pos | None
) -> tuple[list[Target], list[Notice]]:
    from analysis.assemble import missing_notices
    from analysis.lexicon.disambiguate import Target, content_words, spans_of
    from analysis.text import find

    targets: list[Target] = []
    notices: list[Notice] = []
    for word in words:
        lexicon.lemmas(word, pos)
        found = find(documents, word)
        targets += [Target(use, word, pos) for use in found.occurrences]
        notices += missing_notices(found, word)
    if not words:
        for document in documents:
            own = spans_of(lexicon, document, pos) if document.spans else content_words(lexicon, [document], pos)
            targets += own
    if not targets:
        raise BadOption("the dictionary has no word of the text", remedy="give a text in English, or a --target")
    return targets, notices
