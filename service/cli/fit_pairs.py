"""`polyseme fit-pairs`: the probability that two usages share a sense, learnt for any model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from analysis.errors import BadOption
from service.cli.common import Json, Model, Seed, load_encoder, settings, watching, write


def fit_pairs(
    path: Annotated[Path, typer.Argument(help="SemCor 3.0, its .tar.gz or its folder.")],
    model: Model = None,
    limit: Annotated[
        int | None, typer.Option(help="Read at most so many texts, drawn by the seed; 10000 when left out.")
    ] = None,
    seed: Seed = 0,
    json: Json = None,
) -> None:
    """Learn from SemCor how likely two usages of a word share a sense, for a model that ships without it.

    It is kept in the home folder and used from then on, unless it tells held-out pairs apart no better than the cosine.
    What was encoded is kept too: a run that is broken off goes on from where it was. 10000 texts take minutes with a
    small model and a quarter of an hour or more with a large one.
    """
    from dataclasses import asdict
    from json import dumps

    from analysis import same_sense
    from analysis.evaluation.outcome import Options
    from analysis.evaluation.pair_fit import fit_pairs as fit
    from analysis.evaluation.semcor import semcor

    home = settings().home
    Options(seed, limit)  # what is wrong with the options or the data is said before the model is loaded
    usages = list(semcor(path))
    encoder = load_encoder(model)
    with watching() as watch:
        options = Options(seed, limit, home / "evaluation", watch)
        found = fit(encoder, usages, options, text="SemCor, a sample of it")
    file = settings().pairs / f"{found.model.digest}.safetensors"
    if found.held_out.auroc <= found.held_out.cosine_auroc:
        raise BadOption(
            f"what {found.model.learnt.usages} usages taught is no better than the cosine: AUROC "
            f"{found.held_out.auroc:.3f} against {found.held_out.cosine_auroc:.3f} on held-out pairs; nothing is kept",
            remedy="give more texts with --limit",
        )
    same_sense.save(found.model, file)
    report = {"file": str(file), "learnt": asdict(found.model.learnt), "held_out": asdict(found.held_out)}
    if json:
        write(json, dumps(report, ensure_ascii=False) + "\n")
    if json != "-":
        learnt, held_out = found.model.learnt, found.held_out
        print(f"{learnt.encoder}: {learnt.usages} usages of {learnt.lemmas} lemmas, {learnt.pairs} pairs")
        print(
            f"On a tenth of the lemmas, held out ({held_out.pairs} pairs): AUROC {held_out.auroc:.3f} "
            f"(the cosine: {held_out.cosine_auroc:.3f}), "
            f"calibration error {held_out.calibration_error:.3f}"
        )
        print(f"Written to {file}")
