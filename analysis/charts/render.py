"""A chart as SVG or PNG, without a browser; and the script that draws one on a page, without another host.

The renderer holds the interpreter's lock while it works, up to seconds: a server runs these in a process of their own.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

import vl_convert

if TYPE_CHECKING:
    from analysis.charts.frame import Spec

SCALE = 2.0  # pixels of a PNG per pixel of the chart: sharp in print and on dense screens


class Script(NamedTuple):
    """JavaScript and its hash, as a content policy names it."""

    text: str
    policy: str


def to_svg(spec: Spec) -> bytes:
    """The chart as SVG, in UTF-8; its text stays text."""
    svg: str = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
    return svg.encode()


def to_png(spec: Spec) -> bytes:
    """The chart as PNG, at twice its size in pixels."""
    png: bytes = vl_convert.vegalite_to_png(spec, scale=SCALE, allowed_base_urls=[])
    return png


@cache
def library() -> Script:
    """Vega, Vega-Lite and Vega-Embed as one script, which sets `window.vegaEmbed`; two seconds the first time."""
    return _script(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))


@cache
def scripts() -> tuple[Script, Script]:
    """The library, and what draws a page's charts with it (analysis/templates/charts.js)."""
    drawing = files("analysis").joinpath("templates", "charts.js").read_text(encoding="utf-8")
    return library(), _script(drawing)


def _script(text: str) -> Script:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Script(text, f"'sha256-{digest}'")
