"""Where words look: the matrix, the target's lines to the words, and both over layers.

Each is drawn from Readings: the exemplars of an Analysis, or a text of which the whole attention is there. A reader
chooses among readings, layers and heads; the mean is what is there at first, and all that a picture on paper shows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np

from analysis.charts.frame import (
    BLUES,
    MASKED,
    MUTED,
    TEXT,
    Cell,
    Chart,
    Row,
    Table,
    blues,
    cut,
    framed,
    letters,
    sentence,
)  # fmt: skip
from analysis.record import Analysis, UsageAttention
from analysis.types import Attention, FloatArray

NOT_PROOF = "Attention is not explanation: what drives a sense is measured by leaving words out."
STEP = 20  # pixels a word


@dataclass(frozen=True, eq=False)
class Reading:
    """A text's W words and what they attend to, layers first: `weights` (L, H, W, W), or (L, H, W) from the target.

    `special` says which words are the model's own; `target` which are the target's.
    """

    label: str
    words: tuple[str, ...]
    special: tuple[bool, ...]
    target: tuple[int, ...]
    weights: FloatArray

    @property
    def aside(self) -> list[bool]:
        """The special tokens and signs: much attention rests on them, and next to it no word's would be seen."""
        return [
            special or (k not in self.target and not any(c.isalnum() for c in word))
            for k, (word, special) in enumerate(zip(self.words, self.special, strict=True))
        ]


def matrix(attention: Attention, *, layers: Sequence[int], heads: Sequence[int], special: bool = True) -> Chart:
    """The self-attention of one text; `layers` and `heads` are the numbers of those that it has.

    `special`: whether special tokens are shown at first. What they hide is not shared out among the others.
    """
    reading = Reading(
        label=attention.text,
        words=tuple(unit.text for unit in attention.units),
        special=tuple(unit.special for unit in attention.units),
        target=(),
        weights=attention.weights,
    )
    return _matrix([reading], layers, heads, causal=attention.causal, special=special)


def exemplar_matrix(analysis: Analysis) -> Chart:
    """The self-attention of the first exemplar of each sense, mean over heads."""
    readings = [
        Reading(label, held.words, held.special, held.target, np.array(held.matrix, dtype=np.float32)[:, None])
        for label, held in _labelled(analysis)
        if held.matrix is not None
    ]
    layers = range(readings[0].weights.shape[0])
    return _matrix(readings, layers, (), causal=analysis.provenance.causal)


def target_lines(analysis: Analysis) -> Chart:
    """From the target to each word a line, the wider the more it attends to it."""
    readings = _readings(analysis)
    n_layers, n_heads = readings[0].weights.shape[:2]
    words: list[Row] = [
        {"reading": r, "at": k, "word": cut(word, 18), "target": k in reading.target, "aside": aside[k],
         "start": float(np.mean(reading.target)), "w": _rounded(weights[:, :, k])}
        for r, reading in enumerate(readings)
        for weights, aside in [(_with_means(reading.weights), reading.aside)]
        for k, word in enumerate(reading.words)
    ]  # fmt: skip
    longest = max(len(reading.words) for reading in readings)
    y = alt.Y("at:Q", axis=None, scale=alt.Scale(domain=[longest - 0.5, -0.5], nice=False))

    def x(place: float) -> alt.X:
        return alt.X(datum=place, type="quantitative", axis=None, scale=alt.Scale(domain=[0, 1], nice=False))

    base = (
        alt.Chart(alt.NamedData("words"))
        .transform_filter("datum.reading == reading")
        .transform_calculate(weight=f"datum.w[layer * {_choices(n_heads)} + head]")
    )
    lines = (
        base.transform_filter("!datum.aside")
        .transform_joinaggregate(largest="max(weight)")
        .transform_calculate(part="datum.weight / max(datum.largest, 0.001)")
        .mark_rule(color=BLUES[3], strokeCap="round")
        .encode(
            x=x(0.28), x2=alt.datum(0.62), y=alt.Y("start:Q", axis=None, scale=y["scale"]), y2="at:Q",
            strokeWidth=alt.StrokeWidth("part:Q", scale=alt.Scale(domain=[0, 1], range=[0.3, 9]), legend=None),
            strokeOpacity=alt.StrokeOpacity("part:Q", scale=alt.Scale(domain=[0, 1], range=[0.12, 0.85]), legend=None),
            tooltip=[alt.Tooltip("word:N"), alt.Tooltip("weight:Q", format=".3f", title="attention")],
        )
    )  # fmt: skip
    text = base.encode(y=y, text="word:N")
    left: dict[str, Any] = {"align": "right", "dx": -9}
    right: dict[str, Any] = {"align": "left", "dx": 9}
    marks = [
        text.transform_filter("!datum.target").mark_text(color=MUTED, **left).encode(x=x(0.28)),
        text.transform_filter("datum.target").mark_text(color=TEXT, fontWeight="bold", **left).encode(x=x(0.28)),
        text.transform_filter("datum.aside").mark_text(color=MUTED, **right).encode(x=x(0.62)),
        text.transform_filter("!datum.aside").mark_text(color=TEXT, **right).encode(x=x(0.62)),
        base.mark_text(color=MUTED, align="right").encode(y=y, x=x(0.97), text=alt.Text("weight:Q", format=".3f")),
    ]
    return framed(
        alt.layer(lines, *marks).add_params(
            _reading(readings), _choice("layer", range(n_layers)), _choice("head", range(n_heads))
        ),
        name="attention-lines",
        title=_looks(analysis, readings),
        caption="Lines go from the target to the words it attends to; the widest is the largest share of those shown. "
        f"The numbers are shares of 1; special tokens and signs have no line. {NOT_PROOF}",
        table=_top_words(readings),
        data={"words": words},
        height=STEP * longest,
    )


