"""The nouns. N usages, K senses, L layers, H heads, W words, D width; shapes are checked once, here.

Dataclasses that hold arrays compare by identity (`eq=False`). What is stored and sent is in `analysis/record.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from analysis.errors import BadSpan

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
Operator = Literal["delete", "mask"]
Path = Literal["gates", "mask", "zero"]
# "mask": it has a mask token; "gradients": `Encoder.gradients`; "values": `Encoder.value_zeroing`.
Ability = Literal["mask", "gradients", "values"]
Progress = Callable[[int], None]  # told how many more readings are done


def silent(_: int) -> None:
    """The progress that nobody watches."""


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open code points: `text[start:end]`."""

    start: int
    end: int

    def overlaps(self, other: Span) -> bool:
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True)
class Document:
    """One text as it was read. `spans` are the caller's own occurrences of the target; empty means: find them."""

    text: str
    id: str
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One use of the target: `text[start:end]` is its surface form; `target` is what was looked for."""

    text: str
    target: str
    start: int
    end: int
    source_id: str

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end <= len(self.text):
            raise BadSpan(
                f"span {self.start}:{self.end} is not inside text {self.source_id!r} of {len(self.text)} characters",
                remedy="give 0 <= start < end <= length, in code points, end excluded",
            )

    @property
    def surface(self) -> str:
        return self.text[self.start : self.end]

    @property
    def span(self) -> Span:
        return Span(self.start, self.end)


@dataclass(frozen=True, slots=True)
class Perturbed:
    """An occurrence read with some of its context words deleted, or replaced by the mask token."""

    occurrence: Occurrence
    removed: tuple[Span, ...]
    operator: Operator = "delete"


@dataclass(frozen=True, slots=True)
class Unit:
    """A word or subword of a text. A special token has `special` set, its own name as text, and an empty span."""

    text: str
    start: int
    end: int
    special: bool = False

    @property
    def span(self) -> Span:
        return Span(self.start, self.end)


@dataclass(frozen=True, eq=False)
class Attention:
    """Self-attention of one text: `weights[l, h, q, k]` is how much unit q attends to unit k.

    `weights` f32 (L, H, W, W); each row sums to 1. In a causal model, `weights[..., q, k] == 0` for k after q.
    """

    text: str
    units: tuple[Unit, ...]
    weights: FloatArray
    causal: bool

    def __post_init__(self) -> None:
        width = len(self.units)
        if self.weights.ndim != 4 or self.weights.shape[2:] != (width, width):
            raise ValueError(
                f"attention of {width} units needs weights (L, H, {width}, {width}), not {self.weights.shape}"
            )


@dataclass(frozen=True, eq=False)
class Usages:
    """N readings of the target, in the order asked for.

    vectors   f32 (N, D): the target's last hidden state, mean over its subwords
    context   f32 (N, D): the last hidden state, mean over the other subwords; zero where the target stands alone;
              (N, 0) where it was not asked for
    words     for each usage the words that were read (W_i), special tokens first and last where the model has them
    layers    f32 (N, len(layer_ids), D) or None: the target's hidden state at each layer asked for, 0 being the input
    target_attention   for each usage f32 (L, H, W_i), or None: the target's row of attention over `words`; sums to 1
    subwords  int (N) or None: how many subwords were read for each, special tokens included
    """

    occurrences: tuple[Occurrence, ...]
    vectors: FloatArray
    context: FloatArray
    words: tuple[tuple[Unit, ...], ...]
    layer_ids: tuple[int, ...] = ()
    layers: FloatArray | None = None
    target_attention: tuple[FloatArray, ...] | None = None
    subwords: IntArray | None = None

    def __post_init__(self) -> None:
        n = len(self.occurrences)
        bare = self.context.shape == (n, 0)
        if (
            self.vectors.shape[:1] != (n,)
            or not (bare or self.context.shape == self.vectors.shape)
            or len(self.words) != n
        ):
            raise ValueError(
                f"{n} occurrences, but vectors {self.vectors.shape}, context {self.context.shape}, "
                f"{len(self.words)} words"
            )
        if self.layers is not None and self.layers.shape[:2] != (n, len(self.layer_ids)):
            raise ValueError(f"layers {self.layers.shape} for {n} usages and layers {self.layer_ids}")

    def __len__(self) -> int:
        return len(self.occurrences)

    def take(self, indices: Sequence[int]) -> Usages:
        """The usages at the indices, in that order."""
        rows = list(indices)
        return Usages(
            occurrences=tuple(self.occurrences[i] for i in rows),
            vectors=self.vectors[rows],
            context=self.context[rows],
            words=tuple(self.words[i] for i in rows),
            layer_ids=self.layer_ids,
            layers=None if self.layers is None else self.layers[rows],
            target_attention=self.target_attention and tuple(self.target_attention[i] for i in rows),
            subwords=None if self.subwords is None else self.subwords[rows],
        )

    @property
    def n_subwords(self) -> int:
        """Of all readings together; 0 where it is not known."""
        return 0 if self.subwords is None else int(self.subwords.sum())


@dataclass(frozen=True, eq=False)
class Sentences:
    """N whole texts: `vectors` f32 (N, D), the mean of the last hidden state over all subwords, of length 1;
    `subwords` int (N), special tokens included.
    """

    vectors: FloatArray
    subwords: IntArray

    def __len__(self) -> int:
        return len(self.vectors)

    def take(self, indices: Sequence[int]) -> Sentences:
        """The texts at the indices, in that order."""
        rows = list(indices)
        return Sentences(self.vectors[rows], self.subwords[rows])

    @property
    def n_subwords(self) -> int:
        """Of all texts together."""
        return int(self.subwords.sum())


@dataclass(frozen=True, eq=False)
class SenseModel:
    """The senses of one target: `centroids` f32 (K, R), means of unit rows in the space of `senses.represent`.

    sizes        (K) usages a sense
    temperature  turns cosines, or a classifier's scores, into probabilities
    weights      f32 (K, R + 1) or None: a linear classifier learnt from labels, its last column the intercepts
    familiar     the lowest cosine to the nearest centroid at which a usage still counts as one of these senses
    """

    target: str
    senses: tuple[str, ...]
    centroids: FloatArray
    sizes: IntArray
    temperature: float
    weights: FloatArray | None = None
    familiar: float = -1.0

    def __post_init__(self) -> None:
        k, width = self.centroids.shape
        if len(self.senses) != k or self.sizes.shape != (k,):
            raise ValueError(
                f"{len(self.senses)} senses, but centroids {self.centroids.shape}, sizes {self.sizes.shape}"
            )
        if self.weights is not None and self.weights.shape != (k, width + 1):
            raise ValueError(f"weights {self.weights.shape} for {k} senses of width {width}")


@dataclass(frozen=True, eq=False)
class Assignment:
    """sense       int (N), an index into the model's senses; -1 abstains
    confidence  f32 (N), the probability of the likeliest sense
    novel       bool (N) or None where it was not asked: none of these senses
    """

    sense: IntArray
    confidence: FloatArray
    novel: NDArray[np.bool_] | None = None


@dataclass(frozen=True, eq=False)
class Attribution:
    """What each context word did to one usage's sense.

    words     (W) the context words, the target and special tokens left out
    effects   f32 (W), in the method's unit, positive where the word speaks for the sense; NaN where it was not tried
    ranking   int (W): all of the words, the one that drives most first
    attention f32 (W): the target's attention to the word, mean over layers and heads
    on_senses f32 (W, K) or None: the drop in each sense's probability without the word; NaN where it was not tried
    gap       what the response changes along a path beyond the sum of the effects; None for methods without a path
    """

    occurrence: Occurrence
    words: tuple[Unit, ...]
    effects: FloatArray
    ranking: IntArray
    attention: FloatArray
    method: str
    on_senses: FloatArray | None = None
    gap: float | None = None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which pretrained model: everything a result must say about it. `digest` is the weights' SHA-256.

    `layers` L attention layers (hidden states 0..L), `heads` H, `width` D, `window` the most subwords read at once.
    """

    name: str
    source: str
    revision: str
    digest: str
    layers: int
    heads: int
    width: int
    window: int
    causal: bool


