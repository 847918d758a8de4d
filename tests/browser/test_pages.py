"""The pages as a person uses them: a real Chromium, the real service, minilm. Numbers on a page are the API's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from service import keys
from service.app import create_app
from service.settings import Settings
from service.store import Store
from service.web.heat import DARK, LIGHT, ink, luminance, step, stylesheet
from tests.browser.seen import BUSY, Look, Seen, fetched, post
from tests.browser.served import running
from tests.fake import FakeEncoder

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tests.browser.conftest import MakeContext, Served

pytestmark = pytest.mark.browser
SCRIPT = "<script>document.title = 'run'</script>"
SENTENCES = [
    "🏦 I went to the bank to deposit money",
    "I sat by the bank watching the river",
    "The bank approved our mortgage after three weeks of paperwork.",
    "Wildflowers grew along the bank where the stream slows down.",
    f"My bank charges a fee for every foreign transfer. {SCRIPT}",
    "The canoe drifted towards the far bank of the river.",
    "He asked the bank for a loan to buy a tractor.",
    "An otter slid down the muddy bank into the water.",
    "Nothing here uses the word.",
]
WIDTHS: list[tuple[Any, int]] = [("light", 1200), ("dark", 390)]


@pytest.fixture(scope="module")
def analysis(served: Served) -> Any:
    return post(
        served.address, "/v1/senses", {"target": "bank", "texts": SENTENCES, "faithfulness": 4, "fractions": [0.2]}
    )


@pytest.fixture(scope="module")
def comparison(served: Served) -> Any:
    return post(served.address, "/v1/compare", {"target": "bank", "texts": SENTENCES[:5]})


@pytest.fixture(scope="module")
def results(context: MakeContext, served: Served, analysis: Any) -> Iterator[list[Seen]]:
    """The page of the analysis, wide and narrow. Those who change what they see put it back."""
    found = [Seen(context(scheme, width).new_page(), served.address) for scheme, width in WIDTHS]
    for seen in found:
        seen.open(f"/senses/{analysis['id']}")
    yield found
    for seen in found:
        seen.page.close()


# every page, in both schemes, wide and narrow


@pytest.mark.parametrize(
    ("path", "scheme", "width"),
    [
        ("/", "dark", 390),
        ("/attention", "light", 1200),
        ("/attention", "dark", 390),
        ("/vectors", "dark", 390),
        ("/vectors/{}", "light", 1200),
    ],
)
def test_nothing_is_wrong_with_a_page(look: Look, path: str, scheme: str, width: int, comparison: Any) -> None:
    seen = look(scheme, width)
    seen.open(path.format(comparison["id"]))
    nothing_is_wrong(seen)


def nothing_is_wrong(seen: Seen) -> None:
    page = seen.page
    seen.show_all()
    # All that can be opened; of the tables of charts the first, since the others are like it.
    page.evaluate(
        """() => document.querySelectorAll('details').forEach(one => {
             one.open = !one.closest('figure') || one === document.querySelector('figure details'); })"""
    )
    seen.check()
    assert page.title().endswith("Polyseme")
    page.set_viewport_size({"width": 320, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.slow
def test_the_first_paint_takes_less_than_a_second(look: Look) -> None:
    """The best of three: other tests may have the processor."""
    page = look().open("/")
    painted = """() => new Promise(done => new PerformanceObserver(list => {
        for (const entry of list.getEntries()) if (entry.name === 'first-contentful-paint') done(entry.startTime);
    }).observe({ type: 'paint', buffered: true }))"""
    times = []
    for _ in range(3):
        page.reload()
        times.append(page.evaluate(painted))
    assert min(times) < 1000


# senses


def test_from_sentences_to_senses(look: Look, served: Served) -> None:
    seen = look()
    page = seen.open("/")
    assert "A worked example" in page.locator(".worked").inner_text()
    page.get_by_label("Word", exact=True).fill("bank")
    page.get_by_label("Sentences that use it").fill("\n".join(SENTENCES))
    page.get_by_role("button", name="Find senses").click()
    page.wait_for_url("**/senses/*")
    page.locator(".result").wait_for()
    assert re.fullmatch(r"/senses/[0-9a-f]{20}", page.url.removeprefix(served.address))
    found = fetched(served.address, "/v1/analyses/" + page.url.rpartition("/")[2])
    shows(page, found)
    assert "<script>" in page.locator(".kwic").inner_text()
    assert page.title() == "Senses · Polyseme"
    assert "9" in page.get_by_role("note").first.inner_text()  # the sentence without the word is listed
    assert seen.told == []

    page.reload()
    page.locator(".result").wait_for()
    assert page.get_by_label("Sentences that use it").input_value() == "\n".join(SENTENCES)
    shows(page, found)
    page.go_back()
    page.locator(".worked").wait_for()
    log = served.log.read_text(encoding="utf-8")
    assert "job" in log
    assert "mortgage" not in log
    assert "bank" not in log


def shows(page: Page, found: Any) -> None:
    """The figures on the page are those of the analysis."""
    usages = found["usages"]
    cards = page.locator("article.card")
    assert cards.count() == len(found["senses"])
    for card, sense in zip(cards.all(), found["senses"], strict=True):
        told = card.inner_text()
        own = [usage["confidence"] for usage in usages if usage["sense"] == sense["id"]]
        assert f"{sense['size']} usage" in told
        assert f"{sum(own) / len(own):.2f}" in told
        for driver in sense["drivers"][:5]:
            assert driver["word"] in told
            assert f"{driver['effect']:+.3f}, {driver['support']}×" in told
        for entry in (sense["lexicon"] or ())[:1]:
            assert f"In WordNet {entry['synset']} ({entry['score']:.2f}): {entry['gloss']}" in told
    if (Settings().home / "lexicon").exists():
        assert any(sense["lexicon"] for sense in found["senses"])
    sizes = page.evaluate("[...document.querySelectorAll('[data-size]')].map(part => +part.dataset.size)")
    assert sum(sizes) == len(usages)
    rows = page.locator("tr.usage")
    assert rows.count() == len(usages)
    for row, usage in zip(rows.all(), usages, strict=True):
        # Code points: an emoji before the target shifts nothing.
        assert row.locator(".keyword").inner_text() == "".join(list(usage["text"])[usage["start"] : usage["end"]])
        assert row.locator(".number").inner_text() == f"{usage['confidence']:.2f}"
    for row in found["faithfulness"]:
        assert f"{row['comprehensiveness']['value']:.3f}" in page.locator("main").inner_text()


def test_each_driver_says_its_sign_and_can_be_read(results: list[Seen]) -> None:
    for seen in results:
        page = seen.page
        marks = page.locator(".card mark.for, .card mark.against")
        assert marks.count() > 3
        for mark in marks.all():
            towards = "for" in (mark.get_attribute("class") or "").split()
            said = re.search(r" \((towards|against) [A-Z]\)$", mark.text_content() or "")
            assert said
            assert said[1] == ("towards" if towards else "against")
        assert "pushes towards" in page.locator(".legend").inner_text()
        assert min(contrasts(marks)) >= 4.5


def contrasts(marks: Locator) -> list[float]:
    """WCAG 2.2, 1.4.3."""
    found = []
    for style in marks.evaluate_all(
        "all => all.map(one => [getComputedStyle(one).color, getComputedStyle(one).backgroundColor])"
    ):
        low, high = sorted(luminance(tuple(map(float, re.findall(r"[0-9.]+", c)[:3]))) for c in style)  # type: ignore[arg-type]
        found.append((high + 0.05) / (low + 0.05))
    return found


def test_the_table_aligns_sorts_filters_and_opens(results: list[Seen], analysis: Any) -> None:
    page = results[0].page
    centres = page.locator(".kwic td.keyword").evaluate_all(
        "all => all.map(cell => { const box = cell.getBoundingClientRect(); return box.x + box.width / 2; })"
    )
    assert max(centres) - min(centres) <= 1
    visible = page.locator("tr.usage:visible")
    for name, key in (("Certainty", "certainty"), ("First word left", "left"), ("Sense", "sense")):
        heading = page.get_by_role("columnheader", name=name)
        for order in ("ascending", "descending"):
            heading.get_by_role("button").focus()
            page.keyboard.press("Enter")
            assert heading.get_attribute("aria-sort") == order
            values = visible.evaluate_all(f"all => all.map(row => row.getAttribute('data-by-{key}'))")
            values = [float(value) for value in values] if key != "left" else values
            assert values == sorted(values, reverse=order == "descending")
        assert page.locator("th[aria-sort]:not([aria-sort=none])").count() == 1

    size = analysis["senses"][0]["size"]
    only = page.get_by_role("button", name="Show only A below")
    only.press("Enter")
    assert only.get_attribute("aria-pressed") == "true"
    assert visible.count() == size
    page.locator("#kwic-count", has_text=f"{size} of 8").wait_for()
    only.press("Enter")
    page.get_by_label("Only sentences with").fill("river")
    assert visible.count() == sum("river" in usage["text"] for usage in analysis["usages"])

    opener = visible.first.locator(".keyword button")
    opener.press("Enter")
    assert opener.get_attribute("aria-expanded") == "true"
    more = page.locator(f"#{opener.get_attribute('aria-controls')}")
    assert "Without the word, the probability changes by" in more.inner_text()
    opener.press("Enter")
    page.get_by_label("Only sentences with").fill("")
    assert visible.count() == len(analysis["usages"])


def test_the_map_follows_the_card(results: list[Seen], analysis: Any) -> None:
    seen = results[0]
    page = seen.page
    points = page.locator("[data-chart=sense-map] svg .mark-symbol.role-mark path")
    page.locator("[data-chart=sense-map]").scroll_into_view_if_needed()
    points.first.wait_for()
    assert points.count() == 8
    for shown in (analysis["senses"][0]["size"], 8):
        page.get_by_role("button", name="Show only A below").click()
        page.wait_for_timeout(300)
        seen.idle()
        assert points.count() == shown


def test_charts_keep_their_room_until_they_are_drawn(look: Look, analysis: Any) -> None:
    """What is below them must not move away from under a click: no more than the lines of a legend."""
    seen = look()
    page = seen.open(f"/senses/{analysis['id']}")
    height = "document.documentElement.scrollHeight"
    before = page.evaluate(height)
    seen.show_all()
    charts = page.locator("[data-chart]").count()
    assert charts > 3
    assert abs(page.evaluate(height) - before) < 30 * charts


def test_exports_are_those_of_the_api(results: list[Seen], analysis: Any) -> None:
    page = results[0].page
    with page.expect_download() as download:
        page.get_by_role("link", name="JSON", exact=True).press("Enter")
    assert json.loads(Path(download.value.path()).read_text()) == analysis


def test_nothing_is_wrong_with_a_result(results: list[Seen]) -> None:
    for seen in results:
        nothing_is_wrong(seen)


def test_senses_are_kept_renamed_merged_and_split(look: Look, address: str, analysis: Any) -> None:
    seen = look()
    page = seen.open(f"/senses/{analysis['id']}")
    page.get_by_role("button", name="Save these senses").click()
    page.locator(".saved").wait_for()
    kept = fetched(address, "/v1/sense-models/" + page.url.rpartition("saved=")[2])
    for name in ("id", "size", "label"):
        assert [sense[name] for sense in kept["senses"]] == [sense[name] for sense in analysis["senses"]]

    name = page.get_by_label("Name of sense A")
    name.fill("   ")
    name.press("Enter")
    page.locator("#saved-error:visible").wait_for()
    assert name.input_value() == "   "
    name.fill("money")
    name.press("Enter")
    page.get_by_role("button", name="Undo the last change").wait_for()
    renamed = page.url
    assert fetched(address, "/v1/sense-models/" + renamed.rpartition("saved=")[2])["senses"][0]["label"] == "money"
    page.get_by_role("button", name="Split in two").first.click()
    page.locator(".saved li").nth(2).wait_for()
    seen.check(errors=True, within=".saved")
    for box in page.locator(".saved input[type=checkbox]").all():
        box.check()
    page.get_by_role("button", name="Merge the chosen ones").click()
    page.get_by_text("1 sense of 8 usages").wait_for()
    page.go_back()
    page.go_back()
    page.locator(".saved li").nth(1).wait_for()
    assert page.url == renamed
    page.reload()
    assert page.get_by_label("Name of sense A").input_value() == "money"


def test_a_file_takes_the_place_of_the_sentences(look: Look, tmp_path: Path) -> None:
    page = look().open("/")
    page.get_by_label("Word", exact=True).fill("bank")
    wrong = tmp_path / "picture.png"
    wrong.write_bytes(b"\x89PNG")
    page.get_by_label("A file instead").set_input_files(wrong)
    assert "picture.png" in page.locator("#file-error").inner_text()
    assert page.get_by_label("A file instead").get_attribute("aria-invalid") == "true"
    lines = tmp_path / "bank.csv"
    lines.write_text("text\n" + "\n".join(f'"{text}"' for text in SENTENCES[:4]), encoding="utf-8")
    page.get_by_label("A file instead").set_input_files(lines)
    assert not page.locator("#file-error").is_visible()
    page.get_by_role("button", name="Find senses").click()
    page.wait_for_url("**/senses/*")
    page.locator("tr.usage").nth(3).wait_for()
    assert page.locator("tr.usage").count() == 4


# what is wrong is said by the field it concerns, and nothing that was typed is lost


@pytest.mark.parametrize(
    ("target", "texts", "place", "says"),
    [
        ("bank", "", "texts", "no sentences"),
        ("", "I went to the bank", "target", "no word"),
        ("zebra", "I went to the bank", "target", "'zebra' is not in the 1 text"),
        ("bank", "the bank " * 12_000, "texts", "characters; the limit is 100,000"),
    ],
    ids=["empty", "no word", "not there", "a sentence too long"],
)
def test_what_is_wrong_stands_by_its_field(look: Look, target: str, texts: str, place: str, says: str) -> None:
    seen = look()
    page = seen.open("/")
    page.get_by_label("Word", exact=True).fill(target)
    page.evaluate("text => { document.getElementById('texts').value = text; }", texts)
    page.get_by_role("button", name="Find senses").click()
    error = page.locator(f"#{place}-error:visible")
    error.wait_for()
    assert says in error.inner_text()
    assert error.get_attribute("role") == "alert"
    assert page.locator(f"#{place}").get_attribute("aria-invalid") == "true"
    assert page.evaluate("document.activeElement.id") == place
    assert page.get_by_label("Word", exact=True).input_value() == target
    assert page.evaluate("document.getElementById('texts').value.length") == len(texts)
    if says == "no sentences":
        seen.check(errors=True, within="#ask")


@pytest.mark.parametrize(
    ("pasted", "says"),
    [
        ("the bank " * 560_000, "characters; the limit is 100,000"),
        (("the bank " * 11 + "\n") * 50_000, "the limit is 20,000"),
    ],
    ids=["in a line", "in many lines"],
)
def test_a_paste_of_5_megabytes(look: Look, pasted: str, says: str) -> None:
    """It is taken as a file, so that the box stays usable; what is wrong with it stands there."""
    page = look().open("/")
    page.get_by_label("Word", exact=True).fill("bank")
    page.get_by_label("Sentences that use it").fill("what was typed before")
    page.evaluate(
        """pasted => {
          const held = new DataTransfer();
          held.setData('text/plain', pasted);
          const event = new ClipboardEvent('paste', { clipboardData: held, bubbles: true, cancelable: true });
          document.getElementById('texts').dispatchEvent(event);
        }""",
        pasted,
    )
    assert page.evaluate("document.getElementById('file').files[0].size") == len(pasted)
    page.get_by_role("button", name="Find senses").click()
    error = page.locator("#file-error:visible")
    error.wait_for()
    assert says in error.inner_text()
    assert page.get_by_label("Sentences that use it").input_value() == "what was typed before"
    page.get_by_role("button", name="Use the sentences above").click()
    assert page.evaluate("document.activeElement.id") == "texts"


@pytest.mark.parametrize("path", ["/", "/attention", "/vectors"])
def test_a_busy_or_broken_service_loses_nothing(look: Look, path: str) -> None:
    """503 from it, then a connection that breaks, then it answers again."""
    seen = look("dark", 390)
    page = seen.open(path)
    page.route(
        re.compile("/v1/(jobs|attention|compare)$"),
        lambda route: route.fulfill(status=503, content_type="application/problem+json", body=json.dumps(BUSY)),
    )
    typed = page.locator("#text" if path == "/attention" else "#texts")
    typed.fill("She rowed to the bank")
    if path != "/attention":
        page.get_by_label("Word", exact=True).fill("bank")
    submit = page.locator("button[type=submit]")
    submit.click()
    error = page.locator("#ask-error:visible")
    error.wait_for()
    assert error.inner_text() == "Too many wait: try again in 2 s."
    assert submit.is_enabled()
    seen.check(errors=True, within="#ask")
    page.unroute_all()
    page.route(re.compile("/v1/"), lambda route: route.abort("connectionreset"))
    submit.click()
    page.locator("#ask-error", has_text="does not answer").wait_for()
    assert typed.input_value() == "She rowed to the bank"
    page.unroute_all()
    submit.click()
    if path == "/attention":
        page.locator(".words button", has_text="rowed").wait_for()
    else:
        page.wait_for_url(re.compile("/(senses|vectors)/[0-9a-f]{20}"))
    assert "rowed" not in page.url


@pytest.fixture
def with_keys(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """(address, key) of a service that wants one; its encoder has no weights."""
    key, kept = keys.make("alice")
    settings = Settings(home=tmp_path, model="fake", api_keys=(kept,))
    app = create_app(settings, encoders={"fake": FakeEncoder()}, store=Store(f"sqlite:///{tmp_path}/pages.db"))
    with running(app, settings) as at:
        yield at, key


def test_a_service_with_keys_asks_for_one(look: Look, with_keys: tuple[str, str]) -> None:
    at, key = with_keys
    seen = look(at=at)
    page = seen.open("/vectors")
    seen.check(within="#key-form")
    page.get_by_role("button", name="Compare").click()
    page.locator("#key-error:visible").wait_for()
    assert page.evaluate("document.activeElement.id") == "key"
    seen.check(errors=True, within="#key-form")
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Use it").click()
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url("**/vectors/*")
    page.locator(".pairs").wait_for()
    assert key not in page.content()
    with page.expect_download() as download:
        page.get_by_role("link", name="JSON", exact=True).press("Enter")
    assert json.loads(Path(download.value.path()).read_text())["target"] == "bank"


# attention


def weights(panel: Locator) -> list[list[float | None]]:
    """The matrix that is seen; None is masked."""
    found: list[list[float | None]] = panel.locator(".matrix tbody tr").evaluate_all(
        """rows => rows.map(row => [...row.querySelectorAll('td')]
                                .map(cell => cell.dataset.weight ? +cell.dataset.weight : null))"""
    )
    return found


def test_attention_is_there_on_arrival(look: Look, address: str) -> None:
    page = look().open("/attention")
    page.locator("#words [aria-pressed=true]").wait_for()
    both, causal = weights(page.locator("#both")), weights(page.locator("#causal"))
    for q, row in enumerate(both):
        assert sum(weight or 0 for weight in row) == pytest.approx(1, abs=1e-4)
        assert None not in row
        assert len(row) == len(both), q
    for q, row in enumerate(causal):
        assert [weight is None for weight in row] == [k > q for k in range(len(row))]
        assert sum(weight or 0 for weight in row) == pytest.approx(1, abs=1e-4)
    assert page.locator("#causal td.masked").first.inner_text() == "-"
    assert "Attention is not explanation" in page.locator("main").inner_text()

    words = page.locator("#words button")
    page.locator("#words [aria-pressed=true]").focus()
    assert page.evaluate("document.activeElement.textContent") == "bank"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("End")
    assert page.evaluate("document.activeElement.textContent") == "river"
    assert words.nth(4).get_attribute("aria-pressed") == "true"
    assert "“river” looks at" in page.locator("#both .chosen").inner_text()
    river = page.locator("#both .top tbody tr").first.locator("td").nth(1).inner_text()
    assert float(river) == pytest.approx(max(weight or 0 for weight in both[5]), abs=0.001)
    assert min(contrasts(page.locator(".chip"))) >= 4.5


def test_what_special_tokens_take_is_said(look: Look) -> None:
    page = look().open("/attention")
    both = page.locator("#both")
    page.locator("#words [aria-pressed=true]").wait_for()
    whole = weights(both)
    inner = [[weight or 0 for weight in row[1:-1]] for row in whole[1:-1]]
    taken = 1 - sum(map(sum, inner)) / len(inner)
    page.get_by_label("hide", exact=True).check()
    hidden = weights(both)
    assert [[w or 0 for w in row] for row in hidden] == [pytest.approx(row, abs=1e-5) for row in inner]
    assert f"take {100 * taken:.0f} %" in both.locator(".share").inner_text()
    assert "not scaled up" in both.locator(".share").inner_text()
    page.get_by_label("textbook view").check()
    for row in weights(both):
        assert sum(weight or 0 for weight in row) == pytest.approx(1, abs=1e-4)
    assert f"took {100 * taken:.0f} %" in both.locator(".share").inner_text()


def test_a_sentence_of_ones_own_and_a_link_that_keeps_settings(look: Look, address: str) -> None:
    text = "🏦 The bank <b>refused</b> my loan"
    page = look().open("/attention")
    page.get_by_label("Sentence", exact=True).fill(text)
    page.get_by_role("button", name="Read the sentence").click()
    page.locator("#words button", has_text="loan").wait_for()
    page.locator("#both").get_by_label("Layer").select_option("3")
    page.locator("#both").get_by_label("Head").select_option("7")
    page.locator("#words button", has_text="loan").click()
    read = post(address, "/v1/attention", {"text": text, "layers": [3], "heads": [7]})
    assert weights(page.locator("#both")) == [pytest.approx(row, abs=1e-5) for row in read["weights"][0][0]]
    assert page.locator("#both .matrix tbody th").all_inner_texts() == [unit["text"] for unit in read["units"]]
    assert page.locator("#causal .later").is_visible()
    assert "loan" not in page.url
    assert "refused" not in page.url
    page.reload()
    page.locator("#words button", has_text="loan").wait_for()
    assert page.locator("#both").get_by_label("Layer").input_value() == "3"
    assert page.locator("#both").get_by_label("Head").input_value() == "7"
    assert page.locator("#words [aria-pressed=true]").inner_text() == "loan"
    page.get_by_label("the model's own pieces").check()
    page.locator("#both .matrix").wait_for()


@pytest.mark.slow
def test_the_causal_model_reads_the_same_sentence(look: Look) -> None:
    page = look().open("/attention")
    page.get_by_label("Sentence", exact=True).fill("The bank refused my loan")
    page.get_by_role("button", name="Read the sentence").click()
    page.get_by_role("button", name="Read it with the causal model too").click()
    page.locator("#causal .matrix:visible", has_text="loan").wait_for()
    for q, row in enumerate(weights(page.locator("#causal"))):
        assert [weight is None for weight in row] == [k > q for k in range(len(row))]


def test_text_on_every_shade_can_be_read() -> None:
    rules = stylesheet()
    pairs = re.findall(r"background: (#\w{6}); color: (#\w{6})", rules)
    assert len(pairs) == 102
    for background, text in pairs:
        low, high = sorted(luminance(tuple(int(c[i : i + 2], 16) for i in (1, 3, 5))) for c in (background, text))  # type: ignore[arg-type]
        assert (high + 0.05) / (low + 0.05) >= 4.5
    assert [LIGHT[0], LIGHT[-1], DARK[0], DARK[-1]] == [pairs[i][0] for i in (0, 50, 51, 101)]
    assert [step(0), step(0.5), step(1), step(7)] == [0, 25, 50, 50]
    assert ink((0, 0, 0)) == "#ffffff"


# one word, many vectors


def test_vectors_part_from_layer_to_layer(look: Look, address: str) -> None:
    page = look().open("/vectors")
    assert page.get_by_label("Sentences that use it").input_value().startswith("I went to the bank to deposit money\n")
    page.get_by_label("Sentences that use it").fill("\n".join(SENTENCES[:5]))
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url("**/vectors/*")
    page.locator(".pairs").wait_for()
    found = fetched(address, "/v1/analyses/" + page.url.rpartition("/")[2])
    held = found["static"]
    slider = page.get_by_role("slider", name="Vectors from")

    def seen() -> tuple[list[str], list[list[float]]]:
        cosines = page.locator(".pairs .now").all_inner_texts()
        places = page.locator("[data-path]").evaluate_all(
            "all => all.map(point => point.getAttribute('transform').match(/[-0-9.]+/g).map(Number))"
        )
        return cosines, places

    cosines, top = seen()
    assert cosines == [f"{pair['layers'][-1]:.3f}" for pair in held["pairs"]]
    slider.focus()
    page.keyboard.press("Home")
    cosines, static = seen()
    assert cosines == [f"{pair['static']:.3f}" for pair in held["pairs"]] == ["1.000"] * 10
    assert static == [[150, 150]] * 5
    assert len({tuple(place) for place in top}) == 5
    assert "static" in (slider.get_attribute("aria-valuetext") or "")
    page.keyboard.press("ArrowRight")
    cosines, zero = seen()
    assert cosines == [f"{pair['layers'][0]:.3f}" for pair in held["pairs"]]
    assert zero != static
    page.reload()
    page.locator(".pairs").wait_for()
    assert slider.input_value() == "1"
    page.get_by_text("Every layer as a table").click()
    for row, layer in zip(page.locator(".layers tbody tr").all(), [*held["layers"], held["averaged"]], strict=True):
        assert row.locator("td").first.inner_text() == f"{layer['cosine']:.3f}"
    page.locator(".map [data-path]").first.focus()
    assert SENTENCES[0] in page.locator("#told").inner_text()
