"""The service: the only place that wires its parts. Importing it loads no model, and not torch."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version

from anyio import to_thread
from fastapi import FastAPI

from analysis.types import Encoder
from service import problems
from service.api import (
    analyses,
    attention,
    attributions,
    compare,
    docs,
    embeddings,
    jobs,
    models,
    sense_models,
    senses,
    system,
)
from service.api.body_limit import BodyLimit
from service.api.desk import Desk
from service.api.services import Services
from service.encoders import Encoders
from service.jobs import Jobs
from service.settings import Settings
from service.store import Store
from service.worker import Worker


def create_app(settings: Settings, *, encoders: Mapping[str, Encoder], store: Store) -> FastAPI:
    """The ASGI app over these parts. It closes the store when it shuts down.

    On SQLite, or where the settings say so, it runs jobs itself, from when there first is one.
    """
    here = settings.run_jobs if settings.run_jobs is not None else store.engine.dialect.name == "sqlite"
    worker = Worker(store, encoders, settings)
    kept = Jobs(store)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if here and kept.rows.active():  # left by a service that ended before they did
            await to_thread.run_sync(worker.start)
        yield
        await to_thread.run_sync(worker.stop)
        store.close()

    app = FastAPI(
        title="Polyseme",
        version=version("polyseme"),
        summary="Word senses from contextual vectors, and the context words that drove each.",
        description="Offsets are half-open code points. Errors are problem details (RFC 9457).",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.services = Services(settings, encoders, store)
    app.state.desk = Desk(kept, worker.start if here else lambda: None)
    app.add_middleware(BodyLimit, limit=settings.max_body_bytes, streamed=("/v1/jobs",))
    problems.install(app)
    docs.install(app)
    for noun in (senses, jobs, sense_models, attributions, compare, attention, embeddings, analyses, models):
        app.include_router(noun.router, prefix="/v1")
    app.include_router(system.router)
    return app


def build(settings: Settings) -> FastAPI:
    """The app of `polyseme serve`: models from the settings' home, the settings' database.

    Raises StoreError where the database cannot be used.
    """
    return create_app(settings, encoders=encoders_of(settings), store=Store(settings.database))


def encoders_of(settings: Settings) -> Encoders:
    """The models that requests and jobs may name, from the settings' home; each is loaded at its first use."""
    names = dict.fromkeys((settings.model, *settings.models))  # each once, the default first
    return Encoders(names, lambda name: _load(name, settings))


def _load(name: str, settings: Settings) -> Encoder:
    from analysis.catalogue import resolve
    from analysis.model.encoder import load

    return load(resolve(name, settings.home))
