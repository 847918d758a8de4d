"""Operations: is the process alive, and can it do its work."""

from __future__ import annotations

import numpy as np
from anyio import to_thread
from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from analysis.errors import ModelError
from analysis.types import Occurrence
from service.answers import Status
from service.api.services import Services, Wired
from service.encoders import Encoders
from service.problems import documented
from service.store import StoreError
from service.tickets import Refused

router = APIRouter(tags=["system"])


class NotReady(ModelError):
    """The default model does not answer."""


class Loading(Refused):
    """The default model is not loaded yet."""


@router.get("/livez", responses=documented())
async def livez() -> Status:
    """The process answers."""
    return Status(status="alive")


@router.get("/readyz", responses=documented(503))
async def readyz(services: Wired) -> Status:
    """The default model is loaded and reads a short text, the store answers, and requests are worked on."""
    # Not behind `inference`: a service that is busy with a long request is still ready.
    await to_thread.run_sync(_check, services, limiter=services.probe)
    return Status(status="ready")


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses={200: {"description": "Prometheus's text format"}, **documented()},
)
async def metrics(services: Wired) -> Response:
    """Figures for Prometheus. Labels are route templates, methods and statuses."""
    return Response(await services.off_loop(services.metrics.text), media_type=CONTENT_TYPE_LATEST)


def _check(services: Services) -> None:
    services.store.ping()
    if not services.shared.alive:
        raise NotReady("requests are no longer worked on", remedy="start the service again; see its log")
    name = services.settings.model
    if isinstance(services.plain, Encoders) and services.plain.load_soon(name):
        raise Loading("the default model is being loaded", remedy="ask again in a few seconds", retry_after=2)
    try:
        usages = services.plain[name].encode([Occurrence("The bank is open.", "bank", 4, 8, "readyz")])
        if not np.isfinite(usages.vectors).all():
            raise NotReady("the default model gives no numbers", remedy="see the service's log")
    except (ModelError, StoreError):
        raise
    except Exception as error:  # whatever it is, the service cannot do its work
        raise NotReady("the default model does not answer", remedy="see the service's log") from error
    finally:
        services.let_go()
