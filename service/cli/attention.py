"""`polyseme attention`: one text's matrix."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from analysis.errors import BadOption
from service.cli.common import Json, Model, load_encoder, write


def attention(
    text: Annotated[str, typer.Argument(help="One sentence.")],
    model: Model = None,
    layer: Annotated[list[int] | None, typer.Option(help="Counted from 0; repeats. All when left out.")] = None,
    head: Annotated[list[int] | None, typer.Option(help="Counted from 0; repeats. All when left out.")] = None,
    unit: Annotated[str, typer.Option(help="word or subword.")] = "word",
    special: Annotated[bool, typer.Option(help="Show the special tokens too.")] = True,
    json: Json = None,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the matrix as SVG.")] = None,
    png: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it as PNG.")] = None,
) -> None:
    """The self-attention matrix of TEXT by word: the mean over the layers and heads chosen.

    With a causal model such as smollm2 a word sees nothing after itself; the masked future is shown as "-".
    """
    from json import dumps

    from analysis import attention as views
    from service import terminal

    if unit not in ("word", "subword"):
        raise BadOption(f"there is no unit {unit!r}", remedy="choose word or subword")
    encoder = load_encoder(model)
    layers = views.check_indices("layer", layer, encoder.info.layers)
    heads = views.check_indices("head", head, encoder.info.heads)
    whole = encoder.attention(text)
    chosen = views.select(views.by_word(whole) if unit == "word" else whole, layers, heads)
    if json:
        write(json, dumps(views.to_dict(chosen, encoder.info, unit, layers, heads), ensure_ascii=False) + "\n")
    if svg or png:
        from analysis.charts import attention as charts
        from analysis.charts import render

        spec = charts.matrix(chosen, layers=layers, heads=heads, special=special).spec
        if svg:
            write(svg, render.to_svg(spec))
        if png:
            write(png, render.to_png(spec))
    if json != "-":
        terminal.print_attention(chosen, encoder.info, layer, head, special=special)