def target_layers(analysis: Analysis) -> Chart:
    """The target's attention to each word at each layer, mean over heads."""
    readings = _readings(analysis)
    n_layers = readings[0].weights.shape[0]
    shown: list[Row] = [
        {"reading": r, "at": k, "word": word, "weight": _rounded(reading.weights[:, :, k].mean(axis=1))}
        for r, reading in enumerate(readings)
        for k, (word, aside) in enumerate(zip(reading.words, reading.aside, strict=True))
        if not aside
    ]
    largest = max(0.01, *(weight for row in shown for weight in row["weight"]))
    layers = alt.Axis(title="layer (0 is the lowest)", labelAngle=0, grid=False)
    cells = (
        alt.Chart(alt.NamedData("words"))
        .transform_filter("datum.reading == reading")
        .transform_calculate(layer=f"sequence({n_layers})")
        .transform_flatten(["layer", "weight"])
        .mark_rect()
        .encode(
            x=alt.X("layer:O", axis=layers),
            y=alt.Y("at:O", axis=_words_axis(None)),
            fill=alt.Fill("weight:Q", scale=blues(0, largest), legend=_legend("attention (share of 1)", largest)),
            tooltip=[alt.Tooltip("word:N"), alt.Tooltip("layer:O"),
                     alt.Tooltip("weight:Q", format=".3f", title="attention")],
        )
    )  # fmt: skip
    return framed(
        cells.add_params(_reading(readings), _words(readings)),
        name="attention-layers",
        title=_over_layers(analysis, readings),
        caption="The target's attention to each word, mean over heads, from the lowest layer to the highest. Special "
        f"tokens and signs, which have the rest, are left out. {NOT_PROOF}",
        table=_by_layer(readings),
        data={"words": shown},
        height=STEP * max(len(reading.words) for reading in readings),
    )


