"""Which sense of the dictionary a word has in a text, and which words of the text drove it.

Target --candidates, encode, rank_vectors--> Ranked --explain--> Disambiguation --> to_json
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis import senses
from analysis.assemble import flags, rounded, shown_text
from analysis.drivers.methods import BUDGET, check_budget, context_words
from analysis.errors import NotInLexicon
from analysis.lexicon import scoring
from analysis.lexicon.glosses import Glosses
from analysis.lexicon.pos import evidence
from analysis.lexicon.vectors import SenseVectors
from analysis.lexicon.weights import Weights
from analysis.lexicon.wordnet import Entry, Lexicon, Pos
from analysis.pipeline import Watch, unwatched
from analysis.record import Notice, WordDriver
from analysis.text import FUNCTION_WORDS, words
from analysis.types import Document, Encoder, FloatArray, Occurrence, Perturbed, Unit, Usages

SCHEMA_VERSION = 1
THRESHOLD = 0.35  # of the first sense's probability: 9 in 10 usages of SemCor pass, 66 in 100 of these right
MOST_SHOWN = 10  # senses of a usage


class Dictionary(NamedTuple):
    """WordNet, its senses as one model reads them, and what was learnt for that model from tagged text, if any."""

    lexicon: Lexicon
    glosses: Glosses
    weights: Weights
    vectors: SenseVectors | None = None


class Target(NamedTuple):
    """A word in a text. `lemma` and `pos` are the caller's, where they are known; else the form tells."""

    occurrence: Occurrence
    lemma: str | None = None
    pos: Pos | None = None


class Ranked(NamedTuple):
    """The senses that a target can have, f64 (C) their probabilities, which sum to 1, in the dictionary's order."""

    entries: tuple[Entry, ...]
    chances: NDArray[np.float64]

    @property
    def best(self) -> int:
        return int(self.chances.argmax())


@dataclass(frozen=True, slots=True)
class LexicalChance:
    """A sense of the dictionary, and how probable it is here. `synset` is nltk's name, `key` WordNet's sense key."""

    synset: str
    key: str
    lemma: str
    pos: Pos
    gloss: str
    examples: tuple[str, ...]
    probability: float


@dataclass(frozen=True, slots=True)
class DisambiguatedUsage:
    """A word of a text, `text[start:end]`, and its senses, the likeliest first (MOST_SHOWN of `candidates`).

    `sense` is a sense key; null where the first sense's probability, the `confidence`, is below the threshold.
    `drivers` are words that speak for the first sense: `effect` is the drop of its probability without the word,
    `margin` the drop of its lead over the second; null where they were not asked. `flags`: "abstained", "one sense",
    "no-context", "window".
    """

    id: str
    source_id: str
    text: str
    text_start: int
    start: int
    end: int
    sense: str | None
    confidence: float
    candidates: int
    senses: tuple[LexicalChance, ...]
    drivers: tuple[WordDriver, ...] | None
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Disambiguation:
    """The usages in the order of the texts. `method` is "glosses" or "glosses and tagged text"; `tagged` is the SHA-256
    of the sense vectors' file, null without; `passes` counts texts through the model."""

    schema_version: int
    model: str
    digest: str
    dictionary: str
    method: str
    tagged: str | None
    threshold: float
    usages: tuple[DisambiguatedUsage, ...]
    warnings: tuple[Notice, ...]
    passes: int


