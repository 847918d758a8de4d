"""How much each context word did for a usage's sense: many methods behind one signature, chosen by name.

Costs are in passes: one is a reading of one text, and a gradient is three (a backward pass counts as two).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from analysis.attention import rollout
from analysis.drivers.faithfulness import count
from analysis.drivers.response import Response
from analysis.errors import BadOption, UnsupportedModel
from analysis.types import (
    Ability,
    Attribution,
    Encoder,
    FloatArray,
    IntArray,
    Operator,
    Path,
    Perturbed,
    Progress,
    Unit,
    Usages,
    silent,
)

DEFAULT = "occlusion"
BUDGET = 5  # passes of the default after its first gradient: with that, eight a usage
# Where the default looks on the path of gates: with most of the rest gone, what a word brings shows best.
FADED, NEARLY_GONE = (0.25,), (0.1,)
TOP = 0.1  # of the words: without the first tenth, the second gradient tells what the rest brings
SHORT = 10  # words, of which a tenth is one: their order needs no second gradient
GRADIENT = 3  # what one costs, in passes
STEPS = tuple((step + 0.5) / 10 for step in range(10))


@dataclass(frozen=True, eq=False)
class Task:
    """N usages to explain; `words` are for each the indices into `usages.words` of what can be a driver."""

    encoder: Encoder
    usages: Usages
    response: Response
    words: Sequence[IntArray]
    budget: int
    function_words: Collection[str]
    progress: Progress

    def units(self, i: int) -> tuple[Unit, ...]:
        return tuple(self.usages.words[i][k] for k in self.words[i])


class Scores(NamedTuple):
    """What a method says of a usage's W words; see `Attribution` for the fields."""

    effects: FloatArray
    ranking: IntArray
    on_senses: FloatArray | None = None
    gap: float | None = None


class Method(NamedTuple):
    """`cost` is the passes for a usage of W words under a budget; `operator` how it takes words away, if it does."""

    measure: Callable[[Task], list[Scores]]
    cost: Callable[[int, int], int]
    operator: Operator | None = None
    needs: frozenset[Ability] = frozenset()


def occlusion(task: Task) -> list[Scores]:
    """The default: gradients pick the likeliest words, and leaving each out settles what it does.

    The effect is the drop in the sense's probability without the word (Zeiler and Fergus 2014; for text Li, Monroe and
    Jurafsky 2016), NaN for words that were not tried; these follow in the ranking in the order of the gradients. Costs
    at most 3 + budget passes. A model that has no such gradients picks by attention.
    """
    able = "gradients" in task.encoder.abilities
    orders = _by_gates(task) if able else [scores.ranking for scores in attention(task, _mean)]
    tried = [_candidates(task, i, order) for i, order in enumerate(orders)]
    drops = _occlude(task, tried, "delete")
    found = []
    for i, drop in enumerate(drops):
        effects = drop[:, task.response.sense[i]]
        settled = tried[i][np.argsort(-effects[tried[i]], kind="stable")]
        others = orders[i][~np.isin(orders[i], settled)]
        found.append(Scores(effects, np.concatenate([settled, others]), drop))
    return found


def _by_gates(task: Task) -> list[IntArray]:
    """Rankings by the gradients of gates: one finds the first tenth of the words, and one, without these, ranks the
    rest. Words that say the same hide one another; once the first are gone, what stood behind them shows."""
    orders = [scores.ranking for scores in gradients(task, "gates", FADED)]
    long = [i for i, order in enumerate(orders) if _looks_twice(len(order), task.budget)]
    if not long:
        return orders
    units = [task.usages.words[i] for i in long]
    tops = [task.words[i][orders[i][: count(TOP, len(orders[i]))]] for i in long]
    without = [
        Perturbed(task.usages.occurrences[i], tuple(of[k].span for k in np.sort(top)))
        for i, of, top in zip(long, units, tops, strict=True)
    ]
    slope = task.response.take(long).slope
    found = task.encoder.gradients(without, slope, path="gates", points=NEARLY_GONE, progress=task.progress)
    for i, of, top, left in zip(long, units, tops, found.effects, strict=True):
        added = np.full(len(of), np.inf, dtype=np.float32)  # the top stays first
        added[np.delete(np.arange(len(of)), top)] = left
        orders[i] = orders[i][np.argsort(-added[task.words[i][orders[i]]], kind="stable")]
    return orders


