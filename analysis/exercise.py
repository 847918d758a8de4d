"""The lesson's exercise: answers to choose, and answers in one's own words, each with feedback that points to a chart.

A typed answer is searched for words, not understood; the feedback says so, and says what it found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import regex

from analysis.errors import BadText
from analysis.lesson import PartName

QUESTION = "Why is self-attention better than an RNN for long-range dependencies?"
HINT = (
    "Think of the last word of a long text, and of the first. Through how many steps does what the first word said "
    "have to go before it reaches the last one, in each kind of network? And what happens to a gradient at every step?"
)
LONGEST = 2000  # characters of an answer
NOTE = "This looks for words; it does not understand them. It can miss a good answer, and be taken in by a bad one."


@dataclass(frozen=True, slots=True)
class Choice:
    """An answer to choose. `chart` is the part of the lesson whose measurement bears on it."""

    letter: str
    text: str
    right: bool
    feedback: str
    chart: PartName


@dataclass(frozen=True, slots=True)
class Idea:
    """Something that a good answer says, or (`mistaken`) that a common wrong one does; found by `patterns`."""

    id: str
    name: str
    why: str
    chart: PartName
    patterns: tuple[str, ...]
    mistaken: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """An idea and the words of the answer that it was recognised by, none where it was not."""

    id: str
    name: str
    why: str
    chart: PartName
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Feedback:
    """`right`: of a choice, whether it is the answer; of a typed one null, since words alone cannot tell."""

    kind: Literal["choice", "typed"]
    right: bool | None
    said: str
    chart: PartName
    found: tuple[Found, ...] = ()
    missing: tuple[Found, ...] = ()
    mistaken: tuple[Found, ...] = ()


@dataclass(frozen=True, slots=True)
class Option:
    """A choice without its feedback, as it is asked."""

    letter: str
    text: str


@dataclass(frozen=True, slots=True)
class Exercise:
    question: str
    hint: str
    choices: tuple[Option, ...]


CHOICES = (
    Choice(
        "a",
        "Because attention does less work than an RNN on a long text.",
        False,
        "No: it does more. An RNN takes n steps; attention scores n × n pairs, and the measured cost shows it growing "
        "faster than the text. What it buys with that work is a short path.",
        "cost",
    ),
    Choice(
        "b",
        "Because any two words are one step apart, so that a gradient need not pass through all the words between.",
        True,
        "Yes. In an RNN the trace of the first word is rewritten at every step, and its gradient shrinks each time; "
        "through attention it arrives as strong as a neighbour's, at any distance measured.",
        "paths",
    ),
    Choice(
        "c",
        "Because an RNN cannot read texts that are longer than those it was trained on.",
        False,
        "No: an RNN can read on for ever, with a state of fixed size. It is attention that is bounded, by its n × n "
        "matrix and by the positions that it knows. The RNN's trouble is what is left of the first word by then.",
        "paths",
    ),
    Choice(
        "d",
        "Because attention computes all words at once, and is therefore faster.",
        False,
        "Half: all at once is true, and trains quickly where many cores share the work. But speed is not why far words "
        "are remembered, and on few cores the n × n work overtakes it on long texts: see the times.",
        "parallel",
    ),
    Choice(
        "e",
        "Because the causal mask lets a word see the whole text.",
        False,
        "No: the mask takes sight away, of every later word. It is needed to generate text; without it attention sees "
        "the whole text anyway.",
        "masking",
    ),
)

IDEAS = (
    Idea(
        "path",
        "the path is short: one step between any two words",
        "An RNN needs as many steps as there are words between; attention needs one.",
        "paths",
        (
            r"\b(?:one|single|1|constant|fewer|short(?:er|est)?|direct(?:ly)?)[\s-]+(?:\w+[\s-]+){0,2}"
            r"(?:steps?|paths?|hops?|links?|jumps?|connections?|connect(?:s|ed)?|access)\b",
            r"\bpath[\s-]+lengths?\b",
            r"\bpaths? (?:\w+ ){0,2}(?:constant|short|one|direct)\b",
            r"\bO\(1\)",
            r"\bdirectly\b",
            r"\bat any distance\b",
            r"\b(?:regardless|independent(?:ly)?) of (?:the )?distance\b",
        ),
    ),
    Idea(
        "gradients",
        "gradients do not vanish on the way",
        "At each recurrent step the gradient is multiplied by a matrix, and shrinks; through attention it does not "
        "pass through the words between.",
        "paths",
        (r"\bgradients?\b", r"\bvanish\w*", r"\bexplod\w*", r"\bback-?prop\w*", r"\bforg[eo]t\w*",
         r"\bfad(?:e|es|ed|ing)\b", r"\bshrink\w*"),
    ),
    Idea(
        "parallel",
        "all words are computed at once",
        "A recurrent step must wait for the one before it; attention's rows wait for nothing, so that many cores help.",
        "parallel",
        (r"\bparallel\w*", r"\bat once\b", r"\bsimultaneous\w*", r"\bat the same time\b", r"\bnot sequential\w*",
         r"\bconcurrent\w*"),
    ),
    Idea(
        "content",
        "words are found by what they mean, not by where they stand",
        "The weights come from queries and keys: a word picks what it needs, near or far, and nothing has to be "
        "squeezed into one state on the way.",
        "variants",
        (
            r"\bquer(?:y|ies)\b",
            r"\bkeys?\b",
            r"\bcontent\b",
            r"\bweights?\b",
            r"\brelevan\w*",
            r"\bbottlenecks?\b",
            r"\b(?:looks?|attends?|attending|refers?) (?:\w+ ){0,2}(?:at|to|up|back)\b",
            r"\b(?:fixed[\s-]size|one|single) (?:hidden )?(?:state|vector)\b",
            r"\bwhole (?:text|sentence|sequence)\b",
            r"\b(?:every|all|any)(?: other)? (?:words?|tokens?)\b",
        ),
    ),
    Idea(
        "cheap",
        "that attention is cheaper",
        "It is not: dense attention does work for n × n pairs, a recurrent layer for n words.",
        "cost",
        (r"\bcheap(?:er)?\b", r"\bless (?:work|memory|comput\w*|expensive)\b",
         r"\bfewer (?:operations|comput\w*|calculations)\b", r"\bmore efficient\b"),
        mistaken=True,
    ),
    Idea(
        "order",
        "that attention knows the order of words by itself",
        "It does not: without positions added to the words, a text and its anagram look the same to it.",
        "paths",
        (r"\b(?:knows|remembers|keeps|learns) (?:the )?(?:word )?order\b",),
        mistaken=True,
    ),
)  # fmt: skip


def exercise() -> Exercise:
    """The question, the hint, and the answers to choose."""
    return Exercise(QUESTION, HINT, tuple(Option(choice.letter, choice.text) for choice in CHOICES))


def feedback(answer: str) -> Feedback:
    """On a letter, or on an answer in one's own words.

    Raises BadText for an empty answer, one of more than LONGEST characters, or one letter that is no choice.
    """
    given = answer.strip()
    for choice in CHOICES:
        if given.lower().rstrip(".)") == choice.letter:
            return Feedback("choice", choice.right, choice.feedback, choice.chart)
    if not 1 < len(given) <= LONGEST:
        letters = ", ".join(choice.letter for choice in CHOICES)
        raise BadText(
            f"{given!r} is no choice, and no sentence"
            if len(given) <= 1
            else f"{len(given):,} characters are too many",
            remedy=f"give one of the letters {letters}, or a sentence of at most {LONGEST:,} characters",
            where=("answer",),
        )
    return _typed(given)


def _typed(answer: str) -> Feedback:
    ideas = [(idea, Found(idea.id, idea.name, idea.why, idea.chart, _words(idea.patterns, answer))) for idea in IDEAS]
    found = tuple(one for idea, one in ideas if one.words and not idea.mistaken)
    missing = tuple(one for idea, one in ideas if not one.words and not idea.mistaken)
    mistaken = tuple(one for idea, one in ideas if one.words and idea.mistaken)
    wanted = len(found) + len(missing)
    if not found:
        said = "None of the ideas that this looks for was recognised."
    elif missing:
        said = f"{len(found)} of {wanted} ideas recognised."
    else:
        said = f"All {wanted} ideas recognised."
    if mistaken:
        said += " One thing to look at again." if len(mistaken) == 1 else " Two things to look at again."
    first = (*mistaken, *missing, *found)[0]
    return Feedback("typed", None, f"{said} {NOTE}", first.chart, found, missing, mistaken)


def _words(patterns: tuple[str, ...], answer: str) -> tuple[str, ...]:
    """The pieces of the answer that a pattern fits, each once, in lower case."""
    pattern = "|".join(patterns)
    return tuple(dict.fromkeys(match.group().lower() for match in regex.finditer(pattern, answer, regex.IGNORECASE)))
