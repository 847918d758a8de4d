"""One text explained against a sense model: which of its words speak for the sense that the target has there.

SavedSenses, document -> attribute -> Attributed -> to_json
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import cast

import numpy as np

from analysis import senses
from analysis.assemble import flags, missing_notices, rounded, shown_text, word_drivers
from analysis.assigning import AssignedWith, Placed, assigned_with, check_encoder, place
from analysis.drivers import methods
from analysis.drivers.response import Response
from analysis.pipeline import Watch, unwatched
from analysis.record import Notice, WordDriver
from analysis.saved import SavedSenses
from analysis.text import FUNCTION_WORDS, Match, find
from analysis.types import Attribution, Document, Encoder, Usages

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class SenseChance:
    """How probable a sense of the model is for the usage."""

    id: str
    label: str
    probability: float


@dataclass(frozen=True, slots=True)
class AttributedUsage:
    """One use of the target and what drove its sense; fields of these names are those of an analysis's usage.

    `sense` is null where the model abstains or the usage is of none of its senses; the drivers then are about the
    nearest one, which is `explains`. `senses` has all of them, the likeliest first. `flags`: "known", "abstained",
    "none-of-these", "no-context", "window".
    """

    id: str
    source_id: str
    text: str
    text_start: int
    start: int
    end: int
    sense: str | None
    explains: str
    confidence: float
    runner_up: str | None
    margin: float | None
    gap: float | None
    senses: tuple[SenseChance, ...]
    drivers: tuple[WordDriver, ...]
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attributed:
    """The uses of a sense model's target in a text, each explained; `passes` counts texts through the model."""

    schema_version: int
    target: str
    sense_model: str
    model: str
    method: str
    budget: int
    usages: tuple[AttributedUsage, ...]
    warnings: tuple[Notice, ...]
    passes: int
    provenance: AssignedWith


def attribute(
    saved: SavedSenses,
    encoder: Encoder,
    documents: Sequence[Document],
    *,
    method: str = methods.DEFAULT,
    budget: int = methods.BUDGET,
    threshold: float = 0.0,
    match: Match | None = None,
    language: str | None = None,
    watch: Watch = unwatched,
) -> Attributed:
    """What drove the sense of each use of the model's target in the documents.

    Explained is the sense model's own probability; a usage that it was made of is left out of its sense's centroid.
    Raises as `assigning.assign` does, and BadOption or UnsupportedModel for a method or budget (`methods.explain`).
    """
    senses.check_threshold(threshold)
    check_encoder(saved, encoder.info)
    methods.check_method(method, encoder)
    methods.check_budget(budget)
    match, language = match or cast(Match, saved.provenance.match), language or saved.provenance.language
    found = find(documents, saved.model.target, match=match, language=language)
    n = len(found.occurrences)
    usages = encoder.encode(found.occurrences, attention=True, progress=watch("read", n))
    represented = senses.represent(usages.vectors, usages.context)
    placed = place(saved, represented, found.occurrences, threshold)
    # A row of zeros takes nothing out of a centroid: only what the sense model was made of is left out of it.
    members = represented * placed.known[:, None] if saved.model.weights is None else None
    response = Response(saved.model, placed.nearest, members)
    cost = methods.passes(encoder, usages, response, method=method, budget=budget)
    attributions = methods.explain(
        encoder,
        usages,
        response,
        method=method,
        budget=budget,
        function_words=FUNCTION_WORDS.get(language, ()),
        progress=watch("explain", cost),
    )
    return Attributed(
        schema_version=SCHEMA_VERSION,
        target=saved.model.target,
        sense_model=saved.id,
        model=encoder.info.name,
        method=method,
        budget=budget,
        usages=_usages(saved, usages, response, placed, attributions),
        warnings=tuple(missing_notices(found, saved.model.target)),
        passes=n + cost,
        provenance=assigned_with(encoder.info, match, language, threshold),
    )


def to_json(attributed: Attributed) -> str:
    """One JSON object; text stays readable (no \\u escapes)."""
    return json.dumps(asdict(attributed), ensure_ascii=False, allow_nan=False)


def _usages(
    saved: SavedSenses, usages: Usages, response: Response, placed: Placed, attributions: Sequence[Attribution]
) -> tuple[AttributedUsage, ...]:
    names, chances = saved.model.senses, response.probabilities(usages.vectors, usages.context, np.arange(len(usages)))
    runners_up = response.runner_up(chances)
    records = []
    for i, (use, attribution) in enumerate(zip(usages.occurrences, attributions, strict=True)):
        shown, k, nearest = shown_text(usages, i), int(placed.sense[i]), int(placed.nearest[i])
        rival = None if runners_up[i] < 0 else int(runners_up[i])
        told = {"window": len(shown.text) < len(use.text), "no-context": not attribution.words}
        records.append(
            AttributedUsage(
                id=f"u{i}",
                **shown._asdict(),
                sense=None if k < 0 else names[k],
                explains=names[nearest],
                confidence=rounded(chances[i, nearest]),
                runner_up=None if rival is None else names[rival],
                margin=None if rival is None else rounded(chances[i, nearest] - chances[i, rival]),
                gap=None if attribution.gap is None else rounded(attribution.gap),
                senses=tuple(
                    SenseChance(names[s], saved.labels[s], rounded(chances[i, s])) for s in np.argsort(-chances[i])
                ),
                drivers=word_drivers(attribution, shown.text_start, nearest, rival),
                flags=(*placed.flags[i], *flags(told)),
            )
        )
    return tuple(records)
