"""Results on a terminal. Nothing is lost without colour: shades are also signs, marks are also letters."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis import attention as views
from analysis.assigning import Assigned
from analysis.marks import mark
from analysis.record import Analysis, Notice, Usage
from analysis.report import certainty, proof, segments
from analysis.saved import Description
from analysis.types import Attention, ModelInfo

SENSE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
SEGMENT_STYLES = {
    "target": "bold reverse",
    "for strong": "bold underline",
    "for": "underline",
    "against strong": "bold strike",
    "against": "strike",
}
SHADES = " ░▒▓█"
SHADE_BOUNDS = (0.05, 0.15, 0.30, 0.50)
SHOWN_PAIRS = 6
SHOWN_EXEMPLARS = 3
SHOWN_ASSIGNED = 50


def print_senses(analysis: Analysis) -> None:
    """The verdict, then each sense with its drivers and its exemplars."""
    console = Console(highlight=False, soft_wrap=True)
    n, k = len(analysis.usages), len(analysis.senses)
    console.print(
        f"{shown(analysis.target)}: {analysis.verdict} ({_count(k, 'sense')} in {_count(n, 'usage')}, "
        f"{analysis.provenance.model})",
        style="bold",
        markup=False,
    )
    for line in certainty(analysis):
        console.print(line, markup=False)
    by_id = {usage.id: usage for usage in analysis.usages}
    for i, sense in enumerate(analysis.senses):
        held = "" if sense.stability is None or k == 1 else f", stability {sense.stability:.2f}"
        size = f"{sense.id}, {_count(sense.size, 'usage')}, {sense.share:.0%}{held}"
        console.print(_sense_line(i, sense.label, size))
        if sense.drivers:
            words = "  ".join(f"{shown(d.word)} {d.effect:+.3f} ({d.support}x)" for d in sense.drivers[:6])
            console.print(f"     driven by  {words}", markup=False)
        for entry in (sense.lexicon or ())[:1]:
            console.print(f"     in WordNet {entry.synset} ({entry.score:.2f}): {shown(entry.gloss)}", markup=False)
        for exemplar in sense.exemplars:
            console.print(_sentence(by_id[exemplar]))
    for line in proof(analysis):
        console.print(f"\n{line}", markup=False)
    print_notices(analysis.warnings)
    if any(sense.drivers for sense in analysis.senses):
        console.print(
            "\nAfter a word: the mean drop in the probability of the sense when the word is left out, and in how many "
            "usages it was tried.",
            style="dim",
        )


def print_notices(notices: Iterable[Notice]) -> None:
    """A paragraph a notice, with the ids of the first texts that it concerns."""
    console = Console(highlight=False, soft_wrap=True)
    for notice in notices:
        ids = ", ".join(notice.source_ids[:20]) + (", …" if len(notice.source_ids) > 20 else "")
        console.print(f"\nNote: {shown(notice.message)}" + (f" ({shown(ids)})" if ids else ""), markup=False)


def print_sense_model(model: Description) -> None:
    """Each sense with its exemplars, then where the sense model comes from."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"{shown(model.target)}: {_count(len(model.senses), 'sense')} of {_count(model.usages, 'usage')}, "
        f"{shown(model.provenance.model)}",
        style="bold",
        markup=False,
    )
    for i, sense in enumerate(model.senses):
        details = f"{shown(sense.id)}, {_count(sense.size, 'usage')}, {sense.share:.0%}"
        console.print(_sense_line(i, sense.label, details))
        for exemplar in sense.exemplars[:SHOWN_EXEMPLARS]:
            line = Text("     " + shown(exemplar.text))
            line.stylize(SEGMENT_STYLES["target"], 5 + exemplar.start, 5 + exemplar.end)
            console.print(line)
    if model.abstained:
        console.print(f"\n{_count(model.abstained, 'usage')} of no sense")
    source = f", from {shown(model.parent)}" if model.parent else ""
    console.print(f"\nSense model {model.id} ({shown(model.edit)}{source})", markup=False)


def print_assigned(assigned: Assigned, senses: Sequence[str]) -> None:
    """A line a usage, then how many each sense has; `senses` are those of the sense model, in its order."""
    console = Console(highlight=False, soft_wrap=True)
    for use in assigned.usages[:SHOWN_ASSIGNED]:
        k = None if use.sense is None else senses.index(use.sense)
        name = "–  " if k is None else f"{mark(k).shape} {mark(k).letter}"
        line = Text(f"{use.id:>5}  ")
        line.append(name, style="" if k is None or k >= len(SENSE_COLOURS) else SENSE_COLOURS[k])
        line.append(f"  {use.confidence:.2f}  ")
        for piece, style in (
            (use.text[: use.start], ""),
            (use.text[use.start : use.end], SEGMENT_STYLES["target"]),
            (use.text[use.end :], ""),
        ):
            line.append(shown(piece), style=style)
        told = [flag for flag in use.flags if flag != "window"]
        console.print(line.append(f"   {', '.join(told)}" if told else ""))
    more = len(assigned.usages) - SHOWN_ASSIGNED
    if more > 0:
        console.print(f"… and {more} more with --json or --csv")
    counts = Counter((use.sense, use.label) for use in assigned.usages)
    for k, name in enumerate(senses):
        for (sense, label), count in counts.items():
            if sense == name:
                console.print(_sense_line(k, label or name, f"{shown(name)}, {_count(count, 'usage')}"))
    if counts[None, None]:
        console.print(f"\n–    no sense: {_count(counts[None, None], 'usage')}")
    print_notices(assigned.warnings)


