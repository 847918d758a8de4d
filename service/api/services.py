"""What every route needs, made once by `create_app`: settings, encoders, store, and threads for what takes long."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, ParamSpec, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Request

from analysis.errors import UnknownModel
from analysis.types import Encoder
from service.settings import Settings
from service.store import Store

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Services:
    """`inference` has one token: a second forward pass at a time would only slow the first, as torch uses all cores."""

    settings: Settings
    encoders: Mapping[str, Encoder]
    store: Store
    inference: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(1))
    probe: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(1))

    def check_model(self, name: str | None) -> str:
        """The model's name, the default for None; loads nothing. Raises UnknownModel, which lists the names."""
        chosen = self.settings.model if name is None else name
        if chosen not in self.encoders:
            known = ", ".join(self.encoders)
            raise UnknownModel(f"there is no model {chosen!r} here", remedy=f"choose from {known}", where=("model",))
        return chosen

    async def infer(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what uses a model in a thread, one such at a time; others wait their turn."""
        return await to_thread.run_sync(partial(work, *args, **kwargs), limiter=self.inference)

    async def off_loop(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what takes a while without a model (searching, rendering, the database) in a thread."""
        return await to_thread.run_sync(partial(work, *args, **kwargs))


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


Wired = Annotated[Services, Depends(_services)]