def rank_vectors(
    dictionary: Dictionary,
    entries: Sequence[tuple[Entry, ...]],
    vectors: FloatArray,
    context: FloatArray,
    watch: Watch = unwatched,
    grammar: Sequence[Mapping[Pos, float]] = (),
) -> list[Ranked]:
    """For each of N usages, `vectors` and `context` f32 (N, D), its candidates and their probabilities.

    `grammar` says for each usage what speaks for a part of speech beforehand, in nats. Raises as `Encoder.encode` does.
    """
    every = list(dict.fromkeys(entry for own in entries if len(own) > 1 for entry in own))
    read = dict(zip(every, dictionary.glosses.of(every, watch), strict=True))
    ranked = []
    for i, own in enumerate(entries):
        if len(own) == 1:
            ranked.append(Ranked(own, np.ones(1)))
            continue
        glosses = [read[entry] for entry in own]
        scores = scoring.scores(own, glosses, vectors[i], context[i], dictionary.weights.scores, dictionary.vectors)
        if grammar:
            scores = scores + np.array([grammar[i].get(entry.pos, 0.0) for entry in own])
        ranked.append(Ranked(own, scoring.softmax(scores)))
    return ranked


def candidates(lexicon: Lexicon, target: Target) -> tuple[Entry, ...]:
    """The senses that the target can have. Raises NotInLexicon with the text's place."""
    return lexicon.candidates(target.lemma or target.occurrence.surface, target.pos)


def content_words(lexicon: Lexicon, documents: Sequence[Document], pos: Pos | None = None) -> list[Target]:
    """Every word of the documents that the dictionary has, but function words; a word is one token."""
    function_words = FUNCTION_WORDS["en"]
    found = []
    for document in documents:
        for unit in words(document.text):
            if unit.text.lower() in function_words or not any(c.isalpha() for c in unit.text):
                continue
            try:
                lexicon.lemmas(unit.text, pos)
            except NotInLexicon:
                continue
            found.append(Target(Occurrence(document.text, unit.text, unit.start, unit.end, document.id), None, pos))
    return found


def spans_of(lexicon: Lexicon, document: Document, pos: Pos | None = None) -> list[Target]:
    """The words at the spans of a document. Raises NotInLexicon, whose place is the span's number in it."""
    targets = []
    for j, span in enumerate(document.spans):
        use = Occurrence(document.text, document.text[span.start : span.end], span.start, span.end, document.id)
        try:
            lexicon.lemmas(use.surface, pos)
        except NotInLexicon as error:
            error.where = ("spans", j)
            raise
        targets.append(Target(use, None, pos))
    return targets


def disambiguate(
    encoder: Encoder,
    dictionary: Dictionary,
    targets: Sequence[Target],
    *,
    threshold: float = THRESHOLD,
    drivers: bool = True,
    budget: int = BUDGET,
    warnings: Sequence[Notice] = (),
    watch: Watch = unwatched,
) -> Disambiguation:
    """The senses of each target, ranked, and the words that drove the first over the second.

    A driver is found by leaving words out one at a time, `budget` of them, those that the target attends to most.
    Raises NotInLexicon, BadOption for the threshold or the budget, and as `Encoder.encode` does.
    """
    senses.check_threshold(threshold)
    check_budget(budget)
    entries = [candidates(dictionary.lexicon, target) for target in targets]
    passes: list[int] = []
    counted = _counting(passes, watch)
    usages = encoder.encode(
        [target.occurrence for target in targets], attention=drivers, progress=counted("read", len(targets))
    )
    grammar = [evidence(target.occurrence) for target in targets]
    ranked = rank_vectors(dictionary, entries, usages.vectors, usages.context, counted, grammar)
    explained = _explain(encoder, dictionary, usages, ranked, grammar, budget, counted) if drivers else None
    return Disambiguation(
        schema_version=SCHEMA_VERSION,
        model=encoder.info.name,
        digest=encoder.info.digest,
        dictionary="WordNet 3.0",
        method="glosses" if dictionary.vectors is None else "glosses and tagged text",
        tagged=None if dictionary.vectors is None else dictionary.vectors.digest,
        threshold=threshold,
        usages=tuple(
            _usage(usages, i, one, threshold, None if explained is None else explained[i])
            for i, one in enumerate(ranked)
        ),
        warnings=tuple(warnings),
        passes=sum(passes),
    )


def to_json(found: Disambiguation) -> str:
    """One JSON object; text stays readable (no \\u escapes)."""
    return json.dumps(asdict(found), ensure_ascii=False, allow_nan=False)


