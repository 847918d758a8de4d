"""Which part of speech a word may have, from the word before it, where the caller did not say.

log P(part of speech | word before) / P(part of speech), of 185,000 tagged words of SemCor 3.0 (Brown corpus). It tells
"to bank" from "the bank", and no more.
"""

from __future__ import annotations

from collections.abc import Mapping

from analysis.lexicon.wordnet import POS_NAMES, Pos
from analysis.text import words
from analysis.types import Occurrence

# The columns are those of POS_NAMES.
_BEFORE = """
the .5 -4.5 .3 -2.1     a .3 -4.5 .6 -1.1       an .3 -4 .8 -1.1        to -1.5 1.1 -1.1 -3.1   of .4 -1.6 .4 -1.9
his .6 -3.7 0 -2.9      her .5 -1.8 -.2 -.8     its .4 -4.1 .5 -1.9     their .5 -3.4 .3 -2.3   my .6 -3.2 -.1 -3.1
our .5 -3.1 .3 -1.8     your .6 -3.3 -.2 -2.9   this .4 -.4 -.3 -1.6    these .5 -1.2 -.2 -2    some .3 -1.9 .5 -.9
any .5 -3.4 .3 -1.3     no .5 -2.9 .1 -1.4      such .6 -2.4 -.2 -2.4   in .3 -1.1 .4 -1        on .3 -1.2 .4 -.9
for .2 -.9 .5 -.7       from .1 -.9 .6 -.5      with .1 -2.9 .8 -.6     he -5.2 1.3 -4.8 -.6    she -4.2 1.3 -3.5 -.9
it -4.2 1.1 -1.3 .2     i -4.5 1.2 -4 -.4       they -4 1.2 -2.8 -.5    we -3.7 1.2 -2.1 -.1    you -2.8 1.1 -1.8 0
who -3.6 1.2 -3.8 -.5   which -1.3 1 -1.4 -.1   there -3.3 1.2 -2.2 -1.1                        was -2.4 .4 .3 1
is -2.4 .1 .5 1.3       are -2.2 .2 .5 1.1      were -2.2 .5 .2 .9      be -2.7 .8 .3 .1        been -2.8 .9 -.2 .3
had -2.2 1 -1.3 .5      has -2.1 .9 -1 .8       have -1.8 .9 -.7 .3     not -2.4 .8 -.2 .7      would -3.5 1.1 -4 .5
will -3.3 1.1 -3.2 .5   could -3.6 .9 -3.8 1    can -3 1.1 -3.2 .4      may -3.6 1.1 -2.8 .6    so -2.4 -.8 1.2 .9
"""
_FIELDS = _BEFORE.split()
BEFORE: Mapping[str, Mapping[Pos, float]] = {
    _FIELDS[i]: dict(zip(POS_NAMES, map(float, _FIELDS[i + 1 : i + 5]), strict=True)) for i in range(0, len(_FIELDS), 5)
}


def evidence(occurrence: Occurrence) -> Mapping[Pos, float]:
    """For each part of speech what the word before says for it, in nats; empty where that word is not in the table."""
    before = words(occurrence.text[max(0, occurrence.start - 40) : occurrence.start])
    return BEFORE.get(before[-1].text.lower(), {}) if before else {}
