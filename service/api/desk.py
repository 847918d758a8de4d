"""Where routes hand jobs in, made once by `create_app`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from service.jobs import Jobs


@dataclass(frozen=True, eq=False)
class Desk:
    """The jobs, and what is called when one was handed in: it starts what runs them here, if anything does."""

    jobs: Jobs
    run: Callable[[], None]


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


AtDesk = Annotated[Desk, Depends(_desk)]
