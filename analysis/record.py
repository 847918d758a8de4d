"""The Analysis as it is stored, sent and rendered: plain values, no arrays.

Its JSON form is a contract (`schema_version`): fields may be added, not renamed; a part that was not asked for is null.
Offsets are half-open code points. Effects are differences of probability, attention is a share of 1.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from analysis.errors import BadFile

SCHEMA_VERSION = 1
Verdict = Literal["several senses", "one sense", "too little data"]


@dataclass(frozen=True, slots=True)
class WordDriver:
    """A context word of one usage. `effect` is the drop in the probability of the usage's sense without the word.

    `start` and `end` are offsets into the usage's `text`. A negative effect argues against the sense. `margin` is the
    drop in the sense's lead over the usage's runner-up: why this sense and not that; null where the method cannot tell.
    `attention` is the target's attention to the word, mean over layers and heads: a hypothesis, where the effect is the
    measurement. Methods other than occlusion have effects in units of their own: see `drivers.methods`.
    """

    word: str
    start: int
    end: int
    effect: float
    attention: float
    margin: float | None = None


@dataclass(frozen=True, slots=True)
class SenseDriver:
    """A word over all explained usages of a sense: mean effect, its 95 % interval (null at support 1), support.

    `support` is the number of usages that the word was tried in, `exemplars` the ids of those where it did most.
    `specificity` is 1 for a word of this sense only, 0 for one that is as usual elsewhere; null in a contrast.
    """

    word: str
    effect: float
    low: float | None
    high: float | None
    support: int
    specificity: float | None = None
    exemplars: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Contrast:
    """Why the first of two senses and not the second: a positive effect speaks for the first, a negative against it."""

    senses: tuple[str, str]
    drivers: tuple[SenseDriver, ...]


@dataclass(frozen=True, slots=True)
class LexicalSense:
    """A dictionary sense that an induced one may be. `synset` is nltk's name, `key` WordNet's sense key; `score` is its
    probability, mean over the usages, among the word's senses and "none of these"."""

    synset: str
    key: str
    gloss: str
    score: float
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sense:
    """A group of usages. `label` is made of its drivers; `exemplars` are ids of its most typical usages.

    `stability` is the mean Jaccard index of the sense with what half of the usages give, 0 to 1; null for few usages.
    `lexicon` are dictionary senses, the best first, empty where none fits; null where no dictionary was asked.
    """

    id: str
    label: str
    size: int
    share: float
    stability: float | None
    exemplars: tuple[str, ...]
    drivers: tuple[SenseDriver, ...] | None
    lexicon: tuple[LexicalSense, ...] | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """One use of the target: `text[start:end]`.

    `text` is what the model read: the whole text, or for a long one the window around the target, which begins at
    code point `text_start` of the source. `sense` is null where the model abstains. `drivers` is null where the usage
    was not explained. `map` places the usage on the sense map (two principal axes). `flags`: "window", "abstained",
    "no-context" (nothing but the target, so there are no drivers).

    The drivers are about the sense `explains`, the nearest one where the model abstains; `margin` is its probability
    less that of the `runner_up`. `gap` is what a method by gradients leaves unexplained: the change along its path less
    the sum of the effects. All are null where the usage was not explained.
    """

    id: str
    source_id: str
    text: str
    text_start: int
    start: int
    end: int
    sense: str | None
    confidence: float
    drivers: tuple[WordDriver, ...] | None
    map: tuple[float, float] | None
    flags: tuple[str, ...]
    explains: str | None = None
    runner_up: str | None = None
    margin: float | None = None
    gap: float | None = None


@dataclass(frozen=True, slots=True)
class Form:
    """A surface form of the target: one static vector, `count` usages."""

    form: str
    count: int


@dataclass(frozen=True, slots=True)
class LayerSeparation:
    """How one layer tells the senses apart; `layer` is "static" for the embedding table, 0..L for hidden states,
    "averaged" for the mean of the static vectors of the context's words.

    cosine      mean over all pairs of usages
    within      mean over pairs of the same sense;  between  of different senses;  null where there are none
    auc         probability that a pair of the same sense is more similar than a pair of different senses; 0.5 is chance
    silhouette  mean cosine silhouette over usages (Rousseeuw 1987), -1 to 1
    """

    layer: Literal["static", "averaged"] | int
    cosine: float | None
    within: float | None
    between: float | None
    auc: float | None
    silhouette: float | None


@dataclass(frozen=True, slots=True)
class Pair:
    """Cosines of two usages: of their static vectors, and of their hidden states at layers 0..L.

    `averaged` is that of the means of the static vectors of their contexts' words. `same_sense` is false where one of
    them abstains.
    """

    a: str
    b: str
    same_sense: bool
    static: float
    layers: tuple[float, ...]
    averaged: float | None = None


