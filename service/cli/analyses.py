"""`polyseme senses` and `polyseme compare`: an Analysis of one target."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from analysis.errors import BadOption
from service.cli.common import (
    Budget,
    Drivers,
    File,
    IdField,
    Json,
    Language,
    MatchBy,
    Model,
    NSenses,
    Seed,
    Target,
    TextField,
    Threshold,
    load_encoder,
    make_folder,
    read_documents,
    settings,
    watching,
    write,
)

if TYPE_CHECKING:
    from analysis.assemble import Options
    from analysis.pipeline import Induced
    from analysis.record import Analysis


def senses(
    target: Target,
    file: File,
    model: Model = None,
    text_field: TextField = "text",
    id_field: IdField = None,
    match: MatchBy = "lemma",
    language: Language = "en",
    n_senses: NSenses = None,
    threshold: Threshold = 0.0,
    drivers: Drivers = "occlusion",
    budget: Budget = 5,
    explained: Annotated[int, typer.Option(help="The most usages explained.")] = 100,
    faithfulness: Annotated[
        int, typer.Option(help="Of these, the most whose drivers are tested against random words.")
    ] = 20,
    fraction: Annotated[
        list[float] | None, typer.Option(help="A share of the words that this test takes away; may repeat.")
    ] = None,
    driver_form: Annotated[
        str, typer.Option(help="What is one word in a sense's drivers: surface or lemma.")
    ] = "surface",
    seed: Seed = 0,
    json: Json = None,
    html: Annotated[Path | None, typer.Option(help="Write one self-contained page.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write a row a usage, keyword in context.")] = None,
    parquet: Annotated[Path | None, typer.Option(help="The same rows as Parquet.")] = None,
    svg: Annotated[Path | None, typer.Option(metavar="DIR", help="Write every chart into the folder, as SVG.")] = None,
    png: Annotated[Path | None, typer.Option(metavar="DIR", help="The same charts as PNG.")] = None,
    dark: Annotated[bool, typer.Option("--dark", help="These charts for a dark page or slide.")] = False,
    attention: Annotated[
        bool, typer.Option("--attention", help="Keep the attention of exemplars; --html, --svg and --png always do.")
    ] = False,
    save: Annotated[Path | None, typer.Option(help="Keep the senses as a sense model, for `polyseme assign`.")] = None,
) -> None:
    """The senses of TARGET in FILE, and the context words that drove each."""
    from analysis import fitting, report, sensefile
    from service import terminal

    options = _options(
        match=match, language=language, n_senses=n_senses, threshold=threshold, drivers=drivers,
        budget=budget, explained=explained, faithfulness=faithfulness, driver_form=driver_form, seed=seed,
        attention=attention or bool(html or svg or png),
        **({"fractions": tuple(fraction)} if fraction else {}),
    )  # fmt: skip
    for folder in filter(None, (svg, png)):
        make_folder(folder)
    induced = _induced(target, file, model, text_field, id_field, options)
    analysis = induced.analysis
    if save:
        sensefile.save(fitting.keep(induced), save)
    if json:
        write(json, _json(analysis))
    if html:
        write(html, report.to_html(analysis))
    if csv:
        write(csv, report.to_csv(analysis))
    if parquet:
        write(parquet, report.to_parquet(analysis))
    if svg or png:
        drawn = _draw(analysis, {"svg": svg, "png": png}, dark=dark)
    if json != "-":
        terminal.print_senses(analysis)
        for kind, path in (
            ("JSON", json), ("HTML", html), ("CSV", csv), ("Parquet", parquet), ("Sense model", save),
        ):  # fmt: skip
            if path:
                print(f"{kind} written to {path}")
        if svg or png:
            print(drawn)


def compare(
    target: Target,
    file: File,
    model: Model = None,
    text_field: TextField = "text",
    id_field: IdField = None,
    match: MatchBy = "lemma",
    language: Language = "en",
    n_senses: NSenses = None,
    pairs: Annotated[int, typer.Option(min=1, help="The most pairs of usages to list.")] = 200,
    seed: Seed = 0,
    json: Json = None,
) -> None:
    """The one static vector of TARGET against its contextual ones, pair by pair and layer by layer."""
    from service import terminal

    options = _options(match=match, language=language, n_senses=n_senses, drivers="none", pairs=pairs, seed=seed)
    analysis = _induced(target, file, model, text_field, id_field, options).analysis
    if json:
        write(json, _json(analysis))
    if json != "-":
        terminal.print_comparison(analysis)


def _options(**chosen: Any) -> Options:
    from analysis.assemble import Options

    for name, known in (("match", ("lemma", "exact")), ("driver_form", ("surface", "lemma"))):
        if chosen.get(name, known[0]) not in known:
            raise BadOption(f"there is no {name} {chosen[name]!r}", remedy=f"choose from {', '.join(known)}")
    return Options(**chosen)


def _induced(
    target: str, file: str, model: str | None, text_field: str, id_field: str | None, options: Options
) -> Induced:
    from analysis.pipeline import induced
    from service.dictionary import Shelf

    # What is wrong with the file is said before the model takes its seconds to load.
    documents = read_documents(file, text_field, id_field)
    encoder = load_encoder(model)
    with watching() as watch:
        namer = None if options.pairs else Shelf(settings().home).name  # a comparison shows no names
        return induced(encoder, documents, target, options, pairs=settings().pairs, namer=namer, watch=watch)


def _draw(analysis: Analysis, folders: dict[str, Path | None], *, dark: bool) -> str:
    """Every chart into the folders, by ending; says which there are, and which the analysis has not enough for."""
    from analysis.charts import gallery, render
    from analysis.charts.frame import dark as in_dark

    word = re.sub(r"\W+", "-", analysis.target).strip("-")[:40] or "senses"
    charts = gallery.draw_all(analysis)
    for chart in charts:
        spec = in_dark(chart.spec) if dark else chart.spec
        for ending, to_file in (("svg", render.to_svg), ("png", render.to_png)):
            folder = folders[ending]
            if folder:
                write(folder / f"{word}-{chart.name}.{ending}", to_file(spec))
    into = " and ".join(dict.fromkeys(str(folder) for folder in folders.values() if folder))
    names = ", ".join(chart.name for chart in charts)
    without = "".join(f"\nNo chart {name}: {why}" for name, why in gallery.missing(analysis).items())
    return f"Charts written to {into}: {names}{without}"


def _json(analysis: Analysis) -> str:
    from analysis.record import to_json

    return to_json(analysis) + "\n"
