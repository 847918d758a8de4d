"""All charts of an Analysis by name: what the command, the service, the report and the pages choose from."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from analysis.charts import attention, measures, senses
from analysis.charts.frame import Chart
from analysis.errors import BadOption
from analysis.record import Analysis

FIRST = "sense-map"  # what is shown where nobody chooses


class Kind(NamedTuple):
    """A chart that there can be: `lacks` says what an Analysis lacks for it, if anything."""

    draw: Callable[[Analysis], Chart]
    lacks: Callable[[Analysis], str | None]


def missing(analysis: Analysis) -> dict[str, str]:
    """The charts that this Analysis has not enough for, and why not."""
    return {name: why for name, kind in CHARTS.items() if (why := kind.lacks(analysis))}


def draw(analysis: Analysis, name: str = FIRST) -> Chart:
    """The chart of that name. Raises BadOption that lists the names, or says what the Analysis lacks for it."""
    if name not in CHARTS:
        raise BadOption(f"there is no chart {name!r}", remedy=f"choose from {', '.join(CHARTS)}", where=("chart",))
    why = CHARTS[name].lacks(analysis)
    if why:
        there = [other for other in CHARTS if other not in missing(analysis)]
        remedy = f"choose from {', '.join(there)}" if there else "analyse more usages"
        raise BadOption(f"this analysis has no chart {name!r}: {why}", remedy=remedy, where=("chart",))
    return CHARTS[name].draw(analysis)


def draw_all(analysis: Analysis) -> list[Chart]:
    """Every chart that the Analysis has enough for."""
    return [kind.draw(analysis) for kind in CHARTS.values() if not kind.lacks(analysis)]


def _map(analysis: Analysis) -> str | None:
    return None if any(usage.map for usage in analysis.usages) else "a map needs three usages"


def _drivers(analysis: Analysis) -> str | None:
    if any(sense.drivers for sense in analysis.senses):
        return None
    asked = any(sense.drivers is not None for sense in analysis.senses)
    return "no word drove a sense" if asked else "drivers were not asked for"


def _faithfulness(analysis: Analysis) -> str | None:
    return None if analysis.faithfulness else "the drivers were not tested, or there is one sense"


def _similarity(analysis: Analysis) -> str | None:
    return None if analysis.similarity else "it was made without cosines of its usages, or there is one usage"


def _static(analysis: Analysis) -> str | None:
    if analysis.static is None:
        return "the static comparison was not asked for"
    return None if analysis.static.layers[0].cosine is not None else "a comparison needs two usages"


def _separation(analysis: Analysis) -> str | None:
    lacks = _static(analysis)
    if lacks or analysis.static is None:
        return lacks
    known = all(layer.auc is not None for layer in analysis.static.layers)
    return None if known else "there are no two senses with pairs of usages to tell apart"


def _attention(analysis: Analysis) -> str | None:
    if analysis.attention is None:
        return "the attention of exemplars was not asked for"
    return None if analysis.attention else "no exemplar is short enough to show"


def _matrix(analysis: Analysis) -> str | None:
    lacks = _attention(analysis)
    if lacks or any(held.matrix for held in analysis.attention or ()):
        return lacks
    return "no exemplar is short enough to show"


CHARTS: dict[str, Kind] = {
    FIRST: Kind(senses.sense_map, _map),
    "drivers": Kind(senses.drivers, _drivers),
    "faithfulness": Kind(measures.faithfulness, _faithfulness),
    "similarity": Kind(senses.similarity, _similarity),
    "cosine-by-layer": Kind(measures.cosine_by_layer, _static),
    "separation": Kind(measures.separation, _separation),
    "attention-lines": Kind(attention.target_lines, _attention),
    "attention-layers": Kind(attention.target_layers, _attention),
    "attention-matrix": Kind(attention.exemplar_matrix, _matrix),
}
