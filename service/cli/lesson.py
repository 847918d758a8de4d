"""`polyseme lesson`: what self-attention is and what it costs, measured on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from analysis.errors import BadOption, ModelError
from analysis.lesson import MODEL, PARTS, TITLES, Heads, PartName
from service.cli.common import Json, Model, Seed, load_encoder, watching, write


def lesson(
    parts: Annotated[
        list[str] | None, typer.Argument(metavar="[PART]...", help=f"{', '.join(PARTS)}; all when left out.")
    ] = None,
    answer: Annotated[
        str | None, typer.Option(help="Your answer to the exercise: a letter, or your own words.")
    ] = None,
    quick: Annotated[bool, typer.Option(help="Small sizes and few repeats.")] = False,
    seed: Seed = 0,
    model: Model = None,
    json: Json = None,
) -> None:
    """Why attention replaced recurrence, and what it costs: gradients, times and memory, measured in half a minute.

    PART chooses from the lesson. The model, minilm by default, reads the sentence of the part "variants".
    """
    from dataclasses import asdict
    from json import dumps

    from analysis.exercise import feedback
    from analysis.measuring import measure
    from service import lesson_terminal

    chosen = _chosen(parts, answer)
    told = None if answer is None else feedback(answer)
    shown, missing = {}, {}
    with watching() as watch:
        tick = watch("Measuring", len(chosen))
        for name in chosen:
            try:
                shown[name] = measure(name, lambda: _heads(model), quick=quick, seed=seed)
            except ModelError as error:
                if parts or model:  # asked for by name
                    raise
                missing[name] = str(error)
            tick(1)
    if json:
        found = {name: asdict(part) for name, part in shown.items()} | {"missing": missing}
        write(json, dumps(found if told is None else found | {"feedback": asdict(told)}, ensure_ascii=False) + "\n")
    if json != "-":
        for name in chosen:
            lesson_terminal.print_title(TITLES[name])
            if name in shown:
                lesson_terminal.print_part(shown[name])
            else:
                lesson_terminal.print_missing(missing[name])
        if told is not None:
            lesson_terminal.print_feedback(told)


def _chosen(parts: list[str] | None, answer: str | None) -> list[PartName]:
    for part in parts or ():
        if part not in PARTS:
            raise BadOption(f"the lesson has no part {part!r}", remedy=f"choose from {', '.join(PARTS)}")
    if answer is not None and not parts:
        return ["exercise"]
    return [name for name in PARTS if not parts or name in parts]


def _heads(model: str | None) -> Heads:
    encoder = load_encoder(model or MODEL)
    assert isinstance(encoder, Heads)  # noqa: S101 - every model that is loaded from a folder is one
    return encoder
