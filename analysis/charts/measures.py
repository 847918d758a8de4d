"""What was measured: whether the drivers drive, and how each layer tells the senses apart."""

from __future__ import annotations

import altair as alt

from analysis.charts.frame import (
    BETWEEN,
    LINE,
    MUTED,
    SENSES,
    STATIC,
    TEXT,
    WITHIN,
    Chart,
    Row,
    Table,
    cut,
    framed,
    letters,
    lookup,
    plural,
)  # fmt: skip
from analysis.record import Analysis, Estimate, LayerSeparation

GONE = {"delete": "left out", "mask": "masked"}
ROW = 30  # pixels a row of the test


def faithfulness(analysis: Analysis) -> Chart:
    """Both measures of the drivers beside those of random words, each with its 95 % interval."""
    letter = letters(analysis)
    known = {"analysis": "All"} | {sense.id: letter[sense.id] for sense in analysis.senses[: len(SENSES)]}
    tests = [
        (f"{known[row.level]} ({row.n}), {GONE[row.operator]}", row)
        for row in analysis.faithfulness or ()
        if row.level in known
    ]
    points: list[Row] = []
    heads: list[Row] = []
    names: dict[float, str] = {}
    at = 0
    for measure, label in (
        ("comprehensiveness", "Comprehensiveness: more is better"),
        ("sufficiency", "Sufficiency: near 0 or below is best"),
    ):
        heads.append({"at": at, "label": label})
        for name, row in tests:
            at += 1
            names[at] = name
            for words, measures, place in (("drivers", row, at - 0.14), ("random words", row.random, at + 0.14)):
                estimate: Estimate = getattr(measures, measure)
                points.append({"at": place, "words": words, "measure": measure, "usages": name,
                               "value": estimate.value, "low": estimate.low, "high": estimate.high})  # fmt: skip
        at += 1
    y = alt.Y(
        "at:Q",
        scale=alt.Scale(domain=[at - 0.4, -0.6], nice=False),
        axis=alt.Axis(title=None, grid=False, ticks=False, domain=False, values=list(names), labelExpr=lookup(names),
                      labelOverlap=False, labelLimit=260),
    )  # fmt: skip
    base = alt.Chart(alt.NamedData("tests"))
    kinds, colours = ["drivers", "random words"], [SENSES[0], STATIC]
    legend = alt.Legend(title=None, direction="horizontal", columns=2)
    stroke = alt.Stroke("words:N", legend=legend, scale=alt.Scale(domain=kinds, range=colours))
    whiskers = (
        base.transform_filter("datum.low != null")
        .mark_rule(strokeWidth=2)
        .encode(x="low:Q", x2="high:Q", y=y, stroke=stroke)
    )
    dots = base.mark_point(size=80, strokeWidth=2).encode(
        x=alt.X("value:Q", axis=alt.Axis(title="mean drop in the probability of the sense", tickCount=5)),
        y=y,
        stroke=stroke,
        fill=alt.Fill("words:N", legend=legend, scale=alt.Scale(domain=kinds, range=[SENSES[0], "transparent"])),
        shape=alt.Shape("words:N", legend=legend, scale=alt.Scale(domain=kinds, range=["circle", "square"])),
        tooltip=[alt.Tooltip("usages:N"), alt.Tooltip("words:N"), alt.Tooltip("measure:N"),
                 alt.Tooltip("value:Q", format=".3f"), alt.Tooltip("low:Q", format=".3f"),
                 alt.Tooltip("high:Q", format=".3f")],
    )  # fmt: skip
    nought = (
        alt.Chart(alt.NamedData("measures")).mark_rule(color=LINE, strokeWidth=2, aria=False).encode(x=alt.datum(0))
    )
    head = (
        alt.Chart(alt.NamedData("measures"))
        .mark_text(align="right", fontWeight="bold", color=TEXT)
        .encode(y=y, x=alt.value("width"), text="label:N")
    )
    return framed(
        alt.layer(nought, whiskers, dots, head),
        name="faithfulness",
        title=_proved(analysis),
        caption="Comprehensiveness: the drop without the strongest drivers, or as many random words. Sufficiency: the "
        "drop with nothing but them. In brackets: usages. Words are left out or masked; mean over usages and over "
        f" {_percent(tests[0][1].fractions)} of the words, with 95\u00a0% intervals.",
        table=(
            ("usages", "measure", "words", "value", "low", "high"),
            [[p["usages"], p["measure"], p["words"], p["value"], p["low"], p["high"]] for p in points],
        ),
        data={"tests": points, "measures": heads},
        height=ROW * at,
    )


