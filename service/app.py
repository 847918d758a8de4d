"""The service: the only place that wires its parts. Importing it loads no model, and not torch."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib.metadata import version
from threading import Thread

from anyio import to_thread
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from analysis import text
from analysis.errors import ModelError
from analysis.measuring import measure
from analysis.types import Encoder
from service import problems
from service.api import (
    analyses,
    attention,
    attributions,
    charts,
    compare,
    disambiguate,
    docs,
    embeddings,
    jobs,
    lesson,
    models,
    openai,
    sense_models,
    senses,
    system,
)
from service.api.body_limit import BodyLimit
from service.api.desk import Desk
from service.api.guard import Guard
from service.api.observe import Observe
from service.api.quick import Quick, Shortcut
from service.api.services import Services
from service.encoders import Encoders
from service.jobs import Jobs
from service.lesson import Lesson, shown_model
from service.settings import Settings
from service.store import Store
from service.web import lesson as lesson_page
from service.web import pages
from service.worker import Worker

# Looked through in this order for each request: the quickest first, which are asked for the most.
NOUNS = (
    embeddings,
    openai,
    senses,
    jobs,
    compare,
    attention,
    attributions,
    disambiguate,
    sense_models,
    charts,
    analyses,
    models,
    lesson,
)


def create_app(
    settings: Settings,
    *,
    encoders: Mapping[str, Encoder],
    store: Store,
    warm: bool = False,
    beside: int = 0,
    quick_lesson: bool = False,
) -> FastAPI:
    """The ASGI app over these parts. It closes the store when it shuts down; `warm`: it loads its model at start.

    `beside`: how many shared batches the model may read side by side, each on its part of the cores.
    `quick_lesson`: the lesson is measured at small sizes, as tests want it.

    On SQLite, or where the settings say so, it runs jobs itself, from when there first is one.
    """
    kept = Jobs(store)
    services = Services.wire(
        settings, encoders, store, kept.rows.count, beside, partial(_share, beside), _tidy, _let_go
    )
    here = settings.run_jobs if settings.run_jobs is not None else store.engine.dialect.name == "sqlite"
    worker = Worker(store, services.encoders, settings)  # its batches take turns with those of requests

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        warming = list[asyncio.Task[None]]()
        if warm and isinstance(encoders, Encoders):
            encoders.load_soon(settings.model)
            Thread(target=text.lemma, args=("banks",), daemon=True).start()  # its tables take a second to be read
            warming.append(asyncio.create_task(pages.warm(services)))
            warming.append(asyncio.create_task(to_thread.run_sync(_settle, services, abandon_on_cancel=True)))
        if here and kept.rows.active():  # left by a service that ended before they did
            await to_thread.run_sync(worker.start)
        yield
        for task in warming:
            task.cancel()
        await to_thread.run_sync(worker.stop)
        await to_thread.run_sync(services.shared.close)  # on the loop it would hold up the last answers
        store.close()

    app = FastAPI(
        title="Polyseme",
        version=version("polyseme"),
        summary="Word senses from contextual vectors, and the context words that drove each.",
        description="Offsets are half-open code points. Errors are problem details (RFC 9457).",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        # FastAPI's would tell exceptions as they are, and what stands in them; see logs.py and metrics.py.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.services = services
    app.state.lesson = Lesson(partial(measure, model=partial(shown_model, encoders), quick=quick_lesson))
    app.state.desk = Desk(kept, worker.start if here else lambda: None)
    # The last that is added is the outermost: nobody's body is read before it is known who sends it.
    quick = {route.path: route.endpoint for route in _routes() if isinstance(route, Quick)}
    app.add_middleware(Shortcut, services=services, endpoints=quick)
    app.add_middleware(BodyLimit, limit=settings.max_body_bytes, seconds=settings.body_seconds, streamed=("/v1/jobs",))
    app.add_middleware(Guard, known=settings.api_keys, per_minute=settings.requests_per_minute)
    app.add_middleware(Observe, metrics=services.metrics, templates=_templates())
    problems.install(app)
    docs.install(app)
    app.router.routes.extend(_routes())
    return app


def build(settings: Settings) -> FastAPI:
    """The app of `polyseme serve`: models from the settings' home, the settings' database.

    Raises StoreError where the database cannot be used.
    """
    beside = 2 if _cores(settings) >= 2 else 0
    return create_app(
        settings, encoders=encoders_of(settings), store=Store(settings.database), warm=True, beside=beside
    )


def encoders_of(settings: Settings) -> Encoders:
    """The models that requests and jobs may name, from the settings' home; each is loaded at its first use."""
    names = dict.fromkeys((settings.model, *settings.models))  # each once, the default first
    return Encoders(names, lambda name: _load(name, settings))


def _routes() -> list[BaseRoute]:
    """Those that the modules made when they were imported. Included as routers they would each be made anew for an app,
    at its first request: a quarter of a second."""
    return [route for module in (*NOUNS, system, pages, lesson_page) for route in module.router.routes]


def _settle(services: Services) -> None:
    """Once the model is loaded: what is there by then stays, and is not looked through for garbage again and again."""
    with suppress(ModelError):  # who asks for it is told
        services.plain[services.settings.model]
    gc.collect()
    gc.freeze()


def _cores(settings: Settings) -> int:
    """How many torch will use."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return settings.threads or (int(said) if said.isdecimal() else os.cpu_count() or 1)


def _tidy() -> None:
    from analysis.model.memory import give_back

    give_back()


def _share(parts: int) -> None:
    from analysis.model.cores import share

    share(parts)


def _let_go() -> None:
    if "torch" in sys.modules:  # an encoder may do without
        from analysis.model.cores import let_go

        let_go()


def _templates() -> dict[object, str]:
    """Each route's path with its parameters' names, by endpoint: what logs and metrics may say of a request."""
    return {route.endpoint: route.path for route in _routes() if isinstance(route, APIRoute)}


def _load(name: str, settings: Settings) -> Encoder:
    from analysis.catalogue import resolve
    from analysis.model.encoder import load

    return load(resolve(name, settings.home), device=settings.device, threads=settings.threads)
