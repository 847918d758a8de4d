"""The models that requests may name, each loaded when it is first asked for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from threading import Lock, Thread
from typing import Protocol, runtime_checkable

from analysis.errors import ModelError, ModelNotPulled
from analysis.types import Encoder, ModelInfo

log = logging.getLogger(__name__)


class ModelUnavailable(ModelError):
    """An allowed model that this machine cannot load. The cause may name folders: it is for the log only."""


@runtime_checkable
class Lazy(Protocol):
    """Encoders that may not be loaded yet."""

    def info(self, name: str) -> ModelInfo | None: ...


class Encoders(Mapping[str, Encoder]):
    """Encoders by name, for the names given and no other: a request can never make the service open a path.

    `load` takes a name; it is called once a name, by one thread at a time, and again only where it failed.
    """

    def __init__(self, names: Iterable[str], load: Callable[[str], Encoder]) -> None:
        self._load = load
        self._locks = {name: Lock() for name in names}
        self._ready: dict[str, Encoder] = {}
        self._failed: dict[str, Exception] = {}

    def __getitem__(self, name: str) -> Encoder:
        """The encoder; takes seconds the first time. Raises KeyError for another name, ModelUnavailable."""
        with self._locks[name]:
            if name not in self._ready:
                self._ready[name] = self._loaded(name)
            return self._ready[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._locks)

    def __len__(self) -> int:
        return len(self._locks)

    def __contains__(self, name: object) -> bool:
        return name in self._locks  # Mapping's own would load the model

    def load_soon(self, name: str) -> bool:
        """Begin to load the model in a thread, unless it is loaded or being loaded; true while it is not there.

        Raises ModelUnavailable where the last attempt failed, and begins another. Raises KeyError for another name.
        """
        if name in self._ready:
            return False
        if not self._locks[name].locked():
            failed = self._failed.pop(name, None)
            Thread(target=self._try, args=(name,), name=f"polyseme-load-{name}", daemon=True).start()
            if failed is not None:
                raise failed
        return True

    def _try(self, name: str) -> None:
        try:
            self[name]
        except Exception as error:
            self._failed[name] = error
            log.error("a model cannot be loaded", exc_info=error)

    def info(self, name: str) -> ModelInfo | None:
        """What is known of a model without loading it: nothing before its first use."""
        encoder = self._ready.get(name)
        return None if encoder is None else encoder.info

    def _loaded(self, name: str) -> Encoder:
        try:
            return self._load(name)
        except ModelError as error:
            if isinstance(error, ModelNotPulled):
                what, remedy = (
                    f"the model {name!r} is not on this service's machine yet",
                    f"polyseme models pull {name}",
                )
            else:
                what, remedy = f"the model {name!r} cannot be loaded", "polyseme models verify, and this service's log"
            raise ModelUnavailable(what, remedy=f"whoever runs the service can use: {remedy}") from error


def info(encoders: Mapping[str, Encoder], name: str) -> ModelInfo | None:
    """What is known of a model without loading it, for `Encoders` and for a plain mapping of loaded ones."""
    return encoders.info(name) if isinstance(encoders, Lazy) else encoders[name].info