class Respond(Protocol):
    """A number for each of n readings, and how it changes: what a gradient is the gradient of."""

    def __call__(
        self, vectors: FloatArray, context: FloatArray, which: IntArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The number (n), and its derivatives by `vectors` and by `context`, f32 (n, D) as these are.

        `which` (n) says whose reading each is.
        """
        ...


class Gradients(NamedTuple):
    """What a path from nothing to the whole text adds to a response, word by word.

    effects  for each usage f32 (W_i) over its words
    ends     f32 (N, 2): the response at the beginning of the path and at its end; None where it was not asked for
    """

    effects: tuple[FloatArray, ...]
    ends: FloatArray | None


class Encoder(Protocol):
    """Reads texts with one pretrained model. Tests have a fake of it; `analysis/model/encoder.py` the real one."""

    @property
    def info(self) -> ModelInfo: ...

    @property
    def abilities(self) -> frozenset[Ability]:
        """What it can do beyond reading texts."""
        ...

    def encode(
        self,
        readings: Sequence[Occurrence | Perturbed],
        *,
        layers: Sequence[int] = (),
        attention: bool = False,
        context: bool = True,
        progress: Progress = silent,
    ) -> Usages:
        """The target in each reading; results in the order given. `layers` are hidden states to keep, 0..L.

        Without `context`, which then is (N, 0), the last layer is computed for the target alone.
        """
        ...

    def sentences(self, texts: Sequence[str], *, progress: Progress = silent) -> Sentences:
        """Each text as one unit vector, in the order given."""
        ...

    def attention(self, text: str) -> Attention:
        """(L, H, T, T) over the subwords of one text, special tokens included."""
        ...

    def word_attention(self, occurrence: Occurrence) -> Attention:
        """(L, H, W, W) over the words that `encode` reads of an occurrence."""
        ...

    def gradients(
        self,
        occurrences: Sequence[Occurrence | Perturbed],
        respond: Respond,
        *,
        path: Path,
        points: Sequence[float],
        ends: bool = False,
        progress: Progress = silent,
    ) -> Gradients:
        """The response's gradient at `points`, 0 to 1, of a path to all that is read: their mean, times the way.

        "gates": the context fades out of all attention and of the context's mean; "mask", "zero": its embeddings turn
        into the mask token's, into nothing. A point costs a forward and a backward pass, which counts as two.
        """
        ...

    def value_zeroing(
        self, occurrences: Sequence[Occurrence], *, progress: Progress = silent
    ) -> tuple[FloatArray, ...]:
        """f32 (W_i) a usage: how far the target's state turns without a word's values, mean of the layers' shares."""
        ...

    def static(self, forms: Sequence[str]) -> FloatArray:
        """(F, D) rows of the embedding table, mean over a form's subwords: no context and no position in them."""
        ...
