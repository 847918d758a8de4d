"""From arrays to the record: everything that was found out about one target, as an Analysis."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version

import numpy as np

from analysis import senses, stability
from analysis.drivers import Method, by_sense
from analysis.record import (
    SCHEMA_VERSION,
    Analysis,
    Notice,
    Provenance,
    Sense,
    SenseDriver,
    Stability,
    StaticComparison,
    Usage,
    WordDriver,
    to_json,
)
from analysis.text import Found, Match
from analysis.types import Assignment, Attribution, FloatArray, ModelInfo, Operator, SenseModel, Usages

LIBRARIES = ("polyseme", "torch", "transformers", "tokenizers", "scikit-learn", "numpy", "simplemma")


@dataclass(frozen=True, slots=True)
class Options:
    """What can be chosen about an analysis.

    match      "lemma" ("bank" finds "Banks") or "exact";  language  of the lemmas
    n_senses   None: from the data;  threshold  the confidence, 0..1, below which a usage gets no sense
    drivers    "occlusion", "attention" or "none";  operator  "delete" or "mask";  budget  words tried a usage
    explained  the most usages explained: a seeded sample, shared out over the senses, where there are more
    pairs      the most pairs of usages to list in the static comparison
    """

    match: Match = "lemma"
    language: str = "en"
    n_senses: int | None = None
    threshold: float = 0.0
    drivers: Method = "occlusion"
    operator: Operator = "delete"
    budget: int = 16
    explained: int = 100
    pairs: int = 0
    seed: int = 0


def assemble(
    found: Found,
    usages: Usages,
    model: SenseModel,
    assignment: Assignment,
    attributions: Mapping[int, Attribution],
    comparison: StaticComparison | None,
    held: stability.Stability | None,
    *,
    target: str,
    options: Options,
    info: ModelInfo,
    passes: dict[str, int],
) -> Analysis:
    """The Analysis of N usages; `attributions` by index of the usage. Its id is the SHA-256 of its content."""
    represented = senses.represent(usages.vectors, usages.context)
    analysis = Analysis(
        schema_version=SCHEMA_VERSION,
        id="",
        target=target,
        verdict=senses.verdict(model, len(usages)),
        senses=_senses(represented, model, assignment, attributions, held),
        usages=_usages(usages, represented, model, assignment, attributions),
        stability=held and Stability(*map(_rounded, held[:3])),
        faithfulness=None,
        static=comparison,
        warnings=_warnings(found, target, len(usages), len(attributions), options),
        provenance=_provenance(model, options, info, len(attributions), passes),
    )
    return replace(analysis, id=hashlib.sha256(to_json(analysis).encode()).hexdigest()[:20])


def sense_map(represented: FloatArray) -> FloatArray | None:
    """(N, R) -> (N, 2): the two principal axes, signs fixed by the largest entry; None for fewer than 3 usages.

    Distances on the map are approximate: two axes hold only a part of the variance.
    """
    if len(represented) < 3:
        return None
    centred = represented - represented.mean(axis=0)
    # The axes come from the small side: (N, N) for few usages, (R, R) for many.
    if len(centred) <= centred.shape[1]:
        values, left = np.linalg.eigh(centred @ centred.T)
        points = left[:, -2:][:, ::-1] * np.sqrt(np.maximum(values[-2:][::-1], 0))
    else:
        points = centred @ np.linalg.eigh(centred.T @ centred)[1][:, -2:][:, ::-1]
    signs = np.sign(points[np.abs(points).argmax(axis=0), [0, 1]])
    placed: FloatArray = (points * np.where(signs == 0, 1, signs)).astype(np.float32)
    return placed


def _senses(
    represented: FloatArray,
    model: SenseModel,
    assignment: Assignment,
    attributions: Mapping[int, Attribution],
    held: stability.Stability | None,
) -> tuple[Sense, ...]:
    explained = [i for i in attributions if assignment.sense[i] >= 0]
    words = by_sense(
        [attributions[i] for i in explained], [int(assignment.sense[i]) for i in explained], len(model.senses)
    )
    typical = senses.exemplars(represented, assignment, model)
    n, sizes = len(represented), np.bincount(assignment.sense[assignment.sense >= 0], minlength=len(model.senses))
    return tuple(
        Sense(
            id=name,
            label=_label(name, words[k]),
            size=int(sizes[k]),
            share=_rounded(sizes[k] / n),
            stability=held and _rounded(held.jaccard[k]),
            exemplars=tuple(f"u{i}" for i in typical[k]),
            drivers=words[k] if attributions else None,
        )
        for k, name in enumerate(model.senses)
    )


def _label(name: str, words: tuple[SenseDriver, ...]) -> str:
    return ", ".join(driver.word for driver in words[:3]) or name


def _usages(
    usages: Usages,
    represented: FloatArray,
    model: SenseModel,
    assignment: Assignment,
    attributions: Mapping[int, Attribution],
) -> tuple[Usage, ...]:
    points = sense_map(represented)
    records = []
    for i, occurrence in enumerate(usages.occurrences):
        low, high = window(usages, i)
        sense = int(assignment.sense[i])
        records.append(
            Usage(
                id=f"u{i}",
                source_id=occurrence.source_id,
                text=occurrence.text[low:high],
                text_start=low,
                start=occurrence.start - low,
                end=occurrence.end - low,
                sense=None if sense < 0 else model.senses[sense],
                confidence=_rounded(assignment.confidence[i]),
                drivers=_word_drivers(attributions[i], low) if i in attributions else None,
                map=None if points is None else (_rounded(points[i, 0]), _rounded(points[i, 1])),
                flags=_flags(window=high - low < len(occurrence.text), abstained=sense < 0),
            )
        )
    return tuple(records)


def window(usages: Usages, i: int) -> tuple[int, int]:
    """The characters that the model read: all, where no word was left outside."""
    text, own = usages.occurrences[i].text, [unit for unit in usages.words[i] if not unit.special]
    low, high = own[0].start, own[-1].end
    return (0 if not text[:low].strip() else low), (len(text) if not text[high:].strip() else high)


def _flags(**raised: bool) -> tuple[str, ...]:
    return tuple(name for name, is_raised in raised.items() if is_raised)


def _word_drivers(attribution: Attribution, low: int) -> tuple[WordDriver, ...]:
    """The words that were tried, strongest first."""
    tried = [k for k in np.argsort(-attribution.effects, kind="stable") if not np.isnan(attribution.effects[k])]
    return tuple(
        WordDriver(
            word=attribution.words[k].text,
            start=attribution.words[k].start - low,
            end=attribution.words[k].end - low,
            effect=_rounded(attribution.effects[k]),
            attention=_rounded(attribution.attention[k]),
        )
        for k in tried
    )


def missing_notices(found: Found, target: str) -> list[Notice]:
    """One notice that names the texts without the target, or none."""
    if not found.missing:
        return []
    one = len(found.missing) == 1
    texts, were = ("1 text does", "was") if one else (f"{len(found.missing)} texts do", "were")
    return [Notice("target-missing", f"{texts} not use {target!r} and {were} left out", found.missing)]


def _warnings(found: Found, target: str, n: int, n_explained: int, options: Options) -> tuple[Notice, ...]:
    notices = missing_notices(found, target)
    if options.drivers != "none" and n_explained < n:
        notices.append(
            Notice("sampled", f"{n_explained} of {n} usages were explained; 'explained' sets how many at most")
        )
    return tuple(notices)


def _provenance(
    model: SenseModel, options: Options, info: ModelInfo, n_explained: int, passes: dict[str, int]
) -> Provenance:
    return Provenance(
        model=info.name,
        source=info.source,
        revision=info.revision,
        digest=info.digest,
        causal=info.causal,
        layers=(info.layers,),
        pooling="mean over the target's subwords",
        representation=senses.REPRESENTATION,
        temperature=model.temperature,
        match=options.match,
        language=options.language,
        n_senses=options.n_senses,
        threshold=options.threshold,
        drivers=options.drivers,
        operator=options.operator,
        budget=options.budget,
        explained=n_explained,
        seed=options.seed,
        passes=passes,
        versions=versions(),
    )


def versions() -> dict[str, str]:
    """The versions of the libraries that a result depends on."""
    return {library: version(library) for library in LIBRARIES}


def _rounded(value: float | np.floating) -> float:
    return round(float(value), 6)