def _candidates(task: Task, i: int, order: IntArray) -> IntArray:
    """The first words of the order. A function word must earn its place: no other word stands before it."""
    units = task.units(i)
    kept = [k for k in order if k == order[0] or units[k].text.lower() not in task.function_words]
    return np.array(kept[: _settled(len(units), task.budget)], dtype=np.int64)


def _looks_twice(n_words: int, budget: int) -> bool:
    """Whether a second gradient is worth what it takes from the budget."""
    return n_words > SHORT and budget > GRADIENT


def _settled(n_words: int, budget: int) -> int:
    """How many words are left out, one at a time."""
    return min(n_words, budget - GRADIENT if _looks_twice(n_words, budget) else budget)


def _cost(n_words: int, budget: int) -> int:
    return GRADIENT * (1 + _looks_twice(n_words, budget)) + _settled(n_words, budget)


def occlusion_of_all(task: Task, operator: Operator) -> list[Scores]:
    """Every word left out, or replaced by [MASK], one at a time; the effect as of `occlusion`. A pass a word."""
    drops = _occlude(task, [np.arange(len(words)) for words in task.words], operator)
    return [_ranked(drop[:, task.response.sense[i]], on_senses=drop) for i, drop in enumerate(drops)]


def gradients(task: Task, path: Path, points: Sequence[float]) -> list[Scores]:
    """A word's part of what the response gains along a path from no context to all of it; see model/gradients.py.

    "gates" lets the context fade out of the attention, "mask" is integrated gradients (Sundararajan, Taly and Yan
    2017) with [MASK] as baseline; at ten points its effects nearly sum to the gain. `gap` is what a path leaves out.
    "zero" at point 1 is gradient x input (Denil et al. 2014; Shrikumar et al. 2017). Three passes a point, and two for
    the ends of a path.
    """
    found, ends = task.encoder.gradients(
        task.usages.occurrences,
        task.response.slope,
        path=path,
        points=points,
        ends=len(points) > 1,
        progress=task.progress,
    )
    added = [row[words] for row, words in zip(found, task.words, strict=True)]
    if ends is None:
        return [_ranked(row) for row in added]
    return [_ranked(row, gap=float(end - start - row.sum())) for row, (start, end) in zip(added, ends, strict=True)]


def value_zeroing(task: Task) -> list[Scores]:
    """How far the target's state turns at each layer without a word's value vectors (Mohebbi et al. 2023), mean of
    layers; shares that sum to 1, never negative. About a pass a word."""
    turned = task.encoder.value_zeroing(task.usages.occurrences, progress=task.progress)
    return [_ranked(row[words]) for row, words in zip(turned, task.words, strict=True)]


def attention(task: Task, pool: Callable[[FloatArray], FloatArray]) -> list[Scores]:
    """The target's attention to the word: `pool` makes (W) of (L, H, W). No pass; a hypothesis, not a measurement."""
    rows = task.usages.target_attention
    assert rows is not None  # noqa: S101 - explain() has checked
    return [_ranked(pool(row)[words]) for row, words in zip(rows, task.words, strict=True)]


def attention_rollout(task: Task) -> list[Scores]:
    """The target's row of attention rollout (Abnar and Zuidema 2020), over words. One pass."""
    found = []
    for occurrence, words in zip(task.usages.occurrences, task.words, strict=True):
        whole = task.encoder.word_attention(occurrence)
        of_target = [q for q, unit in enumerate(whole.units) if unit.span.overlaps(occurrence.span)]
        found.append(_ranked(rollout(whole.weights)[of_target].mean(axis=0)[words]))
        task.progress(1)
    return found


