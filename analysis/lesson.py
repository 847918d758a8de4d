"""The lesson on self-attention as it is stored and sent: plain values, no arrays. analysis/complexity/ measures them.

Times are seconds, memory is bytes, lengths are words (positions). A `Series` is one line of a chart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, get_args, runtime_checkable

from analysis.types import Attention, FloatArray, ModelInfo

PartName = Literal["paths", "parallel", "cost", "variants", "masking", "cross", "exercise"]
Method = Literal["rnn", "lstm", "dense", "stepwise", "sparse", "linear"]
Matrix = tuple[tuple[float, ...], ...]
MODEL = "minilm"  # whose sentence is shown: a BERT, so that its weights are the softmax of q·k/√d and nothing else
TITLES: dict[PartName, str] = {
    "paths": "Every word is one step from every other",
    "parallel": "All words at once, or one after the other",
    "cost": "What it costs: n² numbers",
    "variants": "Cheaper attention, and what it gives up",
    "masking": "No looking ahead: the causal mask",
    "cross": "One text asks itself, or another: self- and cross-attention",
    "exercise": "Your turn",
}
PARTS: tuple[PartName, ...] = get_args(PartName)
LABELS: dict[Method, str] = {
    "rnn": "RNN (tanh)",
    "lstm": "LSTM",
    "dense": "dense self-attention",
    "stepwise": "the same attention, a word at a time",
    "sparse": "sliding-window attention",
    "linear": "linear attention",
}


@runtime_checkable
class Heads(Protocol):
    """A model that gives its queries and keys: what the three kinds of attention are compared on."""

    @property
    def info(self) -> ModelInfo: ...

    def attention(self, text: str) -> Attention: ...

    def queries_keys(self, text: str) -> tuple[FloatArray, FloatArray]:
        """f32 (L, H, T, d) each, with softmax(q·k/√d) the model's own attention. Raises UnsupportedModel."""
        ...


@dataclass(frozen=True, slots=True)
class Machine:
    """Where and when it was measured. `threads` are those that one operation may use; `dtype` that of the numbers."""

    processor: str
    threads: int
    torch: str
    dtype: str
    measured_at: str


@dataclass(frozen=True, slots=True)
class Point:
    """At length or distance `n`: the median of all repeats (or seeds), and the least and the greatest of them."""

    n: int
    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Series:
    method: Method
    points: tuple[Point, ...]

    def at(self, n: int) -> Point:
        """Raises KeyError where n was not measured."""
        for point in self.points:
            if point.n == n:
                return point
        raise KeyError(n)


@dataclass(frozen=True, slots=True)
class Exponent:
    """Cost grows as n to the power of `value` from `n_from` to `n_to`; `low`, `high` its 95 % bootstrap interval."""

    method: Method
    of: Literal["time", "memory"]
    value: float
    low: float
    high: float
    n_from: int
    n_to: int


@dataclass(frozen=True, slots=True)
class Paths:
    """How much of the gradient reaches a word that stands `n` words before the last.

    gradient  norm of d(output at the last word)/d(input at the first), absolute
    ratio     that norm over the norm for the last word's neighbour in the same text: 1 is "as near as the neighbour"
    steps     how many times a word's trace is rewritten on its way to the last word
    """

    machine: Machine
    seed: int
    repeats: int
    width: int
    gradient: tuple[Series, ...]
    ratio: tuple[Series, ...]
    steps: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class Parallel:
    """The time of one layer over n words. `overtaken`: the least n measured where the recurrent layer is the faster."""

    machine: Machine
    seed: int
    repeats: int
    width: int
    time: tuple[Series, ...]
    overtaken: int | None


@dataclass(frozen=True, slots=True)
class Cost:
    """One head over n words. `memory` is the most bytes alive at once beyond queries, keys and values, `matrix` those
    of the attention weights alone. `window`: neighbours seen on each side.
    """

    machine: Machine
    seed: int
    repeats: int
    width: int
    window: int
    time: tuple[Series, ...]
    memory: tuple[Series, ...]
    matrix: Series
    exponents: tuple[Exponent, ...]

    def exponent(self, method: Method, of: str = "time") -> Exponent:
        return next(one for one in self.exponents if (one.method, one.of) == (method, of))


@dataclass(frozen=True, slots=True)
class Variant:
    """One kind of attention on the sentence.

    weights   (T, T) of the shown head, rows sum to 1
    link      the one of the word `asks` for the word `asked`
    moved     the share of the dense attention that goes to other words here (total variation), mean of the rows
    spread    to how many words a row spreads (2 to the power of its entropy in bits), mean of the rows
    `moved` and `spread` are the shown head's; `_all` the median, the least and the greatest of all heads'.
    """

    method: Method
    weights: Matrix
    link: float
    moved: float
    moved_all: Point
    spread: float
    spread_all: Point


@dataclass(frozen=True, slots=True)
class Variants:
    """Dense, sliding-window and linear attention on the queries and keys that a model makes of a sentence.

    Shown is the head, of all `heads`, in which the unit `asks` looks most at the unit `asked` (indices of `units`).
    The model learnt its queries and keys for dense attention; one that is trained with another kind learns others.
    """

    model: str
    text: str
    layer: int
    head: int
    heads: int
    window: int
    units: tuple[str, ...]
    asks: int
    asked: int
    variants: tuple[Variant, ...]


@dataclass(frozen=True, slots=True)
class Masking:
    """What changes before the last word when the last word changes, with a causal mask and without: a toy layer.

    words, other   the text, and the last word that takes the place of its last
    changed        for each word, the largest change of its output; `causal` must be all 0 but for the last
    weights        (n, n) with the mask and without
    prefix_error   the largest difference between all outputs in one masked pass and each from its own beginning alone
    """

    seed: int
    words: tuple[str, ...]
    other: str
    changed_causal: tuple[float, ...]
    changed_free: tuple[float, ...]
    weights_causal: Matrix
    weights_free: Matrix
    prefix_error: float


@dataclass(frozen=True, slots=True)
class Worked:
    """Attention by hand: every step from the queries of `asking` over the keys of `asked` to the output."""

    asking: tuple[str, ...]
    asked: tuple[str, ...]
    queries: Matrix
    keys: Matrix
    values: Matrix
    scores: Matrix
    exponentials: Matrix
    weights: Matrix
    output: Matrix


@dataclass(frozen=True, slots=True)
class Cross:
    """The same arithmetic twice: a text that asks itself, and a second text that asks the first."""

    self_attention: Worked
    cross_attention: Worked


Part = Paths | Parallel | Cost | Variants | Masking | Cross
