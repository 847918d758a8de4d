"""The data sets by name; one function runs any of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from analysis.errors import BadOption
from analysis.evaluation import driver_methods, graded, induction, induction_sets, pair_sets, pairs, raganato, unified
from analysis.evaluation.outcome import Options, Outcome
from analysis.types import Encoder

Data = TypeVar("Data")
Evaluation = Callable[[Encoder, Options], Outcome]  # of a data set that was read


def _of(
    read: Callable[[Path], Data], evaluate: Callable[[Encoder, Data, Options], Outcome]
) -> Callable[[Path], Evaluation]:
    """Read the data at once, which says what is wrong with them; evaluate when there is an encoder."""

    def prepared(path: Path) -> Evaluation:
        data = read(path)
        return lambda encoder, options: evaluate(encoder, data, options)

    return prepared


DATASETS: Mapping[str, Callable[[Path], Evaluation]] = {
    "coarsewsd20": _of(induction_sets.coarsewsd20, induction.evaluate_coarsewsd20),
    "wsi-at-scale": _of(induction_sets.wsi_at_scale, induction.evaluate_wsi_at_scale),
    "semeval2013": _of(induction_sets.semeval2013, graded.evaluate_semeval2013),
    "semeval2010": _of(induction_sets.semeval2010, induction.evaluate_semeval2010),
    "wic": _of(pair_sets.wic, pairs.evaluate_wic),
    "rawc": _of(pair_sets.rawc, pairs.evaluate_rawc),
    "raganato": _of(unified.unified, raganato.evaluate_raganato),
    "drivers": _of(induction_sets.coarsewsd20, driver_methods.evaluate_drivers),
}
DEFAULTS = Options()


def prepare(dataset: str, path: Path) -> Evaluation:
    """Read a data set: what is given back evaluates an encoder on it.

    Raises BadOption, which lists the data sets, for one that is not known, and BadFile for a file not of its form.
    """
    if dataset not in DATASETS:
        remedy = f"choose from {', '.join(DATASETS)}"
        raise BadOption(f"there is no data set {dataset!r}", remedy=remedy, where=("dataset",))
    return DATASETS[dataset](path)


def evaluate(encoder: Encoder, dataset: str, path: Path, options: Options = DEFAULTS) -> Outcome:
    """The quality of the encoder's senses on a data set, with the trivial baselines beside it.

    The report is `{"dataset", "model", "digest", "seed", "limit", "words": {word: {metric: value}}, "mean": {metric:
    value}, "baselines": {name: {metric: value}}}`, a value None where nothing can be said; that of "drivers" is told
    in driver_methods.py. Raises as `prepare` and `Encoder.encode` do.
    """
    return prepare(dataset, path)(encoder, options)
