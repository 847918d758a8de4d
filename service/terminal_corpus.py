"""The report of a corpus run on a terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.text import Text

from analysis.corpora.summary import Report, TargetReport
from analysis.marks import mark
from service.terminal import SENSE_COLOURS, shown


def print_report(report: Report, out: Path) -> None:
    """Each target with its senses and how well the sample speaks for them; then what was skipped, and where all is."""
    console = Console(highlight=False, soft_wrap=True)
    for target in report.targets:
        _print_target(console, target)
    texts = f"{report.texts:,} texts in {report.files:,} file{'' if report.files == 1 else 's'}"
    console.print(f"{texts}; {report.skipped.number:,} could not be read and were skipped.", markup=False)
    for row in report.skipped.first[:3]:
        console.print(f"     {shown(row['why'])}", markup=False)
    if report.skipped.number > 3:
        console.print("     … see skipped.jsonl", markup=False)
    console.print(f"Written to {out}: report.html, report.json, and a folder for each target", markup=False)


def _print_target(console: Console, target: TargetReport) -> None:
    name = shown(target.target)
    if target.error is not None:
        console.print(f"{name}: no senses; {shown(target.error)}\n", style="bold", markup=False)
        return
    usages = f"{target.read:,} of {target.found:,} usages" if target.read < target.found else f"{target.read:,} usages"
    console.print(f"{name}: {target.verdict} ({len(target.senses)} in {usages})", style="bold", markup=False)
    for i, sense in enumerate(target.senses):
        sign = mark(i)
        line = Text(f"{sign.shape} {sign.letter}  ", style=SENSE_COLOURS[i % len(SENSE_COLOURS)])
        line.append(shown(sense.label), style="bold")
        line.append(f"   {sense.id}, {sense.size:,} usages, {sense.share:.1%}", style="default")
        console.print(line)
    if target.no_sense:
        console.print(f"–    no sense: {target.no_sense:,} usages", markup=False)
    if target.unreadable:
        console.print(f"     the model cannot read {target.unreadable:,} usages", markup=False)
    if target.speaks is not None:
        console.print(target.speaks.said, markup=False)
    console.print()
