"""What the dictionary says, on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from analysis.lexicon.disambiguate import DisambiguatedUsage, Disambiguation
from service.terminal import SEGMENT_STYLES, print_notices, shown

SHOWN_SENSES = 4
SHOWN_DRIVERS = 5


def print_disambiguation(found: Disambiguation) -> None:
    """Each usage in its text, its likeliest senses, and the words that drove the first."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{found.dictionary}, {found.model}, by {found.method}", style="bold", markup=False)
    for usage in found.usages:
        console.print(_sentence(usage))
        if usage.sense is None:
            told = f"not sure: the first sense has {usage.confidence:.0%}, less than {found.threshold:.0%}"
            console.print(f"     {told}", markup=False)
        for k, sense in enumerate(usage.senses[:SHOWN_SENSES]):
            line = Text(f"     {sense.probability:>4.0%}  ")
            line.append(sense.synset, style="bold" if k == 0 and usage.sense else "")
            console.print(line.append(f"  {sense.key}  {shown(sense.gloss)}"))
        more = usage.candidates - SHOWN_SENSES
        if more > 0:
            console.print(f"           … and {more} more with --json", style="dim")
        driving = [driver for driver in usage.drivers or () if (driver.margin or 0) > 0][:SHOWN_DRIVERS]
        if driving:
            words = "  ".join(f"{shown(driver.word)} {driver.margin:+.3f}" for driver in driving)
            console.print(f"     driven by  {words}", markup=False)
    print_notices(found.warnings)
    if any(usage.drivers for usage in found.usages):
        note = "After a word: how much of the first sense's lead over the second goes when the word is left out."
        console.print(f"\n{note}", style="dim")


def _sentence(usage: DisambiguatedUsage) -> Text:
    line = Text("\n" + shown(usage.text[: usage.start]))
    line.append(shown(usage.text[usage.start : usage.end]), style=SEGMENT_STYLES["target"])
    return line.append(shown(usage.text[usage.end :]))
