"""The data sets by name; one function runs any of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from analysis.errors import BadOption
from analysis.evaluation import graded, induction, pairs
from analysis.evaluation.outcome import Options, Outcome
from analysis.types import Encoder

Evaluation = Callable[[Encoder, Path, Options], Outcome]

DATASETS: Mapping[str, Evaluation] = {
    "coarsewsd20": induction.evaluate_coarsewsd20,
    "wsi-at-scale": induction.evaluate_wsi_at_scale,
    "semeval2013": graded.evaluate_semeval2013,
    "semeval2010": induction.evaluate_semeval2010,
    "wic": pairs.evaluate_wic,
    "rawc": pairs.evaluate_rawc,
}
DEFAULTS = Options()


def check_dataset(dataset: str) -> None:
    """Raise BadOption, which lists the data sets, for one that is not known."""
    if dataset not in DATASETS:
        remedy = f"choose from {', '.join(DATASETS)}"
        raise BadOption(f"there is no data set {dataset!r}", remedy=remedy, where=("dataset",))


def evaluate(encoder: Encoder, dataset: str, path: Path, options: Options = DEFAULTS) -> Outcome:
    """The quality of the encoder's senses on a data set, with the trivial baselines beside it.

    The report is `{"dataset", "model", "digest", "seed", "limit", "words": {word: {metric: value}}, "mean": {metric:
    value}, "baselines": {name: {metric: value}}}`, a value None where nothing can be said. Raises BadOption for an
    unknown data set, BadFile for a file that is not of its form, and as `Encoder.encode` does.
    """
    check_dataset(dataset)
    return DATASETS[dataset](encoder, path, options)