def _mean(row: FloatArray) -> FloatArray:
    mean: FloatArray = row.mean(axis=(0, 1))
    return mean


def _max(row: FloatArray) -> FloatArray:
    largest: FloatArray = row.max(axis=1).mean(axis=0)
    return largest


def _layer(row: FloatArray, layer: int) -> FloatArray:
    return _mean(row[layer : layer + 1])


def _head(row: FloatArray, layer: int, head: int) -> FloatArray:
    of_head: FloatArray = row[layer, head]
    return of_head


_MASK: frozenset[Ability] = frozenset({"mask"})
_GRADIENTS: frozenset[Ability] = frozenset({"gradients"})
METHODS: Mapping[str, Method] = {
    "occlusion": Method(occlusion, _cost, "delete"),
    "occlusion-exact": Method(partial(occlusion_of_all, operator="delete"), lambda w, _: w, "delete"),
    "occlusion-mask": Method(partial(occlusion_of_all, operator="mask"), lambda w, _: w, "mask", _MASK),
    "gates": Method(partial(gradients, path="gates", points=STEPS), lambda *_: 32, needs=_GRADIENTS),
    "integrated-gradients": Method(
        partial(gradients, path="mask", points=STEPS), lambda *_: 32, needs=_MASK | _GRADIENTS
    ),
    "gradient-x-input": Method(partial(gradients, path="zero", points=(1.0,)), lambda *_: 3, needs=_GRADIENTS),
    "value-zeroing": Method(value_zeroing, lambda w, _: w, needs=frozenset({"values"})),
    "attention": Method(partial(attention, pool=_mean), lambda *_: 0),
    "attention-max": Method(partial(attention, pool=_max), lambda *_: 0),
    "rollout": Method(attention_rollout, lambda *_: 1),
}
ONE_HEAD = re.compile("attention:([0-9]{1,4})(?::([0-9]{1,4}))?")
_LACKING: Mapping[Ability, str] = {
    "mask": "mask token",
    "gradients": "attention that takes a mask of its own",
    "values": "value projection of its own",
}
NAMES = (*METHODS, "attention:LAYER", "attention:LAYER:HEAD")


def check_method(name: str, encoder: Encoder) -> Method:
    """The method of that name.

    Raises BadOption, which lists the methods, for one that is not there or a layer or head that the model does not
    have; UnsupportedModel, which lists what the model can serve, where it lacks what the method needs.
    """
    chosen = ONE_HEAD.fullmatch(name)
    if chosen:
        layer, head = int(chosen[1]), int(chosen[2] or 0)
        for noun, index, count in (("layer", layer, encoder.info.layers), ("head", head, encoder.info.heads)):
            if index >= count:
                raise BadOption(
                    f"there is no {noun} {index} for the drivers: the model has {count} {noun}s",
                    remedy=f"choose from 0 to {count - 1}",
                    where=("drivers",),
                )
        pool = partial(_head, layer=layer, head=head) if chosen[2] else partial(_layer, layer=layer)
        return Method(partial(attention, pool=pool), lambda *_: 0)
    if name not in METHODS:
        raise BadOption(
            f"there is no driver method {name!r}",
            remedy=f"choose from {', '.join(NAMES)}; none for no drivers",
            where=("drivers",),
        )
    missing = METHODS[name].needs - encoder.abilities
    if missing:
        served = ", ".join(n for n in NAMES if n not in METHODS or METHODS[n].needs <= encoder.abilities)
        raise UnsupportedModel(
            f"the model {encoder.info.name!r} has no {_LACKING[min(missing)]}, which {name!r} needs",
            remedy=f"choose from {served}",
            where=("drivers",),
        )
    return METHODS[name]


def check_budget(budget: int) -> None:
    """Raises BadOption for a budget below 1."""
    if budget < 1:
        raise BadOption(f"a budget of {budget} words explains nothing", remedy="give 1 or more", where=("budget",))


