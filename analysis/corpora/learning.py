"""The work on one target: its senses, learnt from a sample of its uses, and two more models to judge the sample by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis import sensefile, senses
from analysis.assemble import Options, identified
from analysis.corpora.finding import Use
from analysis.corpora.reading import readable
from analysis.errors import BadSpan, BadText, InputError
from analysis.fitting import keep
from analysis.grouping import of_rows
from analysis.pipeline import Induced, Watch, induced
from analysis.record import Notice, to_json
from analysis.types import Document, Encoder, FloatArray, SenseModel, Span

FEWEST = 2 * senses.LEAST  # uses, so that each half can say something


class LearnTask(NamedTuple):
    """The `uses` that senses are learnt from, out of `total` uses that are in the corpus."""

    target: str
    uses: tuple[Use, ...]
    total: int
    options: Options
    pairs: Path | None


class Learnt(NamedTuple):
    """The analysis as JSON, the sense model as a file, and of the M uses that could be read the vectors, f32 (M, D).

    readable  bool (N) of the task's uses
    halves    the centroids, f32 (K, 2D), that each half of the sample gives by itself; none for few uses
    error     why there are no senses; then all else is empty
    """

    target: str
    analysis: str = ""
    model: bytes = b""
    vectors: FloatArray = np.zeros((0, 0), dtype=np.float32)
    context: FloatArray = np.zeros((0, 0), dtype=np.float32)
    readable: NDArray[np.bool_] = np.zeros(0, dtype=bool)
    halves: tuple[FloatArray, ...] = ()
    error: str | None = None


def learn(encoder: Encoder, task: LearnTask, watch: Watch) -> Learnt:
    """What `polyseme senses` says of the sample. What the target or the options make impossible is the `error`."""
    can = np.ones(len(task.uses), dtype=bool)
    try:
        try:
            found = _induced(encoder, task, can, watch)
        except (BadSpan, BadText):
            can = readable(encoder, [use.occurrence(task.target) for use in task.uses])
            if not can.any():
                raise
            found = _induced(encoder, task, can, watch)
        model = sensefile.to_bytes(keep(found))
    except InputError as error:
        return Learnt(task.target, error=str(error))
    analysis = found.analysis
    if task.total > len(task.uses):
        sampled = f"the senses are those of a sample: {len(task.uses)} of {task.total} usages"
        told = Notice("sample", f"{sampled}; the corpus report says how well it speaks for the rest")
        analysis = identified(replace(analysis, warnings=(*analysis.warnings, told)))
    usages = found.usages
    halves = _halves(found, task.target, task.options)
    return Learnt(task.target, to_json(analysis), model, usages.vectors, usages.context, can, halves)


def half_model(target: str, centroids: FloatArray) -> SenseModel:
    """The model that one half of a sample gave; see `Learnt`."""
    names = tuple(f"s{k}" for k in range(len(centroids)))
    return SenseModel(target, names, centroids, np.ones(len(names), dtype=np.int64), senses.TEMPERATURE)


def _induced(encoder: Encoder, task: LearnTask, can: NDArray[np.bool_], watch: Watch) -> Induced:
    documents = [
        Document(use.text, use.place, (Span(use.start, use.end),))
        for use, good in zip(task.uses, can, strict=True)
        if good
    ]
    return induced(encoder, documents, task.target, task.options, pairs=task.pairs, watch=watch)


def _halves(learnt: Induced, target: str, options: Options) -> tuple[FloatArray, ...]:
    usages, n = learnt.usages, len(learnt.usages)
    if n < FEWEST:
        return ()
    order = np.random.default_rng(options.seed).permutation(n)
    found = []
    for half in (np.sort(order[: n // 2]), np.sort(order[n // 2 :])):
        vectors, context = usages.vectors[half], usages.context[half]
        distinct = len(np.unique(np.round(senses.represent(vectors, context), 5), axis=0))
        given = options.n_senses and min(options.n_senses, distinct)
        odds = of_rows(learnt.log_odds, half)
        model, _ = senses.induce(vectors, context, target=target, n_senses=given, seed=options.seed, log_odds=odds)
        found.append(model.centroids)
    return tuple(found)