def print_comparison(analysis: Analysis) -> None:
    """Cosines of the static vector and of every layer: over all pairs, and for the first pairs one by one."""
    console = Console(highlight=False, soft_wrap=True)
    static = analysis.static
    if static is None:
        return
    forms = ", ".join(f"{shown(form.form)} ({form.count}x)" for form in static.forms)
    console.print(
        f"{shown(analysis.target)}: {len(static.forms)} static vector(s), one a form: {forms}; "
        f"{_count(static.n, 'contextual vector')} a layer ({analysis.provenance.model})\n",
        markup=False,
    )
    table = Table(title="Cosine between usages, and how well it separates the senses", title_justify="left")
    for column in ("vector", "all pairs", "same sense", "different", "separation", "silhouette"):
        table.add_column(column, justify="left" if column == "vector" else "right")
    for layer in static.layers:
        values = (layer.cosine, layer.within, layer.between, layer.auc, layer.silhouette)
        table.add_row(_layer_name(layer.layer), *("–" if v is None else f"{v:.3f}" for v in values))
    console.print(table)
    console.print("Separation: the chance that a pair of one sense is more alike than a pair of two; 0.5 is chance.")

    pairs = (static.pairs or ())[:SHOWN_PAIRS]
    if pairs:
        console.print()
        table = Table(title="Pair by pair", title_justify="left")
        table.add_column("vector")
        for pair in pairs:
            table.add_column(f"{pair.a} {'=' if pair.same_sense else '≠'} {pair.b}", justify="right")
        table.add_row("static", *(f"{pair.static:.3f}" for pair in pairs))
        for i, layer in enumerate(static.layers[1:]):
            table.add_row(_layer_name(layer.layer), *(f"{pair.layers[i]:.3f}" for pair in pairs))
        console.print(table)
        by_id = {usage.id: usage for usage in analysis.usages}
        for name in sorted({name for pair in pairs for name in (pair.a, pair.b)}, key=lambda name: int(name[1:])):
            line = Text(f"{name:>5}  {by_id[name].sense or '–':<4}")
            console.print(line.append_text(_sentence(by_id[name], indent="")))
        more = len(static.pairs or ()) - len(pairs)
        if more:
            console.print(f"= same sense, ≠ different senses; {more} more pairs with --json")


def print_attention(
    attention: Attention,
    info: ModelInfo,
    layers: Sequence[int] | None,
    heads: Sequence[int] | None,
    *,
    special: bool,
) -> None:
    """The matrix, a row a query, with the words on both sides; mean over what the attention holds."""
    view, hidden = (attention, 0.0) if special else views.without_special(attention)
    matrix = views.mean_matrix(view)
    names = [shown(unit.text) for unit in view.units]
    console = Console(highlight=False, soft_wrap=True)
    kind = "causal" if info.causal else "bidirectional"
    console.print(f"{info.name}, {kind}: {_chosen('layer', layers, info.layers)}, {_chosen('head', heads, info.heads)}")
    console.print("A row shows what its word attends to; rows sum to 1.", style="dim")
    cells = [
        ["-" if info.causal and k > q else f"{_shade(value)} {value:.2f}" for k, value in enumerate(row)]
        for q, row in enumerate(matrix.tolist())
    ]
    width = max(6, *(len(name) for name in names)) + 1
    per_block = max(1, (shutil.get_terminal_size((100, 24)).columns - width) // width)
    for start in range(0, len(names), per_block):
        block = slice(start, start + per_block)
        console.print()
        console.print(" " * width + "".join(f"{name:>{width}}" for name in names[block]), markup=False)
        for name, row in zip(names, cells, strict=True):
            console.print(f"{name:>{width}}" + "".join(f"{cell:>{width}}" for cell in row[block]), markup=False)
    if not special:
        console.print(f"\nHidden: the special tokens, which took {hidden:.0%} of the attention; rows are as they were.")
    console.print("\nAttention is a hypothesis about what matters, not an explanation.", style="dim")


def print_models(rows: Iterable[dict[str, object]]) -> None:
    """A line a model."""
    table = Table(box=None, pad_edge=False)
    for column in ("name", "on this machine", "source", "about"):
        table.add_column(column, overflow="fold")
    for row in rows:
        name = f"{row['name']} (default)" if row["default"] else str(row["name"])
        table.add_row(name, "yes" if row["pulled"] else "no", str(row["source"]), str(row["about"]))
    Console(highlight=False).print(table)


def shown(text: str) -> str:
    """Text that cannot steer the terminal: control characters become spaces."""
    return "".join(c if c.isprintable() else " " for c in text)


def _sentence(usage: Usage, indent: str = "     ") -> Text:
    line = Text(indent)
    for piece in segments(usage):
        line.append(shown(piece.text), style=SEGMENT_STYLES.get(piece.kind, ""))
    return line


def _sense_line(k: int, label: str, details: str) -> Text:
    own, colour = mark(k), SENSE_COLOURS[k] if k < len(SENSE_COLOURS) else ""
    line = Text("\n")
    line.append(f"{own.shape} {own.letter}  ", style=colour)
    line.append(shown(label), style="bold")
    return line.append(f"   {details}")


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _layer_name(layer: object) -> str:
    return "static" if layer == "static" else f"layer {layer}"


def _chosen(noun: str, asked: Sequence[int] | None, count: int) -> str:
    if not asked:
        return f"mean over all {count} {noun}s"
    if len(asked) == 1:
        return f"{noun} {asked[0]} of 0 to {count - 1}"
    return f"mean over {noun}s {', '.join(map(str, asked))} of 0 to {count - 1}"


def _shade(value: float) -> str:
    return SHADES[sum(value >= bound for bound in SHADE_BOUNDS)]
