"""An evaluation's report on a terminal: the words, their means, and the baselines under them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.terminal import shown

_MEASURES = ("comprehensiveness", "sufficiency")
_GONE = {"delete": "deleted", "mask": "masked"}
SHOWN_WORDS = 60  # more are for --json
Scores = Mapping[str, float | None]


def print_evaluation(report: Mapping[str, Any]) -> None:
    """The table of a report: of senses or, where it has methods, of drivers."""
    if "methods" in report:
        _print_drivers(report)
    else:
        _print_senses(report)


def _print_drivers(report: Mapping[str, Any]) -> None:
    """One row a method, the one that is the default marked; then its ratios to others."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("", no_wrap=True)
    operators = [key for key in report["methods"][report["default"]] if key != "passes"]
    for column in (
        *(f"{measure}, {_GONE[o]}" for o in operators for measure in _MEASURES),
        "passes a usage",
        "rank correlation with the default",
    ):
        table.add_column(column, justify="right", vertical="bottom", max_width=18)
    best = operators[0]
    for name, scores in sorted(report["methods"].items(), key=lambda item: -item[1][best]["comprehensiveness"]):
        cells = [_figure(scores[o][measure]) for o in operators for measure in _MEASURES]
        default = name == report["default"]
        table.add_row(
            f"{name} (default)" if default else name,
            *cells,
            f"{scores['passes']:.1f}",
            _figure(1.0 if default else report["agreement"].get(name, {}).get(report["default"])),
            style="bold" if default else None,
        )
    console = Console(highlight=False)
    console.print(
        f"drivers, {report['model']}, seed {report['seed']}: {report['usages']} usages of {len(report['words'])} words",
        style="bold",
        markup=False,
    )
    Console(highlight=False, width=max(console.width, 124)).print(table)
    console.print("\nThe default's comprehensiveness, words deleted, as a ratio (95 % interval)")
    for name, ratio in report["ratios"].items():
        console.print(f"  {name}: {ratio['value']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})", markup=False)


def _print_senses(report: Mapping[str, Any]) -> None:
    """One row a word, then the means, then each baseline; "-" where a measure does not apply."""
    words: Mapping[str, Scores] = report["words"]
    groups: list[list[tuple[str, Scores]]] = []
    if len(words) <= SHOWN_WORDS:
        groups.append([(shown(word), scores) for word, scores in words.items()])
    # A mean, and under it the baselines' means over the same words.
    for suffix in ("", *(key.removeprefix("mean") for key in report if key.startswith("mean_"))):
        groups.append([(_readable(f"mean{suffix}"), report[f"mean{suffix}"])])
        groups[-1] += [("pooled", report["pooled"])] if not suffix and "pooled" in report else []
        groups.append([(_readable(name), scores) for name, scores in report[f"baselines{suffix}"].items()])
    metrics = list(dict.fromkeys(metric for group in groups for _, scores in group for metric in scores))
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("", no_wrap=True)
    widths = [max(6, *map(len, metric.split("_"))) for metric in metrics]
    for metric, width in zip(metrics, widths, strict=True):
        table.add_column(_readable(metric), justify="right", vertical="bottom", width=width)
    for group in groups:
        for name, scores in group:
            style = "bold" if name.startswith("mean") else None
            table.add_row(Text(name), *(_figure(scores.get(metric)) for metric in metrics), style=style)
        table.add_section()
        table.add_row()
    console = Console(highlight=False)
    names = max(len(name) for group in groups for name, _ in group)
    needed = names + sum(2 + width for width in widths)  # a table that is cut would hide figures
    console.print(f"{report['dataset']}, {report['model']}, seed {report['seed']}", style="bold", markup=False)
    if len(words) > SHOWN_WORDS:
        console.print(f"{len(words)} words; --json has each of them", style="dim", markup=False)
    Console(highlight=False, width=max(console.width, needed)).print(table)


def _readable(name: str) -> str:
    return name.replace("_", " ")


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{round(value, 3) + 0.0:.3f}"  # never -0.000
