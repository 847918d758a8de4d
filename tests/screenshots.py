"""`make screenshots`: pictures of the pages for the README, of the real service in the system's Chromium."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from tests.browser.served import serving
from tests.conftest import CHROMIUM_FLAGS

WHERE = Path(__file__).parents[1] / "docs"
PAGES = {"senses": "/", "attention": "/attention", "vectors": "/vectors", "lesson": "/lesson?show=all"}
# (what is added to the name, colour scheme, width, height)
LOOKS: list[tuple[str, Any, int, int]] = [
    ("", "light", 1100, 1000),
    ("-dark", "dark", 1100, 1000),
    ("-narrow", "light", 390, 1000),
]
FIRST = {"senses": ".result", "attention": "#words-title", "vectors": "#maps-title", "lesson": "#cost-title"}


def ready(page: Page, first: str | None) -> None:
    """What is asked for is drawn, and what the page is about is in sight."""
    if first:
        page.locator(first).first.evaluate("one => one.scrollIntoView()")
    page.wait_for_timeout(500)
    page.wait_for_selector("[aria-busy=true]", state="detached", timeout=60_000)
    page.wait_for_timeout(500)


def main() -> None:
    WHERE.mkdir(exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        for added, scheme, width, height in LOOKS:
            context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": height})
            page = context.new_page()
            for name, path in PAGES.items():
                answer = page.goto(address + path)
                if answer is None or answer.status != 200:
                    print(f"{path} is not there: no picture of it")
                    continue
                ready(page, FIRST.get(name))
                page.screenshot(path=WHERE / f"{name}{added}.png")
            context.close()
        browser.close()


if __name__ == "__main__":
    main()
