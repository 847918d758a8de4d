"""From the words of single usages to those of a sense, and to what tells two senses apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from analysis.record import SenseDriver
from analysis.types import Attribution, FloatArray

SHOWN = 3  # usages that a word is shown by


class Said(NamedTuple):
    """An effect that a word had in one usage, which is known by its id."""

    effect: float
    usage: str


Words = dict[str, list[Said]]
Form = Callable[[str], str]


def by_sense(
    attributions: Sequence[Attribution],
    sense: Sequence[int],
    n_senses: int,
    *,
    ids: Sequence[str],
    form: Form = str.lower,
    function_words: Collection[str] = (),
    top: int = 10,
) -> list[tuple[SenseDriver, ...]]:
    """For each of K senses its `top` words that speak for it, from usages whose senses and ids are given.

    Words are the same if `form` of them is; one that stands twice in a usage counts once there, by its larger effect.
    The interval is Student's, 95 %, over usages. The order is by total effect x specificity: the total (mean x
    support) puts a word that often helps before one that helped much, once; the specificity, (p - q) / (p + q) with p
    and q the word's share of the usages of this sense and of all others, drops what stands everywhere. A function
    word must earn its place: its interval is above 0.
    """
    said: list[Words] = [defaultdict(list) for _ in range(n_senses)]
    for attribution, own, usage in zip(attributions, sense, ids, strict=True):
        _hear(said[own], attribution, attribution.effects, usage, form)
    usages = np.bincount(np.asarray(sense, dtype=np.int64), minlength=n_senses)
    ranked = []
    for k, words in enumerate(said):
        specific = {}
        for word, effects in words.items():
            elsewhere = sum(len(other.get(word, ())) for other in said) - len(effects)
            p, q = len(effects) / usages[k], elsewhere / max(1, len(sense) - usages[k])
            specific[word] = float((p - q) / (p + q))
        drivers = [_driver(word, effects, specific[word]) for word, effects in words.items()]
        score = {d.word: d.effect * d.support * specific[d.word] for d in drivers}
        # A negative effect times a negative specificity speaks for nothing.
        speaks = [d for d in drivers if d.effect > 0 and score[d.word] > 0 and _earned(d, function_words)]
        ranked.append(tuple(sorted(speaks, key=lambda d, score=score: (-score[d.word], d.word))[:top]))  # type: ignore[misc]
    return ranked


def contrast(
    attributions: Sequence[Attribution],
    sense: Sequence[int],
    pair: tuple[int, int],
    *,
    ids: Sequence[str],
    form: Form = str.lower,
    function_words: Collection[str] = (),
    top: int = 5,
) -> tuple[SenseDriver, ...]:
    """Why the first sense of the pair and not the second: the `top` words for each, from usages of either.

    An effect is the drop, without the word, of the probability of the first less that of the second: a negative one
    speaks for the second. The order is by the total, whatever its sign. Only methods that say what a word does to every
    sense can tell (`Attribution.on_senses`); others give none.
    """
    said: Words = defaultdict(list)
    for attribution, own, usage in zip(attributions, sense, ids, strict=True):
        if own in pair and attribution.on_senses is not None:
            apart = attribution.on_senses[:, pair[0]] - attribution.on_senses[:, pair[1]]
            _hear(said, attribution, apart, usage, form)
    drivers = [_driver(word, effects, None) for word, effects in said.items()]
    telling = sorted(
        (d for d in drivers if _earned(d, function_words)), key=lambda d: (-abs(d.effect) * d.support, d.word)
    )
    first, second = [d for d in telling if d.effect > 0][:top], [d for d in telling if d.effect < 0][:top]
    return tuple(d for d in telling if d in first or d in second)


def _hear(words: Words, attribution: Attribution, effects: FloatArray, usage: str, form: Form) -> None:
    """Add what a usage says of its words; NaN says nothing."""
    strongest: dict[str, float] = {}
    for unit, effect in zip(attribution.words, effects.tolist(), strict=True):
        word = form(unit.text)
        if not np.isnan(effect) and abs(effect) >= abs(strongest.get(word, 0.0)):
            strongest[word] = effect
    for word, effect in strongest.items():
        words[word].append(Said(effect, usage))


def _earned(driver: SenseDriver, function_words: Collection[str]) -> bool:
    if driver.word.lower() not in function_words:
        return True
    return driver.low is not None and driver.high is not None and (driver.low > 0 or driver.high < 0)


def _driver(word: str, said: Sequence[Said], specificity: float | None) -> SenseDriver:
    effects = [s.effect for s in said]
    mean, n = float(np.mean(effects)), len(effects)
    low = high = None
    if n > 1:
        half = float(stats.t.ppf(0.975, n - 1) * np.std(effects, ddof=1) / np.sqrt(n))
        # An effect is a difference of probabilities: no interval reaches beyond -1 and 1.
        low, high = round(max(-1.0, mean - half), 6), round(min(1.0, mean + half), 6)
    shown = sorted(said, key=lambda s: -s.effect if mean > 0 else s.effect)[:SHOWN]
    return SenseDriver(
        word=word,
        effect=round(mean, 6),
        low=low,
        high=high,
        support=n,
        specificity=None if specificity is None else round(specificity, 6),
        exemplars=tuple(s.usage for s in shown),
    )
