"""New usages put into the senses of a sense model (word sense disambiguation).

    SavedSenses, documents -> assign -> Assigned -> to_json, to_csv

A usage that the sense model was made of gets back the sense that it has there, known by its text and span, whatever the
geometry or a threshold says. Any other gets its most probable sense; none where no sense is near ("none-of-these") or
where the probability is below the threshold ("abstained").
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from analysis import senses
from analysis.assemble import missing_notices, shown_text, versions
from analysis.errors import ModelMismatch
from analysis.pipeline import Watch, unwatched
from analysis.record import Notice
from analysis.saved import SavedSenses, keys
from analysis.text import Match, context, find
from analysis.types import Document, Encoder, FloatArray, IntArray, ModelInfo, Occurrence, Usages

SCHEMA_VERSION = 1
COLUMNS = ("id", "source_id", "left", "keyword", "right", "sense", "label", "confidence", "start", "end", "flags")
KWIC_WIDTH = 60


@dataclass(frozen=True, slots=True)
class AssignedUsage:
    """One use of the target: `text[start:end]` in the window that was read, which begins at `text_start` of its source.

    `sense` and its `label` are null where the model abstains or the usage is of none of its senses. `confidence` is the
    probability of the sense, or of the likeliest one where there is none. `flags`:
    "known" (the sense model was made of it), "abstained", "none-of-these", "window" (the text is longer).
    """

    id: str
    source_id: str
    text: str
    text_start: int
    start: int
    end: int
    sense: str | None
    label: str | None
    confidence: float
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AssignedWith:
    """What the usages were assigned with: the pretrained model and the options."""

    source: str
    revision: str
    digest: str
    representation: str
    match: str
    language: str
    threshold: float
    versions: dict[str, str]


@dataclass(frozen=True, slots=True)
class Assigned:
    """New usages of a target in the senses of a sense model, whose id is `sense_model`; `model` read the texts."""

    schema_version: int
    target: str
    sense_model: str
    model: str
    usages: tuple[AssignedUsage, ...]
    warnings: tuple[Notice, ...]
    provenance: AssignedWith


def check_encoder(saved: SavedSenses, info: ModelInfo) -> None:
    """Raise ModelMismatch, with both names, unless the encoder has the weights that the sense model was made with."""
    made = saved.provenance
    if made.digest != info.digest:
        raise ModelMismatch(
            f"the sense model {saved.id} was made with {_named(made.model, made.revision, made.digest)}, "
            f"not with {_named(info.name, info.revision, info.digest)}",
            remedy=f"read the texts with --model {made.model} of that revision, or make the sense model anew",
        )
    if made.representation != senses.REPRESENTATION:
        raise ModelMismatch(
            f"the sense model {saved.id} was made by another version of Polyseme, which read usages as "
            f"{made.representation!r}, and this one as {senses.REPRESENTATION!r}",
            remedy="make the sense model anew",
        )


def assign(
    saved: SavedSenses,
    encoder: Encoder,
    documents: Sequence[Document],
    *,
    threshold: float = 0.0,
    match: Match | None = None,
    language: str | None = None,
    watch: Watch = unwatched,
) -> Assigned:
    """The sense of each use of the model's target in the documents; `match` and `language` as it was made, if None.

    Below `threshold`, a probability, a new usage gets no sense. Raises ModelMismatch for another encoder than the sense
    model's, BadOption for a threshold outside 0..1, TargetNotFound where no document uses the target; BadSpan and
    BadText as `Encoder.encode` does.
    """
    senses.check_threshold(threshold)
    check_encoder(saved, encoder.info)
    match, language = match or cast(Match, saved.provenance.match), language or saved.provenance.language
    found = find(documents, saved.model.target, match=match, language=language)
    usages = encoder.encode(found.occurrences, progress=watch("read", len(found.occurrences)))
    placed = place(saved, senses.represent(usages.vectors, usages.context), usages.occurrences, threshold)
    return Assigned(
        schema_version=SCHEMA_VERSION,
        target=saved.model.target,
        sense_model=saved.id,
        model=encoder.info.name,
        usages=_assigned(saved, usages, placed),
        warnings=tuple(missing_notices(found, saved.model.target)),
        provenance=assigned_with(encoder.info, match, language, threshold),
    )


def assigned_with(info: ModelInfo, match: Match, language: str, threshold: float) -> AssignedWith:
    """What an answer says of how it was made."""
    return AssignedWith(
        source=info.source,
        revision=info.revision,
        digest=info.digest,
        representation=senses.REPRESENTATION,
        match=match,
        language=language,
        threshold=float(threshold),
        versions=versions(),
    )


class Placed(NamedTuple):
    """N usages in the senses of a sense model.

    sense    int (N), -1 for none;  nearest  int (N), the likeliest one whatever stands against it
    chances  f32 (N, K);  known  bool (N): members of the sense model;  flags  for each usage, the window left out
    """

    sense: IntArray
    nearest: IntArray
    chances: FloatArray
    known: NDArray[np.bool_]
    flags: tuple[tuple[str, ...], ...]


def place(saved: SavedSenses, represented: FloatArray, occurrences: Sequence[Occurrence], threshold: float) -> Placed:
    """The sense of each usage, represented (N, R). Raises ModelMismatch where that is not the sense model's width."""
    if represented.shape[1] != saved.model.centroids.shape[1]:
        raise ModelMismatch(
            f"the sense model {saved.id} holds {saved.model.centroids.shape[1]} numbers a usage, and the model "
            f"{saved.provenance.model} gives {represented.shape[1]}",
            remedy="make the sense model anew",
        )
    placed = senses.assign(saved.model, represented, threshold=threshold)
    chances = senses.probabilities(saved.model, represented)
    member = dict(zip(saved.keys, saved.member_sense.tolist(), strict=True))
    novel = np.zeros(len(represented), dtype=bool) if placed.novel is None else placed.novel
    own = [member.get(key) for key in keys(occurrences)]
    sense = placed.sense.copy()
    flags: list[tuple[str, ...]] = []
    for i, k in enumerate(own):
        if k is not None:
            sense[i] = k
            flags.append(("known",) if k >= 0 else ("known", "abstained"))
        elif novel[i]:
            sense[i] = -1
            flags.append(("none-of-these",))
        else:
            flags.append(("abstained",) if sense[i] < 0 else ())
    nearest = np.where(sense >= 0, sense, chances.argmax(axis=1)).astype(np.int64)
    return Placed(sense, nearest, chances, np.array([k is not None for k in own]), tuple(flags))


