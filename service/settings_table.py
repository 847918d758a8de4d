"""The README's table of settings, made of the code: `python -m service.settings_table README.md` writes it there."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from pydantic.fields import FieldInfo

from service.settings import Settings

BEGIN = "| variable | default | meaning |\n"
NAMED = {"home": "the user's data folder", "database_url": "SQLite in the home"}  # defaults that the machine decides


def table() -> str:
    """Markdown, a row a setting, in the order of the code."""
    rows = [
        f"| `POLYSEME_{name.upper()}` | {_default(name, field)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return BEGIN + "|---|---|---|\n" + "\n".join(rows)


def written(readme: str) -> str:
    """The README with the table in its place."""
    return re.sub(re.escape(BEGIN) + r"(?:\|.*\n)+", lambda _: table() + "\n", readme, count=1)


def _default(name: str, field: FieldInfo) -> str:
    if name in NAMED:
        return NAMED[name]
    value = field.default
    shown = json.dumps(value) if isinstance(value, tuple | bool) else str(value)
    return f"`{shown}`"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(written(path.read_text(encoding="utf-8")), encoding="utf-8")