def explain(
    encoder: Encoder,
    usages: Usages,
    response: Response,
    *,
    method: str = DEFAULT,
    budget: int = BUDGET,
    function_words: Collection[str] = (),
    progress: Progress = silent,
) -> tuple[Attribution, ...]:
    """An attribution for each of N usages, which must hold their attention.

    `function_words`, in lower case, are those that the default method tries only where they stand out.

    With one sense there is nothing to choose: its probability is 1, and all effects on it are 0. A usage without
    context words has no effects. Raises BadOption and UnsupportedModel as `check_method` and `check_budget` do.
    """
    chosen = check_method(method, encoder)
    check_budget(budget)
    if usages.target_attention is None:
        raise ValueError("explain needs usages that were encoded with attention=True")
    words = [context_words(usages, i) for i in range(len(usages))]
    keys = _keys(usages, response, words)
    firsts = list({key: i for i, key in reversed(list(enumerate(keys))) if key}.values())
    of_firsts = [words[i] for i in firsts]
    task = Task(encoder, usages.take(firsts), response.take(firsts), of_firsts, budget, function_words, progress)
    found = dict(zip((keys[i] for i in firsts), chosen.measure(task) if firsts else (), strict=True))
    nothing = _ranked(np.zeros(0, dtype=np.float32))
    attributions = []
    for i, key in enumerate(keys):
        scores = found[key] if key else nothing
        units = tuple(usages.words[i][k] for k in words[i])
        attention = _mean(usages.target_attention[i])[words[i]]
        attributions.append(
            Attribution(usages.occurrences[i], units, attention=attention, method=method, **scores._asdict())
        )
    return tuple(attributions)


def passes(encoder: Encoder, usages: Usages, response: Response, *, method: str, budget: int) -> int:
    """About how many passes `explain` will ask of the encoder: at most so many by the methods that take a budget."""
    cost = check_method(method, encoder).cost
    words = [context_words(usages, i) for i in range(len(usages))]
    distinct = {key: len(of) for key, of in zip(_keys(usages, response, words), words, strict=True) if key}
    return sum(cost(n_words, budget) for n_words in distinct.values())


def _keys(usages: Usages, response: Response, words: Sequence[IntArray]) -> list[tuple[object, ...] | None]:
    """Usages of one key have the same attribution; None where there is no context to explain by."""
    return [
        (use.text, use.span, int(sense)) if len(of) else None
        for use, sense, of in zip(usages.occurrences, response.sense, words, strict=True)
    ]


def context_words(usages: Usages, i: int) -> IntArray:
    """(W) indices into `usages.words[i]` of what can be a driver: words with a letter or digit, but not the target."""
    target = usages.occurrences[i].span
    return np.array(
        [
            k
            for k, unit in enumerate(usages.words[i])
            if not unit.special and not unit.span.overlaps(target) and any(c.isalnum() for c in unit.text)
        ],
        dtype=np.int64,
    )


def _ranked(effects: FloatArray, on_senses: FloatArray | None = None, gap: float | None = None) -> Scores:
    return Scores(effects, np.argsort(-effects, kind="stable"), on_senses, gap)


def _occlude(task: Task, tried: Sequence[IntArray], operator: Operator) -> list[FloatArray]:
    """For each usage f32 (W, K): p(sense | all words) - p(sense | all but this one); NaN where not tried."""
    response, usages = task.response, task.usages
    drops = [np.full((len(words), len(response.model.senses)), np.nan, dtype=np.float32) for words in task.words]
    where = [(i, int(k)) for i, words in enumerate(tried) for k in words]
    if not where:
        return drops
    units = [task.units(i) for i in range(len(usages))]
    readings = [Perturbed(usages.occurrences[i], (units[i][k].span,), operator) for i, k in where]
    read = task.encoder.encode(readings, progress=task.progress)
    whole = response.probabilities(usages.vectors, usages.context, np.arange(len(usages)))
    without = response.probabilities(read.vectors, read.context, np.array([i for i, _ in where]))
    for (i, k), chances in zip(where, without, strict=True):
        drops[i][k] = whole[i] - chances
    return drops
