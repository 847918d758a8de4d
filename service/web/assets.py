"""The files that pages load: styles, scripts, and the bundle that draws charts, all from here and kept by browsers.

Their folder's name is a digest of all of them, so that a browser may keep each for ever, and modules that import one
another by relative paths stay together.
"""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.resources import files
from threading import Lock

from service.web import heat

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
CHARTS = "vega.js"


@dataclass(frozen=True)
class Asset:
    """A file as it is sent: plain, and compressed for those who take that."""

    media_type: str
    plain: bytes
    packed: bytes

    @classmethod
    def of(cls, name: str, content: bytes) -> Asset:
        ending = name[name.rindex(".") :]
        return cls(TYPES[ending], content, gzip.compress(content, mtime=0))


@dataclass
class Assets:
    """Every file by name. `digest` is the name of the folder that they are in."""

    found: dict[str, Asset]
    digest: str
    make_bundle: Callable[[], str]
    _lock: Lock = field(default_factory=Lock)

    @classmethod
    def load(cls) -> Assets:
        """Those of the package, and the styles of the heat maps."""
        web = files("service.web")
        contents = {entry.name: entry.read_bytes() for entry in (web / "static").iterdir() if entry.is_file()}
        for entry in (web / "worked").iterdir():
            if entry.name.startswith("attention-"):  # with every layer and head, for a page to look through
                contents[entry.name] = entry.read_bytes()
        contents["heat.css"] = heat.stylesheet().encode()
        # The bundle is made when it is first asked for; its version stands for its content.
        all_of_it = hashlib.sha256(version("vl-convert-python").encode())
        for name in sorted(contents):
            all_of_it.update(name.encode() + contents[name])
        return cls(
            {name: Asset.of(name, content) for name, content in contents.items()}, all_of_it.hexdigest()[:12], _bundle
        )

    def get(self, name: str) -> Asset | None:
        """The file of this name. Making the bundle takes seconds: call it in a thread."""
        if name == CHARTS:
            with self._lock:
                if name not in self.found:
                    self.found[name] = Asset.of(name, self.make_bundle().encode())
        return self.found.get(name)


def _bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script without imports (0.9 MB).

    In a process of its own: vl-convert holds the interpreter's lock while it works, and with it every other request.
    """
    code = "import vl_convert, sys; sys.stdout.write(vl_convert.javascript_bundle())"
    made = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, encoding="utf-8", timeout=120)
    return made.stdout
