"""What an evaluation is asked and what it gives: the report, and the predictions, so that anyone can score it anew."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from analysis.errors import BadOption
from analysis.evaluation.cache import Embedded, embed
from analysis.grouping import LogOdds
from analysis.pipeline import Watch, unwatched
from analysis.same_sense import for_encoder, log_odds, middle_layers
from analysis.types import Encoder, FloatArray, Occurrence

Scores = dict[str, float]  # by metric; NaN where nothing can be said
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Options:
    """`limit` usages a word at most (pairs, where the data are pairs), drawn by `seed`; `cache` is the folder of the
    embedding caches, None keeps nothing; `pairs` is the folder of the caller's own PairModels, `home` that of
    the dictionary. Raises BadOption for a limit below one."""

    seed: int = 0
    limit: int | None = None
    cache: Path | None = None
    watch: Watch = unwatched
    pairs: Path | None = None
    home: Path | None = None

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise BadOption(f"the seed {self.seed} is negative", remedy="give 0 or more", where=("seed",))
        if self.limit is not None and self.limit < 1:
            raise BadOption(f"the limit {self.limit} is below 1", remedy="give 1 or more", where=("limit",))


class Outcome(NamedTuple):
    """`report` is plain data for JSON; `columns` and `rows` are the predictions, a usage or a pair a row."""

    report: dict[str, Any]
    columns: tuple[str, ...]
    rows: list[tuple[object, ...]]


def limited(items: Sequence[Item], options: Options) -> list[Item]:
    """At most `limit` of the items, drawn by the seed, in the order they were in."""
    if options.limit is None or len(items) <= options.limit:
        return list(items)
    chosen = np.random.default_rng(options.seed).choice(len(items), options.limit, replace=False)
    return [items[i] for i in sorted(chosen)]


def encode(
    encoder: Encoder, occurrences: Sequence[Occurrence], options: Options, layers: Sequence[int] = ()
) -> Embedded:
    """`embed` with the cache and under the watch of the options."""
    return embed(encoder, occurrences, options.cache, options.watch("read", len(occurrences)), layers=layers)


class Part(NamedTuple):
    """`vectors` and `context`, f32 (N, D), of usages; and of those to be induced, where it is known, what was learnt of
    usages of other words."""

    vectors: FloatArray
    context: FloatArray
    log_odds: LogOdds | None


def read_parts(
    encoder: Encoder, parts: Sequence[Sequence[Occurrence]], options: Options, *, induced: bool = False
) -> list[Part]:
    """Each part, `induced` if it is to be; all are read at once, so that there is one progress to watch."""
    learnt = for_encoder(encoder.info.digest, options.pairs) if induced else None
    layers = middle_layers(encoder.info.layers) if learnt else ()
    read = encode(encoder, [occurrence for part in parts for occurrence in part], options, layers)
    ends = np.cumsum([len(part) for part in parts]).tolist()
    found = []
    for part, end in zip(parts, ends, strict=True):
        vectors, context, states = read.take(slice(end - len(part), end))
        found.append(Part(vectors, context, log_odds(learnt, states, context) if learnt else None))
    return found


def mean(words: Iterable[Mapping[str, float]]) -> Scores:
    """The mean of each metric over the words for which it is known; NaN where it is for none."""
    by_metric: dict[str, list[float]] = {}
    for scores in words:
        for metric, value in scores.items():
            by_metric.setdefault(metric, []).append(value)
    known = {metric: [v for v in values if not math.isnan(v)] for metric, values in by_metric.items()}
    return {metric: float(np.mean(values)) if values else float("nan") for metric, values in known.items()}


def report(
    dataset: str,
    encoder: Encoder,
    options: Options,
    words: Mapping[str, Scores],
    mean_: Scores,
    baselines: Mapping[str, Scores],
    **more: Any,
) -> dict[str, Any]:
    """The report in the order in which it is read. NaN becomes None, which JSON has."""
    told: dict[str, Any] = _plain(
        {
            "dataset": dataset,
            "model": encoder.info.name,
            "digest": encoder.info.digest,
            "seed": options.seed,
            "limit": options.limit,
            "words": words,
            "mean": mean_,
            **more,
            "baselines": baselines,
        }
    )
    return told


def to_tsv(outcome: Outcome) -> str:
    """The predictions with a header, parted by tabs; a number has six decimals."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter="\t", lineterminator="\n")
    writer.writerow(outcome.columns)
    writer.writerows([f"{cell:.6f}" if isinstance(cell, float) else cell for cell in row] for row in outcome.rows)
    return out.getvalue()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
