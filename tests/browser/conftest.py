"""What the pages' tests share: one Chromium, and one service over minilm."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import structlog

from service import logs
from service.app import create_app
from service.encoders import Encoders
from service.settings import Settings
from service.store import Store
from tests.browser.seen import Look, Seen
from tests.browser.served import running
from tests.conftest import CHROMIUM_FLAGS, absent
from tests.measured import lesson_of
from tests.real import real

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

LONGEST = 180_000  # milliseconds that anything on a page may take, on a machine that others use too


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The system's Chromium, for this package alone: while it is open, playwright's event loop runs in this thread."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        absent("Chromium", "apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=CHROMIUM_FLAGS)
        yield launched
        launched.close()


class Served(NamedTuple):
    """A running service, and what it logs."""

    address: str
    log: Path


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """What `polyseme serve` runs, in a thread of this process, with a database of its own; the lesson is small."""
    folder = tmp_path_factory.mktemp("pages")
    settings = Settings(model="minilm", models=("minilm", "smollm2"))
    encoders = Encoders(settings.models, real)
    app = create_app(settings, encoders=encoders, store=Store(f"sqlite:///{folder}/polyseme.db"), warm=True)
    app.state.lesson = lesson_of(encoders)
    with logged(folder / "log"), running(app, settings) as address:
        yield Served(address, folder / "log")


@pytest.fixture(scope="package")
def address(served: Served) -> str:
    return served.address


MakeContext = Callable[[Any, int], "BrowserContext"]


@pytest.fixture(scope="package")
def context(browser: Browser) -> MakeContext:
    """A context for a colour scheme and a width: one for all, so that its pages share what they loaded and compiled.

    They share no more: what the pages keep, they keep for their own tab.
    """

    @cache
    def make(scheme: Any, width: int) -> BrowserContext:
        made = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
        made.set_default_timeout(LONGEST)
        return made

    return make


@pytest.fixture
def look(context: MakeContext, address: str) -> Iterator[Look]:
    """Opens pages in a colour scheme and at a width."""
    with ExitStack() as stack:

        def make(scheme: Any = "light", width: int = 1200, at: str = address) -> Seen:
            page = context(scheme, width).new_page()
            stack.callback(page.close)
            return Seen(page, at)

        yield make


@contextmanager
def logged(file: Path) -> Iterator[None]:
    """Logs go to the file, as those of the service to standard error, and to whoever else listens in this process."""
    root = logging.getLogger()
    others, level = root.handlers[:], root.level
    with file.open("w", encoding="utf-8") as stream:
        logs.configure(stream)
        logging.captureWarnings(False)  # they stay errors
        (own,) = root.handlers
        root.handlers[:] = [*others, own]
        try:
            yield
        finally:
            root.removeHandler(own)
            root.setLevel(level)
            structlog.reset_defaults()