def _usage(
    usages: Usages, i: int, ranked: Ranked, threshold: float, drivers: tuple[WordDriver, ...] | None
) -> DisambiguatedUsage:
    shown, best = shown_text(usages, i), ranked.best
    confidence = rounded(ranked.chances[best])
    order = np.argsort(-ranked.chances, kind="stable")[:MOST_SHOWN]
    moved = None if drivers is None else tuple(
        WordDriver(d.word, d.start - shown.text_start, d.end - shown.text_start, d.effect, d.attention, d.margin)
        for d in drivers
    )  # fmt: skip
    told = {
        "abstained": confidence < threshold,
        "one sense": len(ranked.entries) == 1,
        "no-context": not len(context_words(usages, i)),
        "window": len(shown.text) < len(usages.occurrences[i].text),
    }
    return DisambiguatedUsage(
        id=f"u{i}",
        **shown._asdict(),
        sense=None if confidence < threshold else ranked.entries[best].key,
        confidence=confidence,
        candidates=len(ranked.entries),
        senses=tuple(_chance(ranked.entries[k], ranked.chances[k]) for k in order),
        drivers=moved,
        flags=flags(told),
    )


def _chance(entry: Entry, chance: float) -> LexicalChance:
    return LexicalChance(
        synset=entry.synset,
        key=entry.key,
        lemma=entry.lemma,
        pos=entry.pos,
        gloss=entry.gloss,
        examples=entry.examples,
        probability=rounded(chance),
    )


def _explain(
    encoder: Encoder,
    dictionary: Dictionary,
    usages: Usages,
    ranked: Sequence[Ranked],
    grammar: Sequence[Mapping[Pos, float]],
    budget: int,
    watch: Watch,
) -> list[tuple[WordDriver, ...]]:
    """For each usage the words that were left out, the one that speaks most for the first sense first."""
    tried: list[tuple[int, Unit, float]] = []
    for i, one in enumerate(ranked):
        if len(one.entries) > 1:
            tried += [(i, unit, attention) for unit, attention in _likeliest(usages, i, budget, FUNCTION_WORDS["en"])]
    if not tried:
        return [() for _ in ranked]
    readings = [Perturbed(usages.occurrences[i], (unit.span,)) for i, unit, _ in tried]
    without = encoder.encode(readings, progress=watch("explain", len(readings)))
    others = rank_vectors(
        dictionary,
        [ranked[i].entries for i, _, _ in tried],
        without.vectors,
        without.context,
        grammar=[grammar[i] for i, _, _ in tried],
    )
    found: list[list[WordDriver]] = [[] for _ in ranked]
    for (i, unit, attention), other in zip(tried, others, strict=True):
        first, second = np.argsort(-ranked[i].chances, kind="stable")[:2]
        drop = ranked[i].chances - other.chances
        found[i].append(
            WordDriver(
                unit.text,
                unit.start,
                unit.end,
                rounded(drop[first]),
                rounded(attention),
                rounded(drop[first] - drop[second]),
            )
        )
    return [tuple(sorted(own, key=lambda driver: -(driver.margin or 0.0))) for own in found]


def _likeliest(usages: Usages, i: int, budget: int, function_words: Collection[str]) -> list[tuple[Unit, float]]:
    """The `budget` context words that the target attends to most, content words first, each with that attention."""
    assert usages.target_attention is not None  # noqa: S101 - disambiguate asked for it
    attention = usages.target_attention[i].mean(axis=(0, 1))
    words_ = [(usages.words[i][k], float(attention[k])) for k in context_words(usages, i)]
    words_.sort(key=lambda one: (one[0].text.lower() in function_words, -one[1]))
    return words_[:budget]


def _counting(passes: list[int], watch: Watch) -> Watch:
    def counted(step: str, total: int):  # type: ignore[no-untyped-def]
        inner = watch(step, total)

        def progress(done: int) -> None:
            passes.append(done)
            inner(done)

        return progress

    return counted
