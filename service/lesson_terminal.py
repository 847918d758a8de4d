"""The lesson on a terminal: tables, and bars that are as long as the logarithm of what they stand for."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.exercise import Exercise, Feedback
from analysis.lesson import (
    LABELS,
    TITLES,
    Cost,
    Cross,
    Machine,
    Masking,
    Matrix,
    Method,
    Parallel,
    Paths,
    Series,
    Variants,
    Worked,
)
from service.terminal import SENSE_COLOURS, SHADE_BOUNDS, SHADES, shown

COLOURS: dict[Method, str] = {
    "rnn": SENSE_COLOURS[1],
    "lstm": SENSE_COLOURS[1],
    "dense": SENSE_COLOURS[0],
    "stepwise": SENSE_COLOURS[0],
    "sparse": SENSE_COLOURS[2],
    "linear": SENSE_COLOURS[3],
}
BAR = 30
MILLI, MEBI = 1e3, 1 / 2**20


def print_title(title: str) -> None:
    _console().print(f"\n{title}", style="bold", markup=False)


def print_missing(reason: str) -> None:
    _console().print(f"Not shown: {shown(reason)}", markup=False)


def print_part(part: object) -> None:
    """Any part of the lesson."""
    match part:
        case Paths():
            _paths(part)
        case Parallel():
            _parallel(part)
        case Cost():
            _cost(part)
        case Variants():
            _variants(part)
        case Masking():
            _masking(part)
        case Cross():
            _cross(part)
        case Exercise():
            _exercise(part)


def _paths(part: Paths) -> None:
    far = part.ratio[0].points[-1].n
    _say(
        f"A recurrent network rewrites what the first word said at every step: {far} words away is {far} steps. In "
        "attention it is one step. The gradient that reaches the first word, relative to the last word's neighbour "
        f"(1 is as strong as a neighbour), untrained layers {part.width} wide:"
    )
    _table("distance", part.ratio)
    _bars(part.ratio, "left")
    own, recurrent = part.gradient[2].points, part.gradient[0].points
    _say(
        f"What attention does lose: it has one unit of attention for all words. Its absolute gradient goes from "
        f"{own[0].median:.2g} at distance 1 to {own[-1].median:.2g} at {far}, as 1/n, for near words as for far ones; "
        f"the RNN's ends at {recurrent[-1].median:.1g}."
    )
    _measured(part.machine, part.repeats, "seeds")


def _parallel(part: Parallel) -> None:
    _say(
        f"Milliseconds of one layer {part.width} wide over one text. Nothing in attention waits for the word before it."
    )
    _table("words", part.time, MILLI)
    n = part.time[0].points[-1].n
    together, apart = (next(s for s in part.time if s.method == m).at(n).median for m in ("dense", "stepwise"))
    _say(f"The same attention over {n} words takes {apart / together:.1f} times as long a word at a time.")
    _say(
        f"From {part.overtaken} words on the recurrent layer is faster on this one thread: it does n steps of work, "
        "attention n x n."
        if part.overtaken
        else "Attention is faster at all these lengths, though it does n x n pieces of work."
    )
    _measured(part.machine, part.repeats, "repeats")


def _cost(part: Cost) -> None:
    _say(f"One head {part.width} wide; the window is {part.window} words on each side. Milliseconds:")
    _table("n", part.time, MILLI)
    _bars(part.time, "time", MILLI, " ms")
    _say("MiB alive at once, beyond queries, keys and values:")
    _table("n", part.memory, MEBI)
    first = part.exponents[0]
    table = Table(box=None, pad_edge=False)
    for column in (f"n = {first.n_from} to {first.n_to}", "time grows as", "95 % interval", "memory grows as"):
        table.add_column(column, justify="left" if not table.columns else "right")
    for series in part.time:
        time, memory = part.exponent(series.method), part.exponent(series.method, "memory")
        table.add_row(
            _label(series.method), f"n^{time.value:.2f}", f"{time.low:.2f} to {time.high:.2f}", f"n^{memory.value:.2f}"
        )
    _console().print(table)
    last = part.matrix.points[-1]
    _say(f"The weights of {last.n} words alone are {last.median * MEBI:.3g} MiB; scores and weights are there at once.")
    _measured(part.machine, part.repeats, "repeats")


def _variants(part: Variants) -> None:
    asks, asked = part.units[part.asks], part.units[part.asked]
    _say(
        f"“{part.text}” with {part.model}: of {part.heads} heads the one in which “{asks}” looks most at “{asked}” "
        f"(layer {part.layer}, head {part.head}). A row shows where its word looks."
    )
    for variant in part.variants:
        window = f" ({part.window} words on each side)" if variant.method == "sparse" else ""
        _console().print(Text("\n").append_text(_label(variant.method)).append(window))
        _matrix(variant.weights, part.units)
        moved = "" if variant.method == "dense" else f"; {variant.moved:.0%} of the attention moved to other words"
        _say(
            f"“{asks}” to “{asked}” {variant.link:.2f}; a row spreads to {variant.spread:.1f} of {len(part.units)} "
            f"words{moved}."
        )
    _say(
        "The window has nothing beyond itself; linear attention has everything and can pick nothing out. The model "
        "learnt its queries and keys for dense attention; one that is trained with another kind loses less."
    )
    _say("Attention is a hypothesis about what matters, not an explanation.")


def _masking(part: Masking) -> None:
    _say(
        f"A toy layer with random weights reads “{' '.join(part.words)}”; then “{part.words[-1]}” becomes "
        f"“{part.other}”. The largest change of each word's output:"
    )
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for word in part.words:
        table.add_column(word, justify="right")
    for name, changed in (("with the mask", part.changed_causal), ("without", part.changed_free)):
        table.add_row(name, *("0" if change == 0 else f"{change:.2f}" for change in changed))
    _console().print(table)
    _say(
        "With the mask nothing before the last word changes, so that a model can write on without reading all anew, "
        "and in training no word sees the one that it is to foretell. One masked pass gives what each beginning of the "
        f"text gives alone, to {part.prefix_error:.0e}."
    )


def _cross(part: Cross) -> None:
    _say("A worked example with numbers chosen by hand; a model learns its own. Values: (water, money).")
    table = Table(box=None, pad_edge=False)
    for column in ("asked", "key", "value"):
        table.add_column(column)
    own = part.self_attention
    for word, key, value in zip(own.asked, own.keys, own.values, strict=True):
        table.add_row(word, _numbers(key, "g"), _numbers(value, "g"))
    _console().print(table)
    for name, example in (
        ("Self-attention, also called intra-attention: a text asks itself", part.self_attention),
        ("Cross-attention: its German translation asks it", part.cross_attention),
    ):
        _console().print(f"\n{name}", markup=False)
        _worked(example)


def _worked(example: Worked) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("asks", "query", f"scores q.k/√{len(example.queries[0])}", "e to the score", "weights", "output"):
        table.add_column(column)
    for i, word in enumerate(example.asking):
        table.add_row(
            word,
            _numbers(example.queries[i], "g"),
            _numbers(example.scores[i], "g"),
            _numbers(example.exponentials[i], ".2f"),
            _numbers(example.weights[i], ".2f"),
            _numbers(example.output[i], ".2f"),
        )
    _console().print(table)


def _exercise(part: Exercise) -> None:
    _console().print(part.question, markup=False)
    for choice in part.choices:
        _say(f"  {choice.letter}  {choice.text}")
    _say(f"Hint: {part.hint}")
    _say('Answer with: polyseme lesson --answer LETTER, or --answer "your own words"')


def print_feedback(told: Feedback) -> None:
    """On an answer; of ideas, by which words they were recognised, and where to look."""
    _console().print()
    _say(told.said)
    for heading, ideas in (
        ("Look again", told.mistaken),
        ("Recognised", told.found),
        ("Not recognised", told.missing),
    ):
        for idea in ideas:
            by = f" (by {', '.join(map(repr, idea.words))})" if idea.words else ""
            _say(f"{heading}: {shown(idea.name + by)}. {idea.why} See: polyseme lesson {idea.chart}")
    if told.kind == "choice":
        _say(f"See: polyseme lesson {told.chart} ({TITLES[told.chart]})")


def _table(first: str, series: Sequence[Series], factor: float = 1.0) -> None:
    """Medians with their ranges; lengths down, kinds across."""
    table = Table(box=None, pad_edge=False)
    table.add_column(first, justify="right")
    for one in series:
        table.add_column(_label(one.method), justify="right")
    for i, point in enumerate(series[0].points):
        cells = []
        for one in series:
            p = one.points[i]
            cell = Text(f"{p.median * factor:.3g}")
            if p.low < p.high:
                cell.append(f"  {p.low * factor:.3g} to {p.high * factor:.3g}", style="dim")
            cells.append(cell)
        table.add_row(str(point.n), *cells)
    _console().print(table)


def _bars(series: Sequence[Series], what: str, factor: float = 1.0, unit: str = "") -> None:
    """A bar a kind at the greatest length; each tenth part of the range of logarithms is as long as another."""
    ends = [(one.method, one.points[-1].median * factor) for one in series]
    logs = [math.log10(value) for _, value in ends]
    low = min(logs) - (max(logs) - min(logs)) / 10 - 0.1
    _say(f"{what.capitalize()} at {series[0].points[-1].n}, on a logarithmic scale:")
    width = max(len(LABELS[one.method]) for one in series)
    for (method, value), log in zip(ends, logs, strict=True):
        line = Text(f"{LABELS[method]:<{width}}  ")
        line.append("█" * max(1, round(BAR * (log - low) / (max(logs) - low))), style=COLOURS[method])
        _console().print(line.append(f" {value:.2g}{unit}"))


def _matrix(weights: Matrix, words: Sequence[str]) -> None:
    width = max(len(word) for word in words) + 1
    for word, row in zip(words, weights, strict=True):
        cells = "".join(SHADES[sum(value >= bound for bound in SHADE_BOUNDS)] * 2 for value in row)
        _console().print(f"{word:>{width}} │{cells}│", markup=False)


def _label(method: Method) -> Text:
    return Text(LABELS[method], style=COLOURS[method])


def _numbers(values: Sequence[float], form: str) -> str:
    return ", ".join(f"{value:{form}}" for value in values)


def _measured(machine: Machine, repeats: int, of: str) -> None:
    threads = "1 thread" if machine.threads == 1 else f"{machine.threads} threads"
    line = (
        f"Median and range of {repeats} {of}; {machine.processor}, {threads}, {machine.dtype}, PyTorch {machine.torch}."
    )
    _console().print(line, style="dim", markup=False)


def _say(text: str) -> None:
    _console().print(text, markup=False)


def _console() -> Console:
    return Console(highlight=False)