def cosine_by_layer(analysis: Analysis) -> Chart:
    """Cosines of usages, layer by layer: within a sense, between senses; and the one of static vectors."""
    static, layers = _static(analysis), _hidden(analysis)
    lines: list[Row] = [
        {"layer": layer.layer, "cosine": value, "pairs": pairs}
        for pairs, values in (
            (_PAIRS[0], [(layer, layer.within) for layer in layers]),
            (_PAIRS[1], [(layer, layer.between) for layer in layers]),
            (_PAIRS[2], [(layer, static.cosine) for layer in layers]),
        )
        for layer, value in values
        if value is not None
    ]
    last = [row for row in lines if row["layer"] == layers[-1].layer]
    scale = alt.Scale(domain=list(_PAIRS), range=[WITHIN, BETWEEN, STATIC])
    dash = alt.Scale(domain=list(_PAIRS), range=[[1, 0], [7, 4], [2, 3]])
    low = min((row["cosine"] for row in lines), default=0.0)
    x = _layer_axis(layers)
    y = alt.Y("cosine:Q", scale=alt.Scale(domain=[min(0.0, round(low - 0.05, 1)), 1.05], nice=False),
              axis=alt.Axis(title="cosine, mean over pairs of usages", tickCount=6))  # fmt: skip
    base = alt.Chart(alt.NamedData("layers")).encode(x=x, y=y, stroke=alt.Stroke("pairs:N", scale=scale, legend=None))
    line = base.mark_line(strokeWidth=2.5).encode(strokeDash=alt.StrokeDash("pairs:N", scale=dash, legend=None))
    dots = (
        base.transform_filter("datum.pairs != 'static'")
        .mark_point(size=36, opacity=1)
        .encode(
            fill=alt.Fill("pairs:N", scale=scale, legend=None),
            tooltip=[alt.Tooltip("pairs:N"), alt.Tooltip("layer:Q"), alt.Tooltip("cosine:Q", format=".3f")],
        )
    )
    return framed(
        line + dots + _at_the_line(last, x, "cosine"),
        name="cosine-by-layer",
        title=_apart(analysis),
        caption="Pairs of usages within a sense, and between senses. The embedding table has one vector for a form of "
        f"“{cut(analysis.target, 30)}”, whatever the sentence (static). "
        "Layer 0 is the word and its position; each layer above mixes in more of the context. "
        f"{plural(analysis.static.n if analysis.static else 0, 'usage')}.",
        table=_layers_table(analysis, ("cosine", "within", "between")),
        data={"layers": lines, "ends": last},
        height=300,
    )


def separation(analysis: Analysis) -> Chart:
    """How well each layer, and the static vector, tells the senses apart."""
    static, layers = _static(analysis), _hidden(analysis)
    lines: list[Row] = [
        {"layer": layer.layer, "auc": layer.auc, "silhouette": layer.silhouette, "kind": "contextual"}
        for layer in layers
    ]
    still: list[Row] = [{"layer": layer.layer, "auc": static.auc, "kind": "static"} for layer in layers]
    ends = [{**rows[-1], "pairs": label} for rows, label in ((lines, "contextual"), (still, "static"))]
    x = _layer_axis(layers)
    low = min(0.4, *(row["auc"] for row in (*lines, *still)))
    y = alt.Y("auc:Q", scale=alt.Scale(domain=[round(low - 0.05, 1), 1.02], nice=False),
              axis=alt.Axis(title="separation (0.5 is chance)", tickCount=6))  # fmt: skip
    contextual = alt.Chart(alt.NamedData("layers")).encode(x=x, y=y)
    line = contextual.mark_line(strokeWidth=2.5, color=SENSES[0])
    dots = contextual.mark_point(size=40, filled=True, opacity=1, color=SENSES[0]).encode(
        tooltip=[alt.Tooltip("layer:Q"), alt.Tooltip("auc:Q", format=".3f", title="separation"),
                 alt.Tooltip("silhouette:Q", format=".3f")]
    )  # fmt: skip
    flat = alt.Chart(alt.NamedData("static")).mark_line(strokeWidth=2.5, color=STATIC, strokeDash=[2, 3])
    chance = alt.Chart(alt.NamedData("chance")).encode(y=y)
    return framed(
        alt.layer(
            chance.mark_rule(color=MUTED, strokeDash=[7, 4], aria=False),
            chance.mark_text(align="left", dy=-8, color=MUTED).encode(x=alt.value(4), text="label:N"),
            flat.encode(x=x, y=y),
            line,
            dots,
            _at_the_line(ends, x, "auc"),
        ),
        name="separation",
        title=_best(analysis),
        caption="Separation: the chance that two usages of one sense are more alike than two of different senses. "
        "0.5 is chance, 1 is perfect.",
        table=_layers_table(analysis, ("auc", "silhouette")),
        data={"layers": lines, "static": still, "ends": ends, "chance": [{"auc": 0.5, "label": "chance"}]},
        height=280,
    )


