"""A page in the browser, and what it asked for and told; and the API that it stands on."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
AXE = {"runOnly": TAGS, "resultTypes": ["violations"]}
BUSY = {"type": "about:blank", "title": "Busy", "status": 503, "detail": "too many wait", "remedy": "try again in 2 s"}


class Seen:
    """A page, what it asked for and what its console told."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.address = page, address
        self.asked: list[str] = []
        self.told: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda line: line.type == "error" and self.told.append(line.text))
        page.on("pageerror", lambda error: self.told.append(str(error)))

    def open(self, path: str) -> Page:
        self.page.goto(self.address + path)
        self.idle()
        return self.page

    def idle(self) -> None:
        self.page.wait_for_selector("[aria-busy=true]", state="detached")

    def show_all(self) -> None:
        """Charts are drawn when they come near."""
        for drawing in self.page.locator("[data-chart]").all():
            drawing.scroll_into_view_if_needed()
            drawing.locator("svg").wait_for()
        self.idle()

    def check(self, *, errors: bool = False, within: str = "html") -> None:
        """No other origin, nothing on the console, nothing scrolls sideways, and axe finds nothing.

        `within`: the part that axe looks at, where the rest is as it is when another test looks at all of it.
        """
        from axe_playwright_python.sync_playwright import Axe

        assert all(url.startswith((self.address, "data:", "blob:")) for url in self.asked)
        if not errors:
            assert self.told == []
        assert self.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        found = Axe().run(self.page, context=within, options=AXE).response["violations"]
        assert not found, [(one["id"], [node["html"][:160] for node in one["nodes"][:3]]) for one in found]


Look = Callable[..., Seen]


def post(address: str, path: str, body: Any) -> Any:
    request = urllib.request.Request(address + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def fetched(address: str, path: str) -> Any:
    with urllib.request.urlopen(address + path) as answer:
        return json.load(answer)
