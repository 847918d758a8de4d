"""The page of the lesson as a person uses it: a real Chromium, the real service, minilm; it is measured small."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from service import keys
from service.app import create_app
from service.settings import Settings
from service.store import Store
from service.web.lesson import GUESSES
from tests.browser.seen import BUSY, Look, Seen, fetched, post
from tests.browser.served import running
from tests.fake import FakeEncoder

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
LOOKS = [("light", 1100), ("dark", 320)]


@pytest.fixture(scope="module")
def lesson(address: str) -> dict[str, Any]:
    """What the API says; measured here, so that pages need not wait."""
    return {
        part: fetched(address, f"/v1/lesson/{part}") for part in ("paths", "parallel", "cost", "masking", "variants")
    }


def open_all(seen: Seen) -> Page:
    page = seen.open("/lesson?show=all")
    page.locator("#variants-measured .found").wait_for()
    return page


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_nothing_is_wrong_with_the_page(look: Look, lesson: Any, scheme: str, width: int) -> None:
    seen = look(scheme, width)
    page = open_all(seen)
    seen.show_all()
    for details in page.locator("details").all():
        details.evaluate("one => one.open = true")
    assert page.locator(".measured .found").count() == 6
    assert page.locator("[data-chart] svg").count() == 4
    assert page.get_by_text("Attention is not explanation").count() == 1
    seen.check()


def test_it_paints_before_anything_is_measured(look: Look) -> None:
    seen = look()
    page = seen.page
    page.route("**/view/lesson/*", lambda _: None)  # never answered
    page.goto(seen.address + "/lesson")
    assert page.get_by_role("heading", level=1).is_visible()
    assert page.locator("#cost-measured").get_attribute("aria-busy") == "true"
    assert "Timing three kinds" in page.locator("#cost-step").inner_text()
    assert page.locator("#choose input").count() == 5, "the exercise does not wait"


def test_tables_have_the_numbers_of_the_api(look: Look, lesson: Any) -> None:
    page = open_all(look())
    for name, series, factor in (
        ("lesson-gradient", lesson["paths"]["ratio"], 1),
        ("lesson-absolute", lesson["paths"]["gradient"], 1),
        ("lesson-parallel", lesson["parallel"]["time"], 1e3),
        ("lesson-time", lesson["cost"]["time"], 1e3),
        ("lesson-memory", lesson["cost"]["memory"], 2**-20),
    ):
        rows = page.locator(f"table[data-table={name}] tbody tr")
        shown = [row.locator(".median").all_text_contents() for row in rows.all()]
        assert shown == [
            [f"{one['points'][i]['median'] * factor:.3g}" for one in series] for i in range(len(series[0]["points"]))
        ]
    for one in lesson["cost"]["exponents"]:
        cells = page.locator(f".exponents tr[data-method={one['method']}] td").all_text_contents()
        assert cells[0 if one["of"] == "time" else 2] == f"{one['value']:.2f}"
    for variant in lesson["variants"]["variants"]:
        panel = page.locator(f"#variants [data-method={variant['method']}].panel")
        assert panel.locator(".link").inner_text() == f"{variant['link']:.2f}"
        shown = [[float(cell) for cell in row.locator("td .vh").all_text_contents()]
                 for row in panel.locator(".matrix tbody tr").all()]  # fmt: skip
        assert shown == [[float(f"{weight:.2f}") for weight in row] for row in variant["weights"]]
    masked = page.locator("#masking [data-causal=true]")
    assert masked.locator("td.masked").all_text_contents() == ["-"] * 10
    assert masked.locator(".changed td").all_text_contents()[:-1] == ["0"] * 4
    told = page.locator("#masking [data-causal=false] .changed td").all_text_contents()
    assert told == [f"{change:.2f}" for change in lesson["masking"]["changed_free"]]


def test_a_guess_comes_before_what_was_measured(look: Look, lesson: Any) -> None:
    """By keyboard alone."""
    seen = look()
    page = seen.open("/lesson")
    page.locator("#cost-step", has_text="Measured").wait_for()
    assert not page.locator("#cost-measured").is_visible()
    form = page.locator("form[data-for=cost]")
    form.get_by_role("button", name="Answer, then see").press("Enter")
    assert "Choose one" in form.locator(".verdict").inner_text()
    assert not page.locator("#cost-measured").is_visible()
    *_, before, last = lesson["cost"]["time"][0]["points"]
    grown = last["median"] / before["median"]
    right = next(i for i, (_, bound) in enumerate(GUESSES["cost"].options) if grown < bound)
    form.locator("input").nth(right).focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    assert form.locator(".verdict").inner_text().startswith("As you said.")
    assert f"{grown:.1f} times" in form.locator(".verdict").inner_text()
    page.locator("#cost-measured .found").wait_for()
    form.locator("input").nth((right + 1) % 3).check()
    form.get_by_role("button", name="Answer, then see").click()
    assert form.locator(".verdict").inner_text().startswith("Not as you said.")
    page.locator("form[data-for=paths]").get_by_role("button", name="Show without").press("Enter")
    assert page.locator("#paths-measured").is_visible()
    assert page.evaluate("document.activeElement.id") == "paths-measured"
    seen.check(within="#cost")


def test_the_exercise_by_choice_and_in_words(look: Look, address: str, lesson: Any) -> None:
    seen = look("dark", 390)
    page = seen.open("/lesson")
    page.locator("#paths-step", has_text="Measured").wait_for()
    choose, write = page.locator("#choose"), page.locator("#write")
    choose.get_by_role("button").click()
    assert "No answer is chosen" in choose.locator(".error").inner_text()
    for letter in "ab":
        choose.locator(f"input[value={letter}]").check()
        choose.get_by_role("button").click()
        told = post(address, "/v1/lesson/exercise", {"answer": letter})
        choose.locator(".feedback", has_text=told["said"]).wait_for()
    answer = "Gradients do not vanish. <b>It is cheaper</b>, too."
    write.get_by_label("your own words").fill(answer)
    write.get_by_role("button").click()
    told = post(address, "/v1/lesson/exercise", {"answer": answer})
    write.locator(".feedback li").first.wait_for()
    shown = [item.get_attribute("data-idea") for item in write.locator(".feedback li").all()]
    assert shown == [idea["id"] for kind in ("mistaken", "found", "missing") for idea in told[kind]]
    seen.check(within="#exercise")
    assert not page.locator("#paths-measured").is_visible()
    choose.get_by_role("link", name="Every word is one step").click()
    assert page.locator("#paths-measured").is_visible()
    page.reload()
    assert page.get_by_label("your own words").input_value() == answer
    assert "Gradients" not in page.url


def test_what_fails_says_so_and_can_be_tried_again(look: Look, lesson: Any) -> None:
    seen = look()
    page = seen.page
    problem = {"status": 503, "content_type": "application/problem+json", "body": json.dumps(BUSY)}
    page.route("**/view/lesson/cost", lambda route: route.fulfill(**problem))
    page.route("**/v1/lesson/exercise", lambda route: route.fulfill(**problem))
    page.goto(seen.address + "/lesson?show=all")
    section = page.locator("#cost")
    section.get_by_role("alert").wait_for()
    assert "was not measured" in section.get_by_role("alert").inner_text()
    assert "try again in 2 s" in section.get_by_role("alert").inner_text()
    page.get_by_label("your own words").fill("it is parallel")
    page.locator("#write").get_by_role("button").click()
    page.locator("#write .error:visible").wait_for()
    assert page.get_by_label("your own words").input_value() == "it is parallel"
    seen.check(errors=True, within="#cost")
    page.unroute("**/view/lesson/cost")
    section.get_by_role("button", name="Measure again").click()
    section.locator(".found").wait_for()
    assert not section.get_by_role("alert").is_visible()


@pytest.mark.slow
def test_a_service_without_the_model_shows_the_rest(look: Look) -> None:
    key, kept = keys.make("alice")
    settings = Settings(model="fake", api_keys=(kept,))
    app = create_app(settings, encoders={"fake": FakeEncoder()}, store=Store("sqlite://"), quick_lesson=True)
    with running(app, settings) as at:
        page = look(at=at).open("/lesson?show=all")
        page.locator("#key-error:visible").wait_for()
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Use it").click()
        page.locator("#masking .found").wait_for()
        page.locator("#variants .error", has_text="POLYSEME_MODELS").wait_for()
        page.goto("about:blank")