_PAIRS = ("within", "between", "static")


def _static(analysis: Analysis) -> LayerSeparation:
    assert analysis.static is not None  # noqa: S101 - the gallery asks first
    return analysis.static.layers[0]


def _hidden(analysis: Analysis) -> list[LayerSeparation]:
    assert analysis.static is not None  # noqa: S101 - the gallery asks first
    return list(analysis.static.layers[1:])


def _layer_axis(layers: list[LayerSeparation]) -> alt.X:
    top = int(layers[-1].layer)
    # Every layer's number where there is room; and room on the right for what is written at the end of a line.
    values = list(range(0, top + 1, 1 if top <= 15 else 5))
    axis = alt.Axis(title="layer (0: word and position)", values=values, grid=False)
    return alt.X("layer:Q", scale=alt.Scale(domain=[0, top * 1.28], nice=False), axis=axis)


def _at_the_line(ends: list[Row], x: alt.X, value: str) -> alt.Chart:
    """The names of the lines at their right ends, moved apart where they would lie on one another."""
    order = sorted(ends, key=lambda row: -row[value])
    for above, row in zip([None, *order], order, strict=False):
        row["label_at"] = row[value] if above is None else min(row[value], above["label_at"] - 0.055)
    text = alt.Chart(alt.NamedData("ends")).mark_text(align="left", dx=10, color=TEXT)
    placed: alt.Chart = text.encode(x=x, y=alt.Y("label_at:Q"), text=alt.Text("pairs:N"))
    return placed


def _layers_table(analysis: Analysis, fields: tuple[str, ...]) -> Table:
    names = {"cosine": "all pairs", "within": "within a sense", "between": "between senses", "auc": "separation"}
    rows = analysis.static.layers if analysis.static else ()
    return ("layer", *(names.get(field, field) for field in fields)), [
        [str(row.layer), *(getattr(row, field) for field in fields)] for row in rows
    ]


def _percent(fractions: tuple[float, ...]) -> str:
    return ", ".join(f"{100 * fraction:g}" for fraction in fractions) + "\u00a0%"


def _proved(analysis: Analysis) -> str:
    row = next(row for row in analysis.faithfulness or () if row.level == "analysis")
    own, chance = row.comprehensiveness.value, row.random.comprehensiveness.value
    beaten = row.advantage.low is not None and row.advantage.low > 0
    verb = "beat" if beaten else "do not beat"
    return (
        f"The drivers {verb} random words: without them the probability falls by {own:.2f}, not {chance:.2f}"
        if (beaten)
        else f"The drivers {verb} random words: a fall of {own:.2f} beside {chance:.2f}"
    )


def _apart(analysis: Analysis) -> str:
    static, top = _static(analysis), _hidden(analysis)[-1]
    still = "" if static.cosine is None else f"; static vectors: {static.cosine:.2f}"
    if top.within is None or top.between is None:
        return f"At layer {top.layer} usages have a cosine of {top.cosine or 0:.2f}{still}"
    return (
        f"At layer {top.layer} usages of one sense have a cosine of {top.within:.2f}, of two senses "
        f"{top.between:.2f}{still}"
    )


def _best(analysis: Analysis) -> str:
    layers, static = _hidden(analysis), _static(analysis)
    best = max(layers, key=lambda layer: layer.auc or 0.0)
    return (
        f"Layer {best.layer} tells the senses of “{cut(analysis.target, 30)}” apart best ({best.auc:.2f}); "
        f"the static vector: {static.auc:.2f}"
    )
