"""Charts: what they show is what the Analysis says, they compile, and a text in them stays text."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import altair as alt
import numpy as np
import pytest

from analysis import attention as views
from analysis import pictures
from analysis.assemble import Options
from analysis.charts import attention, frame, gallery, render
from analysis.corpus import documents
from analysis.errors import BadOption
from analysis.pipeline import analyse
from analysis.record import Analysis, UsageAttention, from_json, to_json
from analysis.report import to_html
from analysis.text import words
from analysis.types import Attention, Span, Unit
from tests.fake import FakeEncoder
from tests.labelled import MONEY, RIVER

MARKUP = "<script>alert('bank')</script> & <b onclick=\"x()\">river</b> &amp; </td></table>"
HOSTILE = [MARKUP, 'bank "}); alert(1); //', "bank #0072B2 constructor __proto__", "🏦 bank\u2028銀行 שלום"]
SVG_TAGS = ("svg", "g", "rect", "path", "line", "text", "tspan", "defs", "linearGradient", "stop", "clipPath", "title")
SVG = "{http://www.w3.org/2000/svg}"


def analysed(texts: list[str], options: Options = Options(attention=True), *, causal: bool = False) -> Analysis:  # noqa: B008 - frozen
    return analyse(FakeEncoder(causal=causal), documents(texts), "bank", options)


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    """Three senses, usages without one, and hostile texts."""
    return analysed(RIVER + MONEY + HOSTILE, Options(attention=True, threshold=0.99))


def data(chart: frame.Chart, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = chart.spec["datasets"][name]
    return rows


def texts_of(svg: bytes) -> list[str]:
    return ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]


# what is shown


def test_the_map_has_every_usage_where_the_analysis_has_it(analysis: Analysis) -> None:
    chart = gallery.draw(analysis)
    points = {point["usage"]: point for point in data(chart, "usages")}
    assert len(points) == len(analysis.usages)
    named = frame.key_of(analysis)
    for usage in analysis.usages:
        point = points[usage.id]
        assert (point["x"], point["y"]) == usage.map
        assert point["key"] == named[usage.sense]
        assert point["confidence"] == usage.confidence
        assert usage.text[usage.start : usage.end] in point["sentence"]
        if usage.drivers:
            assert point["drivers"].startswith(usage.drivers[0].word)
    assert any(usage.sense is None for usage in analysis.usages)
    assert chart.title == f"{frame.number(len(analysis.senses))} senses of “bank” in {len(analysis.usages)} usages"
    assert "distances are approximate" in chart.caption


def test_a_unit_is_as_long_on_both_axes_of_the_map(analysis: Analysis) -> None:
    layer = gallery.draw(analysis).spec["layer"][0]["encoding"]
    across, up = (np.ptp(layer[axis]["scale"]["domain"]) for axis in "xy")
    spec = gallery.draw(analysis).spec
    assert across / 580 == pytest.approx(up / spec["height"], rel=0.01)
    for point in data(gallery.draw(analysis), "usages"):
        for axis in "xy":
            low, high = layer[axis]["scale"]["domain"]
            assert low < point[axis] < high


def test_the_legend_tells_each_sense_by_letter_shape_and_colour() -> None:
    many = analysed(RIVER + MONEY, Options(n_senses=9, drivers="none", threshold=0.99))
    keys = frame.keys(many)
    own, other = keys[:6], keys[6:]
    assert [key.name for key in own] == list("ABCDEF")
    assert len({key.fill for key in own}) == len({key.shape for key in own}) == 6
    assert [key.stroke for key in own][4:] == [frame.OUTLINE] * 2
    assert [key.name for key in other] == [frame.OTHER, frame.UNSURE]
    assert other[1].fill == "transparent", "without a sense: hollow"
    counted = [int(re.findall(r"\((\d+)\)$", key.label)[0]) for key in keys]
    assert sum(counted) == len(many.usages)


def test_bars_are_the_drivers_with_their_intervals(analysis: Analysis) -> None:
    chart = gallery.draw(analysis, "drivers")
    letter = frame.letters(analysis)
    drawn = [(row["sense"], row["word"], row["effect"], row["low"], row["high"], row["support"])
             for row in data(chart, "drivers")]  # fmt: skip
    expected = [
        (letter[sense.id], d.word, d.effect, d.low, d.high, d.support)
        for sense in analysis.senses
        for d in (sense.drivers or ())[:6]
    ]
    assert drawn == expected == list(chart.rows)


def test_the_test_is_drawn_with_random_words_beside_it(analysis: Analysis) -> None:
    chart = gallery.draw(analysis, "faithfulness")
    drawn = {(r["usages"], r["measure"], r["words"]): (r["value"], r["low"], r["high"]) for r in data(chart, "tests")}
    assert analysis.faithfulness
    assert len(drawn) == 4 * len(analysis.faithfulness)
    for row in analysis.faithfulness:
        name = "All" if row.level == "analysis" else frame.letters(analysis)[row.level]
        usages = f"{name} ({row.n}), {'left out' if row.operator == 'delete' else 'masked'}"
        for measure in ("comprehensiveness", "sufficiency"):
            for kind, of in (("drivers", row), ("random words", row.random)):
                estimate = getattr(of, measure)
                assert drawn[usages, measure, kind] == (estimate.value, estimate.low, estimate.high)


def test_lines_over_layers_are_the_comparison(analysis: Analysis) -> None:
    assert analysis.static
    static, *layers = analysis.static.layers
    cosines = data(gallery.draw(analysis, "cosine-by-layer"), "layers")
    apart = data(gallery.draw(analysis, "separation"), "layers")
    for layer in layers:
        at = {row["pairs"]: row["cosine"] for row in cosines if row["layer"] == layer.layer}
        assert at == {"within": layer.within, "between": layer.between, "static": static.cosine}
    assert [(row["layer"], row["auc"]) for row in apart] == [(layer.layer, layer.auc) for layer in layers]
    best = max(layers, key=lambda layer: layer.auc or 0)
    assert f"Layer {best.layer}" in gallery.draw(analysis, "separation").title


def test_names_at_the_lines_do_not_lie_on_one_another(analysis: Analysis) -> None:
    for name in ("cosine-by-layer", "separation"):
        at = sorted(row["label_at"] for row in data(gallery.draw(analysis, name), "ends"))
        assert all(above - below >= 0.05 for below, above in pairwise(at))


def test_the_matrix_of_usages_is_symmetric_and_ordered_by_sense(analysis: Analysis) -> None:
    chart = gallery.draw(analysis, "similarity")
    cosine = np.array([row["c"] for row in data(chart, "usages")])
    assert analysis.similarity
    assert len(cosine) == len(analysis.usages)
    np.testing.assert_array_equal(cosine, cosine.T)
    for i, row in enumerate(analysis.similarity.cosines):
        assert cosine[i, :i].tolist() == list(row)
    by_id = {usage.id: usage.sense for usage in analysis.usages}
    senses = [by_id[usage] for usage in analysis.similarity.usages]
    assert senses == sorted(senses, key=lambda sense: sense or "t")
    assert [block["to"] - block["from"] for block in data(chart, "blocks")] == [
        senses.count(sense) for sense in dict.fromkeys(senses)
    ]


def test_lines_of_attention_are_the_records_with_their_means(analysis: Analysis) -> None:
    assert analysis.attention
    rows = data(gallery.draw(analysis, "attention-lines"), "words")
    for r, held in enumerate(analysis.attention):
        weights = np.array(held.weights)
        layers, heads = weights.shape[:2]
        own = [row for row in rows if row["reading"] == r]
        assert len(own) == len(held.words)
        for k, row in enumerate(own):
            choices = np.array(row["w"]).reshape(layers + 1, heads + 1)
            np.testing.assert_allclose(choices[1:, 1:], weights[:, :, k], atol=1e-6)
            assert choices[0, 0] == pytest.approx(weights[:, :, k].mean(), abs=6e-4)
            assert choices[2, 0] == pytest.approx(weights[1, :, k].mean(), abs=6e-4)
            assert row["target"] == (k in held.target)


def matrix_of(chart: frame.Chart, reading: int = 0) -> np.ndarray:
    """(W, W, choices of layer x head)"""
    return np.array([row["w"] for row in data(chart, "rows") if row["reading"] == reading])


def test_the_matrix_of_a_text_has_every_layer_and_head_and_their_means() -> None:
    rng = np.random.default_rng(0)
    units = tuple(Unit(name, 0, 0) for name in ("a", "b", "c"))
    weights = rng.dirichlet(np.ones(3), size=(2, 4, 3)).astype(np.float32)
    chart = attention.matrix(Attention("a b c", units, weights, causal=False), layers=[3, 5], heads=range(4))
    drawn = matrix_of(chart).reshape(3, 3, 3, 5)
    np.testing.assert_allclose(drawn[..., 1:, 1:], np.moveaxis(weights, (0, 1), (2, 3)), atol=6e-4)
    np.testing.assert_allclose(drawn[..., 0, 0], weights.mean(axis=(0, 1)), atol=6e-4)
    np.testing.assert_allclose(drawn[..., 0, 0].sum(axis=1), 1, atol=2e-3)
    (layer,) = (param for param in chart.spec["params"] if param["name"] == "layer")
    assert (layer["value"], layer["bind"]["labels"]) == (0, ["mean", "3", "5"])
    assert not [param for param in chart.spec["params"] if param["name"] == "special" and "bind" in param]


def test_one_layer_and_one_head_need_no_choosing() -> None:
    whole = views.by_word(FakeEncoder().attention("the bank"))
    chart = attention.matrix(views.select(whole, [1], [0]), layers=[1], heads=[0], special=False)
    assert matrix_of(chart).shape[-1] == 1
    assert [param["name"] for param in chart.spec["params"] if "bind" in param] == ["reading", "special"][1:]
    assert {param["name"]: param["value"] for param in chart.spec["params"]}["special"] is False


def test_a_causal_models_future_is_masked() -> None:
    chart = gallery.draw(analysed(RIVER + MONEY, causal=True), "attention-matrix")
    width = len(matrix_of(chart))
    svg = render.to_svg(chart.spec)
    assert texts_of(svg).count("-") == width * (width - 1) // 2
    assert frame.MASKED.encode() in svg
    plain = render.to_svg(gallery.draw(analysed(RIVER + MONEY), "attention-matrix").spec)
    assert "-" not in texts_of(plain)
    assert frame.MASKED.encode() not in plain


# every chart


@pytest.mark.parametrize("name", gallery.CHARTS)
def test_every_chart_is_vega_lite_and_compiles(analysis: Analysis, name: str) -> None:
    chart = gallery.draw(analysis, name)
    assert chart.name == name
    (alt.LayerChart if "layer" in chart.spec else alt.Chart).from_dict(chart.spec)  # by the schema
    json.dumps(chart.spec, allow_nan=False)
    for spec in (chart.spec, frame.dark(chart.spec)):
        told = texts_of(render.to_svg(spec))
        title = "".join(text for text in told if text in chart.title or text.split(" ")[0] in chart.title)
        assert chart.title.replace(" ", "") in title.replace(" ", "")
        assert not [text for text in told if text in ("undefined", "null", "NaN")]
    assert len(chart.columns) == len(chart.rows[0])
    assert {len(row) for row in chart.rows} == {len(chart.columns)}


def test_a_picture_is_a_png_of_twice_the_size(analysis: Analysis) -> None:
    png = render.to_png(gallery.draw(analysis, "separation").spec)
    assert png.startswith(b"\x89PNG")
    assert int.from_bytes(png[16:20]) == 2 * frame.WIDTH


def test_the_same_analysis_is_the_same_chart(analysis: Analysis) -> None:
    once, again = ([chart.spec for chart in gallery.draw_all(analysis)] for _ in range(2))
    assert once == again


@pytest.mark.parametrize(
    ("texts", "options"),
    [
        (["the bank"], Options(attention=True)),
        (["the bank river", "a bank money"], Options(attention=True)),
        (["the bank river"] * 4, Options(attention=True)),
        (RIVER, Options(n_senses=1, attention=True)),
        (RIVER + MONEY, Options(n_senses=12)),
        (RIVER + MONEY, Options(threshold=1.0, attention=True)),
        (["bank"], Options(drivers="none")),
    ],
)
def test_what_an_analysis_lacks_is_said_and_the_rest_is_drawn(texts: list[str], options: Options) -> None:
    found = analysed(texts, options)
    missing = gallery.missing(found)
    drawn = [chart.name for chart in gallery.draw_all(found)]
    assert sorted([*missing, *drawn]) == sorted(gallery.CHARTS)
    for name, why in missing.items():
        with pytest.raises(BadOption, match=re.escape(why)):
            gallery.draw(found, name)


def test_an_unknown_chart_lists_the_known(analysis: Analysis) -> None:
    with pytest.raises(BadOption) as raised:
        gallery.draw(analysis, "pie")
    assert all(name in raised.value.remedy for name in gallery.CHARTS)


# colours


def brightness(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def contrast(a: str, b: str) -> float:
    low, high = sorted((brightness(a), brightness(b)))
    return (high + 0.05) / (low + 0.05)


def test_text_and_marks_keep_their_contrast_on_both_pages() -> None:
    for colours in ({}, frame.DARK):
        page = colours.get(frame.PAGE, frame.PAGE)
        for text in (frame.TEXT, frame.MUTED):
            assert contrast(colours.get(text, text), page) >= 4.5
        marks = [frame.outline(i) for i in range(6) if i != 3]  # the fourth, on white, is told by its shape and letter
        for mark in (*marks, frame.UNASSIGNED, frame.BLUES[3]):
            assert contrast(colours.get(mark, mark), page) >= 3
        assert contrast(colours.get(frame.MUTED, frame.MUTED), colours.get(frame.MASKED, frame.MASKED)) >= 4.5
        shades = [brightness(colours.get(blue, blue)) for blue in frame.BLUES]
        assert shades in (sorted(shades), sorted(shades, reverse=True))


def test_a_dark_chart_has_no_light_colour_and_the_same_data(analysis: Analysis) -> None:
    for chart in gallery.draw_all(analysis):
        spec = frame.dark(chart.spec)
        assert spec["datasets"] == chart.spec["datasets"]
        rest = json.dumps({key: value for key, value in spec.items() if key != "datasets"})
        assert not [colour for colour in frame.DARK if colour in rest]


# hostile texts


def test_markup_in_a_text_stays_text_in_a_picture(analysis: Analysis) -> None:
    shown = {
        "sense-map": replace(analysis, target=MARKUP),
        "attention-lines": analysis,
        "drivers": replace(
            analysis,
            senses=tuple(
                replace(sense, drivers=tuple(replace(d, word="</text><script>x") for d in sense.drivers or ()))
                for sense in analysis.senses
            ),
        ),
    }
    for name, hostile in shown.items():
        svg = render.to_svg(gallery.draw(hostile, name).spec)
        tags = {node.tag.removeprefix(SVG) for node in ElementTree.fromstring(svg).iter()}
        assert tags <= set(SVG_TAGS)
        assert b"<script" not in svg
        if name != "attention-lines":
            assert any("<script>" in text for text in texts_of(svg))


def test_markup_in_a_text_cannot_end_the_pages_data(analysis: Analysis) -> None:
    page = to_html(replace(analysis, target="</script><script>alert(1)</script>"))
    assert page.count("</script>") == page.count("<script") == 3, "the data, the library and what draws"
    (held,) = re.findall(r'<script type="application/json" id="charts">(.*?)</script>', page, re.DOTALL)
    told = json.loads(held)
    assert list(told["specs"]) == list(gallery.CHARTS)
    sentences = [row["sentence"] for row in told["specs"]["sense-map"]["datasets"]["usages"]]
    assert any("<script>alert('bank')" in sentence for sentence in sentences)


# what the record keeps for them


def test_attention_is_kept_where_it_is_asked_for(analysis: Analysis) -> None:
    plain = analysed(RIVER + MONEY, Options())
    assert plain.attention is None
    assert "read attention" not in plain.provenance.passes
    assert analysis.attention
    by_id = {usage.id: usage for usage in analysis.usages}
    short = {usage.id for usage in analysis.usages if len(words(usage.text)) + 2 <= pictures.LONGEST}
    exemplars = [usage for sense in analysis.senses for usage in sense.exemplars]
    assert [held.usage for held in analysis.attention] == [usage for usage in exemplars if usage in short]
    firsts = {sense.exemplars[0] for sense in analysis.senses if sense.exemplars} & short
    assert {held.usage for held in analysis.attention if held.matrix} == firsts
    assert analysis.provenance.passes["read attention"] == len(firsts) > 0
    for held in analysis.attention:
        usage = by_id[held.usage]
        assert [held.words[i] for i in held.target] == [usage.text[usage.start : usage.end]]
        assert held.special == (True, *[False] * (len(held.words) - 2), True)
        np.testing.assert_allclose(np.sum(held.weights, axis=-1), 1, atol=5e-4 * len(held.words))
    assert from_json(to_json(analysis)) == analysis


def test_attention_of_an_exemplar_that_is_too_long_is_not_kept() -> None:
    many = tuple(Unit(f"w{i}", 3 * i, 3 * i + 2) for i in range(pictures.LONGEST + 1))
    row = np.full((2, 2, len(many)), 1 / len(many), dtype=np.float32)
    assert pictures.usage_attention("u0", many, Span(3, 5), row, None) is None
    kept = pictures.usage_attention("u0", many[:-1], Span(3, 5), row[..., :-1], None)
    assert kept is not None
    assert (kept.target, kept.matrix) == ((1,), None)


def test_similarity_worked_by_hand() -> None:
    rows = np.array([[1, 0], [0, 1], [0.6, 0.8], [0.8, 0.6]], dtype=np.float32)
    found = pictures.similarity(rows, np.array([1, 0, 0, -1]), np.arange(4))
    assert found is not None
    assert found.usages == ("u1", "u2", "u0", "u3")
    assert found.cosines == ((), (0.8,), (0.0, 0.6), (0.6, 0.96, 0.8))
    assert pictures.similarity(rows, np.array([0, 0, 0, 0]), np.arange(1)) is None


def test_a_report_of_100_usages_and_a_large_model_stays_under_three_megabytes() -> None:
    """The most that can be kept: six senses, three exemplars of the longest length, 12 layers of 12 heads."""
    texts = [f"the bank {text.removeprefix('the bank')} {i} {i + 1} and so on for some twenty words in all, as a "
             f"sentence of a newspaper may have" for i, text in enumerate((RIVER + MONEY) * 9)][:100]  # fmt: skip
    found = analysed(texts, Options(n_senses=6, explained=100, faithfulness=0, drivers="attention"))
    rng = np.random.default_rng(0)
    width = pictures.LONGEST
    held = []
    for sense in found.senses:
        for i, usage in enumerate(sense.exemplars):
            shares = np.round(rng.dirichlet(np.ones(width), size=(12, 12)), 3).tolist()
            matrix = np.round(rng.dirichlet(np.ones(width), size=(12, width)), 3).tolist() if i == 0 else None
            read = tuple(f"word{k}" for k in range(width))
            held.append(UsageAttention(usage, read, (False,) * width, (3,), shares, matrix))
    assert len(held) >= 12
    page = to_html(replace(found, attention=tuple(held)))
    assert 1.5e6 < len(page.encode()) < 3e6