@dataclass(frozen=True, slots=True)
class StaticComparison:
    """The word's static vectors against its contextual ones, over `n` usages; the rest only where pairs were asked for.

    `averaged` is the baseline without any attention: the static vectors of the other words, averaged. `maps` places the
    usages `ids` on two axes that are the same for all layers: first the static vectors, then layers 0..L.
    """

    n: int
    forms: tuple[Form, ...]
    layers: tuple[LayerSeparation, ...]
    pairs: tuple[Pair, ...] | None
    averaged: LayerSeparation | None = None
    ids: tuple[str, ...] | None = None
    maps: tuple[tuple[tuple[float, float], ...], ...] | None = None


@dataclass(frozen=True, slots=True)
class Stability:
    """Adjusted Rand index of the senses with those that half of the usages give: mean and 95 % range over the halves.

    At most 1; 0 is no better than chance. A single sense counts as 0: one group agrees with itself whatever the data.
    """

    ari: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over usages, and its 95 % bootstrap interval; null for a single usage."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Measures:
    """Drops in the probability of the sense, mean over fractions of the context's words (DeYoung et al. 2020).

    comprehensiveness  when the top words go: the more, the more they mattered
    sufficiency        when only the top words stay: the less, the more they were enough
    """

    comprehensiveness: Estimate
    sufficiency: Estimate


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """Whether the drivers of `n` usages drive: both measures beside those of as many random words.

    `operator` says how words were taken away, "delete" or "mask"; `level` is "analysis" or a sense's id; `advantage` is
    the comprehensiveness less random's. The drivers beat chance where its interval lies above 0.
    """

    method: str
    operator: str
    level: str
    n: int
    fractions: tuple[float, ...]
    comprehensiveness: Estimate
    sufficiency: Estimate
    random: Measures
    advantage: Estimate


@dataclass(frozen=True, slots=True)
class Similarity:
    """Cosines of usages with one another, as the grouping sees them, to three decimals; of at most 100 usages.

    `usages` are ids, a sense after the other; `cosines[i]` has those of usage i with the i usages before it.
    """

    usages: tuple[str, ...]
    cosines: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class UsageAttention:
    """Where the words of an exemplar look: shares of 1, to three decimals, layer by layer from 0.

    words    the W words that were read; `special` says which are the model's own, `target` which are the target's
    weights  (L, H, W): the target's attention to each word
    matrix   (L, W, W): each word's (a row) to each, mean over heads; null but for the first exemplar of a sense
    """

    usage: str
    words: tuple[str, ...]
    special: tuple[bool, ...]
    target: tuple[int, ...]
    weights: tuple[tuple[tuple[float, ...], ...], ...]
    matrix: tuple[tuple[tuple[float, ...], ...], ...] | None


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the caller should know: `kind` for programs, `message` for people, the texts that it concerns."""

    kind: str
    message: str
    source_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Provenance:
    """Everything needed to do it again: the model by digest, the options, the versions, and what it cost.

    `passes` counts texts through the model, by what they were for; a gradient counts as three.
    """

    model: str
    source: str
    revision: str
    digest: str
    causal: bool
    layers: tuple[int, ...]
    pooling: str
    representation: str
    temperature: float
    match: str
    language: str
    n_senses: int | None
    threshold: float
    drivers: str
    operator: str | None
    budget: int
    explained: int
    seed: int
    passes: dict[str, int]
    versions: dict[str, str]
    faithfulness: int = 0
    driver_form: str = "surface"


@dataclass(frozen=True, slots=True)
class Analysis:
    """One target over one set of texts. `id` is made of its content: the same analysis has the same id."""

    schema_version: int
    id: str
    target: str
    verdict: Verdict
    senses: tuple[Sense, ...]
    usages: tuple[Usage, ...]
    stability: Stability | None
    faithfulness: tuple[Faithfulness, ...] | None
    static: StaticComparison | None
    warnings: tuple[Notice, ...]
    provenance: Provenance
    contrasts: tuple[Contrast, ...] | None = None
    similarity: Similarity | None = None
    attention: tuple[UsageAttention, ...] | None = None

    def _repr_html_(self) -> str:
        """As a notebook shows it."""
        from analysis.notebook import show

        return show(self)


_ANALYSIS = TypeAdapter(Analysis)


def to_json(analysis: Analysis) -> str:
    """The contract's JSON; text stays readable (no \\u escapes)."""
    # dataclasses.asdict would first copy every number and text of it.
    return json.dumps(analysis, default=_shallow, ensure_ascii=False, allow_nan=False)


def _shallow(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(value)}


def from_json(text: str | bytes) -> Analysis:
    """The inverse of to_json. Raises BadFile where the text is not an Analysis of this schema."""
    try:
        return _ANALYSIS.validate_json(text)
    except ValidationError as error:
        raise BadFile(
            f"not an analysis: {error.errors()[0]['msg']}", remedy="give the JSON that `polyseme senses --json` wrote"
        ) from error
