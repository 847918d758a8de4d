"""`polyseme corpus`: the main job over files of any size, for many targets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from analysis.errors import BadOption
from service.cli.common import (
    Budget,
    Drivers,
    IdField,
    Json,
    Language,
    MatchBy,
    Model,
    NSenses,
    Seed,
    TextField,
    Threshold,
    load_encoder,
    settings,
    watching,
    write,
)

if TYPE_CHECKING:
    from analysis.corpora.engines import Engine
    from analysis.types import Encoder


def corpus(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Files, folders or patterns: .txt, .jsonl, .csv, .tsv, each also with .gz, and .parquet.",
        ),
    ],
    target: Annotated[list[str], typer.Option(help="An ambiguous word; repeat it for more words in the same pass.")],
    out: Annotated[Path, typer.Option(help="The folder to write to, new or empty.")],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the folder that was broken off.")
    ] = False,
    sample: Annotated[
        str,
        typer.Option(metavar="N|all", help="The most usages of each target to read, drawn by the seed; all for all."),
    ] = "10000",
    fit: Annotated[int, typer.Option(help="Of these, the most to learn the senses from; the others join them.")] = 2000,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first text that cannot be read.")] = False,
    engine: Annotated[str, typer.Option(help="local: in this process; ray: on many, here or on a cluster.")] = "local",
    address: Annotated[
        str | None,
        typer.Option(help="A Ray cluster that this machine is in: HOST:PORT, or auto; left out: this machine alone."),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Ray workers; as many as there is room for.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="The threads of each Ray worker.")] = 1,
    gpu: Annotated[bool, typer.Option("--gpu", help="Give each Ray worker a GPU.")] = False,
    model: Model = None,
    text_field: TextField = "text",
    id_field: IdField = None,
    match: MatchBy = "lemma",
    language: Language = "en",
    n_senses: NSenses = None,
    threshold: Threshold = 0.0,
    drivers: Drivers = "occlusion",
    budget: Budget = 5,
    explained: Annotated[int, typer.Option(help="The most usages of a target explained.")] = 100,
    faithfulness: Annotated[
        int, typer.Option(help="Of these, the most whose drivers are tested against random words.")
    ] = 20,
    seed: Seed = 0,
    json: Json = None,
) -> None:
    """The senses of each TARGET in a corpus of any size, written to a folder."""
    from analysis.assemble import Options
    from analysis.catalogue import resolve
    from analysis.corpora.folder import Folder, to_json
    from analysis.corpora.run import Plan, run
    from analysis.corpora.sources import find_files

    # What is wrong with the files or the options is said before the model takes its seconds to load.
    size, files = _number(sample), find_files(paths, outside=out)
    chosen: Any = match  # the search says which there are
    home = settings()
    name = model or home.model
    plan = Plan(
        targets=tuple(target),
        model=name,
        digest=resolve(name, home.home).digest,
        options=Options(
            match=chosen, language=language, n_senses=n_senses, threshold=threshold, drivers=drivers, budget=budget,
            explained=explained, faithfulness=faithfulness, seed=seed,
        ),
        text_field=text_field, id_field=id_field, sample=size, fit=fit, strict=strict, pairs=home.pairs,
    )  # fmt: skip
    with _engine(engine, plan.digest, name, address, workers, threads, gpu) as chosen_engine, watching() as watch:
        report = run(Folder(out), files, plan, chosen_engine, resume=resume, watch=watch)
    if json:
        from dataclasses import asdict

        write(json, to_json(asdict(report)))
    if json != "-":
        from service import terminal_corpus

        terminal_corpus.print_report(report, out)


@dataclass(frozen=True, slots=True)
class Loader:
    """Loads the model of that name. It travels to the workers, and takes the folder of the models from their own
    environment."""

    model: str

    def __call__(self) -> Encoder:
        return load_encoder(self.model)


@contextmanager
def _engine(
    name: str, digest: str, model: str, address: str | None, workers: int | None, threads: int, gpu: bool
) -> Iterator[Engine]:
    """The engine of that name, closed behind its use. Raises BadOption for another name."""
    if name == "ray":
        from analysis.corpora.ray_engine import Ray, Workers

        ray = Ray(Loader(model), digest, address=address, workers=Workers(workers, threads, gpu))
        try:
            ray.connect()  # before the files are searched, which may take long
            yield ray
        finally:
            ray.close()
        return
    if name != "local":
        raise BadOption(f"there is no engine {name!r}", remedy="choose from local, ray")
    if address is not None or workers is not None or gpu:
        raise BadOption("--address, --workers and --gpu are for Ray", remedy="add --engine ray, or leave them out")

    from analysis.corpora.engines import Local

    yield Local(Loader(model))


def _number(sample: str) -> int | None:
    """Raises BadOption for what is neither a number nor "all"."""
    if sample == "all":
        return None
    if not sample.isdecimal():
        raise BadOption(f"--sample {sample!r} is no number", remedy="give a whole number, or all")
    return int(sample)
