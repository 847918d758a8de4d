"""From arrays to the record: everything that was found out about one target, as an Analysis."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.metadata import version
from itertools import combinations
from typing import Any, Literal, NamedTuple

import numpy as np

from analysis import senses, stability
from analysis.drivers import methods
from analysis.drivers.faithfulness import FRACTIONS
from analysis.drivers.response import Response
from analysis.drivers.words import by_sense, contrast
from analysis.pictures import sense_map
from analysis.record import (
    SCHEMA_VERSION,
    Analysis,
    Contrast,
    Faithfulness,
    LexicalSense,
    Notice,
    Provenance,
    Sense,
    SenseDriver,
    Similarity,
    Stability,
    StaticComparison,
    Usage,
    UsageAttention,
    WordDriver,
    to_json,
)
from analysis.text import FUNCTION_WORDS, Found, Match, lemma
from analysis.types import Assignment, Attribution, FloatArray, ModelInfo, SenseModel, Usages

DriverForm = Literal["surface", "lemma"]
LIBRARIES = ("polyseme", "torch", "transformers", "tokenizers", "scikit-learn", "numpy", "simplemma")


@dataclass(frozen=True, slots=True)
class Options:
    """What can be chosen about an analysis.

    match      "lemma" ("bank" finds "Banks") or "exact";  language  of the lemmas
    n_senses   None: from the data;  threshold  the confidence, 0..1, below which a usage gets no sense
    drivers    a name of `drivers.methods.NAMES`, or "none";  budget  passes a usage that it may spend on trying words
    explained  the most usages explained: a seeded sample, shared out over the senses, where there are more
    faithfulness  the most of these whose drivers are put to the test; 0 for none
    fractions  of a usage's words, each above 0 and up to 1, that the test takes away
    driver_form   "surface" or "lemma": what counts as the same word in the drivers of a sense
    pairs      the most pairs of usages to list in the static comparison
    attention  whether to keep the attention of the exemplars, for charts
    """

    match: Match = "lemma"
    language: str = "en"
    n_senses: int | None = None
    threshold: float = 0.0
    drivers: str = methods.DEFAULT
    budget: int = methods.BUDGET
    explained: int = 100
    faithfulness: int = 20
    fractions: tuple[float, ...] = FRACTIONS
    driver_form: DriverForm = "surface"
    pairs: int = 0
    attention: bool = False
    seed: int = 0


class Explained(NamedTuple):
    """The attributions by index of the usage, and the test of a sample of them; None where there was none."""

    attributions: Mapping[int, Attribution]
    faithfulness: tuple[Faithfulness, ...] | None


class Named(NamedTuple):
    """For each of K senses what it may be in the dictionary, None where none was asked; and a notice about it."""

    senses: tuple[tuple[LexicalSense, ...], ...] | None = None
    notice: Notice | None = None


class Pictured(NamedTuple):
    """What is for charts alone: see analysis/pictures.py."""

    similarity: Similarity | None
    attention: tuple[UsageAttention, ...] | None


def assemble(
    found: Found,
    usages: Usages,
    response: Response,
    assignment: Assignment,
    explained: Explained,
    comparison: StaticComparison | None,
    held: stability.Stability | None,
    pictured: Pictured,
    *,
    target: str,
    options: Options,
    info: ModelInfo,
    passes: dict[str, int],
    named: Named = Named(),  # noqa: B008 - frozen
) -> Analysis:
    """The Analysis of N usages, whose nearest senses the `response` has. Its id is the SHA-256 of its content."""
    represented, model = senses.represent(usages.vectors, usages.context), response.model
    attributions = explained.attributions
    analysis = Analysis(
        schema_version=SCHEMA_VERSION,
        id="",
        target=target,
        verdict=senses.verdict(model, len(usages)),
        senses=_senses(represented, model, assignment, attributions, held, options, named),
        usages=_usages(usages, represented, response, assignment, attributions),
        stability=held and Stability(*map(rounded, held[:3])),
        faithfulness=explained.faithfulness,
        static=comparison,
        warnings=_warnings(found, target, len(usages), len(attributions), options, named),
        provenance=_provenance(model, options, info, len(attributions), passes),
        contrasts=_contrasts(response, attributions, options),
        similarity=pictured.similarity,
        attention=pictured.attention,
    )
    return identified(analysis)


def identified(analysis: Analysis) -> Analysis:
    """The same with the id that its content has."""
    content = to_json(replace(analysis, id=""))
    return replace(analysis, id=hashlib.sha256(content.encode()).hexdigest()[:20])


def _senses(
    represented: FloatArray,
    model: SenseModel,
    assignment: Assignment,
    attributions: Mapping[int, Attribution],
    held: stability.Stability | None,
    options: Options,
    named: Named,
) -> tuple[Sense, ...]:
    explained = [i for i in attributions if assignment.sense[i] >= 0]
    words = by_sense(
        [attributions[i] for i in explained],
        [int(assignment.sense[i]) for i in explained],
        len(model.senses),
        ids=[f"u{i}" for i in explained],
        **_words(options),
    )
    typical = senses.exemplars(represented, assignment, model)
    n, sizes = len(represented), np.bincount(assignment.sense[assignment.sense >= 0], minlength=len(model.senses))
    return tuple(
        Sense(
            id=name,
            label=_label(name, words[k]),
            size=int(sizes[k]),
            share=rounded(sizes[k] / n),
            stability=held and rounded(held.jaccard[k]),
            exemplars=tuple(f"u{i}" for i in typical[k]),
            drivers=words[k] if attributions else None,
            lexicon=None if named.senses is None else named.senses[k],
        )
        for k, name in enumerate(model.senses)
    )


def _contrasts(
    response: Response, attributions: Mapping[int, Attribution], options: Options
) -> tuple[Contrast, ...] | None:
    """For each two senses what tells them apart; None where the method cannot say."""
    if not any(attribution.on_senses is not None for attribution in attributions.values()):
        return None
    of, nearest = list(attributions.values()), [int(response.sense[i]) for i in attributions]
    ids, names = [f"u{i}" for i in attributions], response.model.senses
    return tuple(
        Contrast((names[a], names[b]), contrast(of, nearest, (a, b), ids=ids, **_words(options)))
        for a, b in combinations(range(len(names)), 2)
    )


def _words(options: Options) -> dict[str, Any]:
    """What counts as the same word, and which words say little by themselves."""
    form = partial(lemma, language=options.language) if options.driver_form == "lemma" else str.lower
    return {"form": form, "function_words": FUNCTION_WORDS.get(options.language, frozenset())}


def _label(name: str, words: tuple[SenseDriver, ...]) -> str:
    return ", ".join(driver.word for driver in words[:3]) or name


def _usages(
    usages: Usages,
    represented: FloatArray,
    response: Response,
    assignment: Assignment,
    attributions: Mapping[int, Attribution],
) -> tuple[Usage, ...]:
    points, names = sense_map(represented), response.model.senses
    chances = response.probabilities(usages.vectors, usages.context, np.arange(len(usages)))
    runners_up = response.runner_up(chances)
    records = []
    for i, occurrence in enumerate(usages.occurrences):
        place = shown_text(usages, i)
        sense, nearest, second = int(assignment.sense[i]), int(response.sense[i]), int(runners_up[i])
        attribution = attributions.get(i)
        rival = None if attribution is None or second < 0 else second
        records.append(
            Usage(
                id=f"u{i}",
                **place._asdict(),
                sense=None if sense < 0 else names[sense],
                confidence=rounded(assignment.confidence[i]),
                drivers=None if attribution is None else word_drivers(attribution, place.text_start, nearest, rival),
                map=None if points is None else (rounded(points[i, 0]), rounded(points[i, 1])),
                flags=flags(
                    {
                        "window": len(place.text) < len(occurrence.text),
                        "abstained": sense < 0,
                        "no-context": attribution is not None and not attribution.words,
                    }
                ),
                explains=None if attribution is None else names[nearest],
                runner_up=None if rival is None else names[rival],
                margin=None if rival is None else rounded(chances[i, nearest] - chances[i, rival]),
                gap=None if attribution is None or attribution.gap is None else rounded(attribution.gap),
            )
        )
    return tuple(records)


class ShownText(NamedTuple):
    """A usage as a record shows it: see `record.Usage`."""

    source_id: str
    text: str
    text_start: int
    start: int
    end: int


def shown_text(usages: Usages, i: int) -> ShownText:
    """The text that the model read: all, where no word was left outside, else the window around the target."""
    use, own = usages.occurrences[i], [unit for unit in usages.words[i] if not unit.special]
    low, high = own[0].start, own[-1].end
    low, high = 0 if not use.text[:low].strip() else low, len(use.text) if not use.text[high:].strip() else high
    return ShownText(use.source_id, use.text[low:high], low, use.start - low, use.end - low)


def flags(raised: Mapping[str, bool]) -> tuple[str, ...]:
    return tuple(name for name, is_raised in raised.items() if is_raised)


def word_drivers(attribution: Attribution, low: int, sense: int, rival: int | None) -> tuple[WordDriver, ...]:
    """The words that were tried, strongest first; `low` is where the text begins that offsets are to count from.

    The margin is that of the index `sense` over the `rival`.
    """
    tried = [k for k in attribution.ranking if not np.isnan(attribution.effects[k])]
    every = attribution.on_senses
    return tuple(
        WordDriver(
            word=attribution.words[k].text,
            start=attribution.words[k].start - low,
            end=attribution.words[k].end - low,
            effect=rounded(attribution.effects[k]),
            attention=rounded(attribution.attention[k]),
            margin=None if every is None or rival is None else rounded(every[k, sense] - every[k, rival]),
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


def _warnings(
    found: Found, target: str, n: int, n_explained: int, options: Options, named: Named
) -> tuple[Notice, ...]:
    notices = missing_notices(found, target)
    if options.drivers != "none" and n_explained < n:
        notices.append(
            Notice("sampled", f"{n_explained} of {n} usages were explained; 'explained' sets how many at most")
        )
    if named.notice:
        notices.append(named.notice)
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
        operator=methods.METHODS[options.drivers].operator if options.drivers in methods.METHODS else None,
        budget=options.budget,
        explained=n_explained,
        seed=options.seed,
        passes=passes,
        versions=versions(),
        faithfulness=options.faithfulness,
        driver_form=options.driver_form,
    )


def versions() -> dict[str, str]:
    """The versions of the libraries that a result depends on."""
    return {library: _version(library) for library in LIBRARIES}


_version = cache(version)  # which reads a file for each


def rounded(value: float | np.floating) -> float:
    """To the six decimals that a record has."""
    return round(float(value), 6)
