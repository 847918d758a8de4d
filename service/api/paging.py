"""What every list takes: how much, and from where."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

Limit = Annotated[int, Query(ge=1, le=1000, description="the most to list")]
Cursor = Annotated[str | None, Query(max_length=200, description="`next` of the page before; the newest when left out")]
