"""The HTML report as a reader sees it: in a real browser, offline, in both colour schemes, at two widths."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from analysis.corpus import documents
from analysis.pipeline import analyse
from analysis.record import Analysis
from analysis.report import to_html
from tests.fake import FakeEncoder

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
TEXTS = [
    *(f"the bank {rest}" for rest in ("river water fish", "water fish river", "fish river water", "river fish")),
    *(f"the bank {rest}" for rest in ("money loan cash", "loan cash money", "cash money loan", "money cash")),
    "<script>document.title = 'run'</script> <b>bank</b> & money loan",
    "money " * 40 + "bank " + "loan " * 40,
]


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyse(FakeEncoder(), documents(TEXTS), "bank")


@pytest.fixture(params=[("light", 1100), ("dark", 390), ("light", 320)], ids=str)
def page(request: pytest.FixtureRequest, browser: Browser, analysis: Analysis, tmp_path: Path) -> Iterator[Page]:
    scheme: Literal["light", "dark"]
    scheme, width = request.param
    file = tmp_path / "report.html"
    file.write_text(to_html(analysis), encoding="utf-8")
    context = browser.new_context(offline=True, color_scheme=scheme, viewport={"width": width, "height": 900})
    page = context.new_page()
    page.asked = []  # type: ignore[attr-defined]
    page.told = []  # type: ignore[attr-defined]
    page.on("request", lambda asked: page.asked.append(asked.url))  # type: ignore[attr-defined]
    page.on("console", lambda line: page.told.append(line.text))  # type: ignore[attr-defined]
    page.goto(file.as_uri())
    yield page
    context.close()


def test_it_opens_offline_and_asks_for_nothing(page: Page) -> None:
    assert len(page.asked) == 1  # type: ignore[attr-defined]
    assert page.told == []  # type: ignore[attr-defined]
    assert "senses in" in page.locator("p.lead").inner_text()


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
    assert page.locator("script").count() == 0
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
