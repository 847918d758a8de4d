"""Operations: is the process alive, and can it do its work."""

from __future__ import annotations

import numpy as np
from anyio import to_thread
from fastapi import APIRouter
from fastapi.responses import RedirectResponse

from analysis.errors import ModelError
from analysis.types import Occurrence
from service.api.services import Services, Wired
from service.problems import documented
from service.schemas import Status
from service.store import StoreError

router = APIRouter(tags=["system"])


class NotReady(ModelError):
    """The default model does not answer."""


@router.get("/livez", responses=documented())
async def livez() -> Status:
    """The process answers."""
    return Status(status="alive")


@router.get("/readyz", responses=documented(503))
async def readyz(services: Wired) -> Status:
    """The default model reads a short text, and the store answers. The first time, this loads the model."""
    # Not behind `inference`: a service that is busy with a long request is still ready.
    await to_thread.run_sync(_check, services, limiter=services.probe)
    return Status(status="ready")


@router.get("/", include_in_schema=False)
async def home() -> RedirectResponse:
    """The documentation, until there is a page."""
    return RedirectResponse("docs")


def _check(services: Services) -> None:
    services.store.ping()
    try:
        encoder = services.plain[services.settings.model]
        usages = encoder.encode([Occurrence("The bank is open.", "bank", 4, 8, "readyz")])
        if not np.isfinite(usages.vectors).all():
            raise NotReady("the default model gives no numbers", remedy="see the service's log")
    except (ModelError, StoreError):
        raise
    except Exception as error:  # whatever it is, the service cannot do its work
        raise NotReady("the default model does not answer", remedy="see the service's log") from error
