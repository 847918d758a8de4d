"""`polyseme evaluate`: the quality of any model on a public data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.cli.common import Json, Model, Seed, load_encoder, settings, watching, write


def evaluate(
    dataset: Annotated[
        str, typer.Argument(help="coarsewsd20, wsi-at-scale, semeval2013, semeval2010, wic, rawc, raganato or drivers.")
    ],
    path: Annotated[Path, typer.Argument(help="The data set's folder or file, as its authors publish it.")],
    model: Model = None,
    seed: Seed = 0,
    limit: Annotated[int | None, typer.Option(help="At most so many usages a word, drawn by the seed.")] = None,
    json: Json = None,
    predictions: Annotated[
        str | None, typer.Option(metavar="PATH", help="Write a row a usage, tab-separated; - is standard output.")
    ] = None,
) -> None:
    """The quality of a model's senses on DATASET, with the trivial baselines beside it; of its drivers on "drivers".

    What was encoded is kept in the home folder: a run that is broken off goes on from where it was.
    """
    from json import dumps

    from analysis.errors import BadOption
    from analysis.evaluation.outcome import Options, to_tsv
    from analysis.evaluation.run import prepare
    from service import evaluation_table

    if json == predictions == "-":
        raise BadOption("--json and --predictions are both standard output", remedy="name a file for one of them")
    home = settings().home
    Options(seed, limit)  # what is wrong with the options or the data is said before the model is loaded
    evaluation = prepare(dataset, path)
    encoder = load_encoder(model)
    with watching() as watch:
        outcome = evaluation(encoder, Options(seed, limit, home / "evaluation", watch, settings().pairs, home))
    if predictions:
        write(predictions, to_tsv(outcome))
    if json:
        write(json, dumps(outcome.report, ensure_ascii=False) + "\n")
    if "-" not in (json, predictions):
        evaluation_table.print_evaluation(outcome.report)
        for kind, file in (("JSON", json), ("Predictions", predictions)):
            if file:
                print(f"{kind} written to {file}")