def _matrix(
    readings: Sequence[Reading], layers: Sequence[int], heads: Sequence[int], *, causal: bool, special: bool = True
) -> Chart:
    n_heads = _choices(len(heads))
    # A row a word, and in it what it attends to: this may be half of a page's bytes.
    rows: list[Row] = [
        {"reading": r, "q": q, "w": [_rounded(weights[:, :, q, k]) for k in range(len(reading.words))]}
        for r, reading in enumerate(readings)
        for weights in [_with_means(reading.weights)]
        for q in range(len(reading.words))
    ]
    slanted: dict[str, Any] = {"labelAngle": -45, "labelAlign": "left", "labelPadding": 8}
    base = (
        alt.Chart(alt.NamedData("rows"))
        .transform_filter("datum.reading == reading")
        .transform_calculate(k="sequence(length(datum.w))")
        .transform_flatten(["k", "w"])
        .transform_filter("special || !(own[reading][datum.q] || own[reading][datum.k])")
        .transform_calculate(
            weight=f"datum.w[layer * {n_heads} + head]",
            masked=f"{json.dumps(causal)} && datum.k > datum.q",
            query="words[reading][datum.q]",
            key="words[reading][datum.k]",
        )
        .encode(
            x=alt.X("k:O", axis=_words_axis("to: the word that is looked at", orient="top", **slanted)),
            y=alt.Y("q:O", axis=_words_axis("from: the word that looks")),
        )
    )
    seen = base.transform_filter("!datum.masked").mark_rect(aria=False).encode(
        fill=alt.Fill("weight:Q", scale=blues(0, 1), legend=_legend("attention (share of 1)", 1)),
        tooltip=[alt.Tooltip("query:N", title="from"), alt.Tooltip("key:N", title="to"),
                 alt.Tooltip("weight:Q", format=".3f", title="attention")],
    )  # fmt: skip
    masked = base.transform_filter("datum.masked")
    future = [masked.mark_rect(fill=MASKED, aria=False), masked.mark_text(text="-", color=MUTED, aria=False)]
    longest = max(len(reading.words) for reading in readings)
    return framed(
        alt.layer(seen, *(future if causal else ())).add_params(
            *([_reading(readings)] if len(readings) > 1 else [alt.param("reading", value=0)]),
            _choice("layer", layers),
            _choice("head", heads),
            _words(readings),
            alt.param("own", value=[list(reading.special) for reading in readings]),
            alt.param("special", value=special, **_tick(readings)),
        ),
        name="attention-matrix",
        title=_sinks(readings),
        caption="A row is what one word attends to; with the special tokens it sums to 1"
        f"{'' if heads else '; mean over heads'}. "
        f"{'A word sees nothing after itself: “-”. ' if causal else ''}{NOT_PROOF}",
        table=_top_pairs(readings),
        data={"rows": rows},
        height=min(560, max(160, 26 * longest)),
        aspect=True,
    )


# what is chosen from


def _choices(n: int) -> int:
    """How many there are to choose from: the mean too, where it is one of several."""
    return n + 1 if n > 1 else 1


def _with_means(weights: FloatArray) -> FloatArray:
    """(L, H, ...) -> (L + 1, H + 1, ...): the means come first; an axis of one has none."""
    for axis in (0, 1):
        if weights.shape[axis] > 1:
            weights = np.concatenate([weights.mean(axis=axis, keepdims=True), weights], axis=axis)
    return weights


def _choice(noun: str, numbers: Sequence[int]) -> alt.Parameter:
    if len(numbers) < 2:
        return alt.param(noun, value=0)
    labels = ["mean", *(str(number) for number in numbers)]
    return alt.param(noun, value=0, bind=alt.binding_select(
        options=list(range(len(labels))), labels=labels, name=f"{noun.capitalize()} "))  # fmt: skip


def _reading(readings: Sequence[Reading]) -> alt.Parameter:
    return alt.param("reading", value=0, bind=alt.binding_select(
        options=list(range(len(readings))), labels=[reading.label for reading in readings], name="Usage "))  # fmt: skip


def _tick(readings: Sequence[Reading]) -> dict[str, Any]:
    any_special = any(any(reading.special) for reading in readings)
    return {"bind": alt.binding_checkbox(name="Special tokens ")} if any_special else {}


def _words(readings: Sequence[Reading]) -> alt.Parameter:
    return alt.param("words", value=[[cut(word, 18) for word in reading.words] for reading in readings])


def _words_axis(title: str | None, **how: Any) -> alt.Axis:
    return alt.Axis(title=title, labelExpr="words[reading][datum.value]", labelOverlap=False, ticks=False,
                    domain=False, grid=False, **how)  # fmt: skip


def _legend(title: str, largest: float) -> alt.Legend:
    return alt.Legend(title=title, direction="horizontal", gradientLength=220, values=[0, largest], format=".2~f")