def to_json(assigned: Assigned) -> str:
    """One JSON object; text stays readable (no \\u escapes)."""
    return json.dumps(asdict(assigned), ensure_ascii=False, allow_nan=False)


def to_csv(assigned: Assigned) -> str:
    """RFC 4180 text, a usage a row in keyword-in-context form, header first; columns are COLUMNS. A null is empty.

    `start` and `end` are code points in the source text; flags are parted by spaces.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for use in assigned.usages:
        keyword = context(use.text, use.start, use.end, KWIC_WIDTH)
        place = (use.text_start + use.start, use.text_start + use.end)
        writer.writerow(
            (use.id, use.source_id, *keyword, use.sense, use.label, use.confidence, *place, " ".join(use.flags))
        )
    return out.getvalue()


def _assigned(saved: SavedSenses, usages: Usages, placed: Placed) -> tuple[AssignedUsage, ...]:
    records = []
    for i, use in enumerate(usages.occurrences):
        shown, k = shown_text(usages, i), int(placed.sense[i])
        records.append(
            AssignedUsage(
                id=f"u{i}",
                **shown._asdict(),
                sense=None if k < 0 else saved.model.senses[k],
                label=None if k < 0 else saved.labels[k],
                confidence=round(float(placed.chances[i, placed.nearest[i]]), 6),
                flags=(*placed.flags[i], "window") if len(shown.text) < len(use.text) else placed.flags[i],
            )
        )
    return tuple(records)


def _named(name: str, revision: str, digest: str) -> str:
    return f"{name} (revision {revision[:12]}, weights {digest[:12]}…)"
