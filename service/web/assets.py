"""The files that pages load: styles, scripts, and the bundle that draws charts, all from here and kept by browsers.

Their folder's name is a digest of all of them, so that a browser may keep each for ever, and modules that import one
another by relative paths stay together.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files

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


@dataclass(frozen=True)
class Assets:
    """Every file by name. `digest` is the name of the folder that they are in."""

    found: dict[str, Asset]
    digest: str

    @classmethod
    def load(cls) -> Assets:
        """Those of the package, and the styles of the heat maps; the bundle that draws charts comes later."""
        web = files("service.web")
        contents = {entry.name: entry.read_bytes() for entry in (web / "static").iterdir() if entry.is_file()}
        for entry in (web / "worked").iterdir():
            if entry.name.startswith("attention-"):  # with every layer and head, for a page to look through
                contents[entry.name] = entry.read_bytes()
        contents["heat.css"] = heat.stylesheet().encode()
        all_of_it = hashlib.sha256(version("vl-convert-python").encode())  # it stands for the bundle
        for name in sorted(contents):
            all_of_it.update(name.encode() + contents[name])
        found = {name: Asset.of(name, content) for name, content in contents.items()}
        return cls(found, all_of_it.hexdigest()[:12])