def _readings(analysis: Analysis) -> list[Reading]:
    return [
        Reading(label, held.words, held.special, held.target, np.array(held.weights, dtype=np.float32))
        for label, held in _labelled(analysis)
    ]


def _labelled(analysis: Analysis) -> list[tuple[str, UsageAttention]]:
    letter, by_id = letters(analysis), {usage.id: usage for usage in analysis.usages}
    return [
        (f"{letter[by_id[held.usage].sense]} · {cut(sentence(by_id[held.usage], 30), 50)}", held)
        for held in analysis.attention or ()
    ]


# what is seen


def _context(reading: Reading) -> list[int]:
    """The words around the target."""
    return [k for k, aside in enumerate(reading.aside) if not aside and k not in reading.target]


def _attended(reading: Reading) -> list[tuple[str, float]]:
    """The words that the target attends to most, its own left out: mean over layers and heads."""
    mean = reading.weights.mean(axis=(0, 1))
    others = _context(reading)
    return [(reading.words[k], round(float(mean[k]), 3)) for k in sorted(others, key=lambda k: -mean[k])]


def _looks(analysis: Analysis, readings: Sequence[Reading]) -> str:
    first = {reading.label[0]: top[0][0] for reading in reversed(readings) if (top := _attended(reading))}
    told = ", ".join(f"“{cut(first[letter], 16)}” in {letter}" for letter in sorted(first)[:3])
    return f"“{cut(analysis.target, 30)}” attends most to {told or 'itself'}; {_aside(readings)}"


def _aside(readings: Sequence[Reading]) -> str:
    taken = [float(reading.weights[..., reading.aside].sum(axis=-1).mean()) for reading in readings]
    return f"special tokens and signs take {np.mean(taken):.2f}"


def _over_layers(analysis: Analysis, readings: Sequence[Reading]) -> str:
    shares = [reading.weights[..., _context(reading)].sum(axis=-1).mean(axis=1) for reading in readings]
    share = np.mean(shares, axis=0)
    most, least = int(share.argmax()), int(share.argmin())
    if round(float(share[most]), 2) == round(float(share[least]), 2):
        return f"“{cut(analysis.target, 30)}” gives its context {share[most]:.2f} of its attention at every layer"
    return (
        f"“{cut(analysis.target, 30)}” attends to its context most at layer {most} ({share[most]:.2f}), least at "
        f"layer {least} ({share[least]:.2f})"
    )


def _sinks(readings: Sequence[Reading]) -> str:
    """The word that takes most attention of the first reading, which is what is shown at first."""
    taken = readings[0].weights.mean(axis=(0, 1, 2))
    most = int(taken.argmax())
    return f"“{cut(readings[0].words[most], 30)}” takes the most attention: {taken[most]:.2f} of it on average"


def _top_words(readings: Sequence[Reading]) -> Table:
    return ("usage", "word", "attention, mean"), [
        [reading.label, word, weight] for reading in readings for word, weight in _attended(reading)[:5]
    ]


def _by_layer(readings: Sequence[Reading]) -> Table:
    """The word that the target attends to most at each layer."""
    rows: list[list[Cell]] = []
    for reading in readings:
        others = _context(reading)
        for layer, row in enumerate(reading.weights.mean(axis=1)):
            if others:
                k = max(others, key=lambda k, row=row: row[k])  # type: ignore[misc]
                rows.append([reading.label, layer, reading.words[k], round(float(row[k]), 3)])
    return ("usage", "layer", "word attended to most", "attention, mean over heads"), rows


def _top_pairs(readings: Sequence[Reading]) -> Table:
    """For each word the three that it attends to most."""
    rows: list[list[Cell]] = []
    for reading in readings:
        for word, row in zip(reading.words, reading.weights.mean(axis=(0, 1)), strict=True):
            top = np.argsort(-row, kind="stable")[:3]
            rows.append([reading.label, word, *(f"{reading.words[k]} {row[k]:.3f}" for k in top)])
            rows[-1] += [None] * (5 - len(rows[-1]))
    return ("usage", "word", "attends to most", "second", "third"), rows


def _rounded(weights: FloatArray) -> list[float]:
    """Flat, to the three decimals that a record keeps."""
    flat: list[float] = np.round(weights.astype(np.float64), 3).ravel().tolist()
    return flat
