"""An Analysis as a notebook shows it: its senses as a table, and the sense map. No script, no request."""

from __future__ import annotations

import base64

from markupsafe import Markup

from analysis.charts import gallery, render
from analysis.marks import mark
from analysis.record import Analysis
from analysis.report import certainty

SHOWN_DRIVERS = 6


def show(analysis: Analysis) -> str:
    """HTML for the output of a cell; all text in it is escaped."""
    n = len(analysis.usages)
    head = Markup("<p><strong>{}</strong>: {} in {} usage{}, read with {}.</p>").format(
        analysis.target, analysis.verdict, n, "" if n == 1 else "s", analysis.provenance.model
    )
    sure = Markup("").join(Markup("<p>{}</p>").format(line) for line in certainty(analysis))
    rows = Markup("").join(
        Markup("<tr><th>{} {}</th><td>{}</td><td>{}</td><td>{}</td></tr>").format(
            mark(i).shape,
            mark(i).letter,
            sense.label,
            sense.size,
            ", ".join(f"{driver.word} {driver.effect:.2f}" for driver in (sense.drivers or ())[:SHOWN_DRIVERS]) or "–",
        )
        for i, sense in enumerate(analysis.senses)
    )
    table = Markup("<table><tr><th>Sense</th><th>Label</th><th>Usages</th><th>Drivers</th></tr>{}</table>").format(rows)
    return str(head + sure + table + _map(analysis))


def _map(analysis: Analysis) -> Markup:
    missing = gallery.missing(analysis).get(gallery.FIRST)
    if missing:
        return Markup("<p>No map: {}.</p>").format(missing)
    chart = gallery.draw(analysis)
    # As an image: what is in an SVG can neither run nor clash with the notebook.
    data = base64.b64encode(render.to_svg(chart.spec)).decode()
    return Markup('<img alt="{}" src="data:image/svg+xml;base64,{}">').format(f"{chart.title}. {chart.caption}", data)
