"""The HTML report as a reader sees it: in a real browser, offline, in both colour schemes, at two widths."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import pytest
from axe_playwright_python.sync_playwright import Axe

from analysis.assemble import Options
from analysis.charts import frame, gallery
from analysis.corpus import documents
from analysis.pipeline import analyse
from analysis.record import Analysis
from analysis.report import to_html
from tests.fake import FakeEncoder

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
DRAWN = "!document.querySelector('[aria-busy]')"
TEXTS = [
    *(f"the bank {rest}" for rest in ("river water fish", "water fish river", "fish river water", "river fish")),
    *(f"the bank {rest}" for rest in ("money loan cash", "loan cash money", "cash money loan", "money cash")),
    "<script>document.title = 'run'</script> <b>bank</b> & money loan",
    "money " * 40 + "bank " + "loan " * 40,
]


GROUND = "svg => svg && getComputedStyle(svg).backgroundColor"
DAY, NIGHT = (
    f"rgb({', '.join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5))})"
    for colour in (frame.PAGE, frame.DARK[frame.PAGE])
)
SETTINGS = [("light", 1100), ("dark", 320)]


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyse(FakeEncoder(), documents(TEXTS), "bank", Options(attention=True))


class Opened(NamedTuple):
    """A page, what it asked for, and what it said on its console."""

    page: Page
    asked: list[str]
    told: list[str]
    scheme: str


@pytest.fixture(scope="module")
def file(analysis: Analysis, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(to_html(analysis), encoding="utf-8")
    return file


@pytest.fixture(scope="module", params=SETTINGS, ids=str)
def opened(request: pytest.FixtureRequest, browser: Browser, file: Path) -> Iterator[Opened]:
    scheme: Literal["light", "dark"]
    scheme, width = request.param
    context = browser.new_context(offline=True, color_scheme=scheme, viewport={"width": width, "height": 900})
    page = context.new_page()
    page.set_default_timeout(10_000)
    found = Opened(page, [], [], scheme)
    page.on("request", lambda asked: found.asked.append(asked.url))
    page.on("console", lambda line: found.told.append(line.text))
    page.on("pageerror", lambda error: found.told.append(str(error)))
    page.goto(file.as_uri())
    page.wait_for_function(DRAWN)
    yield found
    context.close()


@pytest.fixture
def page(opened: Opened) -> Page:
    return opened.page


def test_it_opens_offline_and_asks_for_nothing(opened: Opened) -> None:
    assert len(opened.asked) == 1
    assert opened.told == []
    assert "senses in" in opened.page.locator("p.lead").inner_text()


def test_what_is_seen_is_what_the_analysis_says(page: Page, analysis: Analysis) -> None:
    cards = page.locator("article.card")
    assert cards.count() == len(analysis.senses)
    for i, sense in enumerate(analysis.senses):
        assert f"{sense.size} usage" in cards.nth(i).inner_text()
    rows = page.locator(".kwic tbody tr")
    assert rows.count() == len(analysis.usages) == sum(sense.size for sense in analysis.senses)
    for i, usage in enumerate(analysis.usages):
        cells = rows.nth(i).locator("td").all_inner_texts()
        assert cells[1] == usage.text[usage.start : usage.end]
        assert cells[4] == f"{usage.confidence:.2f}"


def test_a_script_in_a_text_stays_text(page: Page) -> None:
    assert page.title() == "The senses of “bank”"
    assert page.locator("script").count() == 3, "the charts' data, and our two scripts"
    assert "<script>" in page.locator(".kwic").inner_text()


def test_nothing_scrolls_sideways(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_driver_marks_keep_their_contrast(page: Page) -> None:
    """At least 4.5 to 1 (WCAG 2.2, 1.4.3) for every highlighted word."""
    ratios = page.evaluate(
        """() => {
          const light = c => { const v = c / 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; };
          const of = s => { const [r, g, b] = s.match(/[0-9.]+/g).map(Number);
                            return .2126 * light(r) + .7152 * light(g) + .0722 * light(b); };
          return [...document.querySelectorAll('mark.for, mark.against')].map(m => {
            const style = getComputedStyle(m), pair = [of(style.color), of(style.backgroundColor)].sort();
            return (Math.max(...pair) + .05) / (Math.min(...pair) + .05); });
        }"""
    )
    assert len(ratios) > 4
    assert min(ratios) >= 4.5


# charts


def test_every_chart_is_drawn_in_the_pages_colours(opened: Opened, analysis: Analysis) -> None:
    places = opened.page.locator("[data-chart]")
    assert sorted(place.get_attribute("data-chart") or "" for place in places.all()) == sorted(gallery.CHARTS)
    ground = NIGHT if opened.scheme == "dark" else DAY
    for place in places.all():
        assert place.locator("svg").evaluate(GROUND) == ground
        assert place.locator("svg text").count() > 1
        drawn, room = place.locator("svg").bounding_box(), place.bounding_box()
        assert drawn is not None
        assert room is not None
        assert drawn["width"] <= room["width"] + 1


def test_a_chart_has_its_words_and_its_figures_beside_it(page: Page, analysis: Analysis) -> None:
    for chart in gallery.draw_all(analysis):
        figure = page.locator(f"#chart-{chart.name}")
        assert figure.locator("h3").inner_text() == chart.title
        assert (
            figure.locator("figcaption").inner_text() == chart.caption.replace("\u00a0", " ") or "95" in chart.caption
        )
        cells = figure.locator("details td").all_text_contents()
        expected = [cell for row in chart.rows for cell in row]
        assert cells == ["–" if c is None else f"{c:.3f}" if isinstance(c, float) else str(c) for c in expected]


def test_a_reader_chooses_the_layer_and_the_head(page: Page, analysis: Analysis) -> None:
    assert analysis.attention
    held = analysis.attention[0]
    figure = page.locator("#chart-attention-lines")

    def shown() -> list[str]:
        texts = figure.locator("svg text").all_text_contents()
        return [text for text in texts if text.startswith(("0.", "1."))]

    means = [sum(w[k] for layer in held.weights for w in layer) for k in range(len(held.words))]
    heads = sum(len(layer) for layer in held.weights)
    assert shown() == [f"{mean / heads:.3f}" for mean in means]
    figure.get_by_label("Layer").select_option("1")
    figure.get_by_label("Head").select_option("0")
    page.wait_for_timeout(100)
    assert shown() == [f"{weight:.3f}" for weight in held.weights[1][0]]
    figure.get_by_label("Layer").select_option("mean")
    figure.get_by_label("Head").select_option("mean")


def test_a_point_tells_its_sentence_as_text(page: Page, analysis: Analysis) -> None:
    hostile = next(i for i, usage in enumerate(analysis.usages) if "<script>" in usage.text)
    point = page.locator("#chart-sense-map svg .mark-symbol.role-mark path").nth(hostile)
    point.dispatch_event("pointermove", {"clientX": 9, "clientY": 9})
    point.dispatch_event("mousemove", {"clientX": 9, "clientY": 9})
    told = page.locator("#vg-tooltip-element")
    told.wait_for(state="visible")
    assert "</b>" in told.inner_text() or "<script>" in told.inner_text()
    assert told.locator("script, b").count() == 0
    page.locator("#chart-sense-map svg").dispatch_event("pointerout")


def test_the_colours_follow_the_reader_and_paper_is_white(opened: Opened) -> None:
    page = opened.page
    last = "document.querySelector('[data-chart=similarity] svg')"

    def wait_for(ground: str) -> None:
        page.wait_for_function(f"ground => ({GROUND})({last}) === ground", arg=ground)

    page.emulate_media(color_scheme="dark")
    wait_for(NIGHT)
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    wait_for(DAY)
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    wait_for(NIGHT)
    page.emulate_media(color_scheme="light")
    wait_for(DAY)
    page.emulate_media(color_scheme=opened.scheme)  # type: ignore[arg-type]
    wait_for(NIGHT if opened.scheme == "dark" else DAY)
    assert opened.told == []


def test_axe_finds_nothing(page: Page) -> None:
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    chosen = {"type": "tag", "values": tags}
    rules = {"region": {"enabled": False}}  # Vega hangs its tooltip beside the landmarks
    found = Axe().run(page, options={"runOnly": chosen, "rules": rules, "resultTypes": ["violations"]})
    assert found.violations_count == 0, found.generate_report()


def test_no_other_script_runs(browser: Browser, file: Path, tmp_path: Path) -> None:
    """Were a text ever to get out of its place, the page's own policy would stop it."""
    broken = tmp_path / "broken.html"
    page_text = file.read_text(encoding="utf-8").replace("<main>", "<main><script>document.title='run'</script>", 1)
    broken.write_text(page_text, encoding="utf-8")
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto(broken.as_uri())
    page.wait_for_function(DRAWN)
    assert page.title() == "The senses of “bank”"
    context.close()
