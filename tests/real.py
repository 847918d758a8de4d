"""The real models for tests, each loaded once a process, however many modules ask."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from analysis.catalogue import ModelFolder, resolve
from service.settings import Settings

if TYPE_CHECKING:
    from analysis.model.encoder import TransformerEncoder


def folder(name: str) -> ModelFolder:
    """Where the model was pulled to."""
    return resolve(name, Settings().home)


@cache
def real(name: str) -> TransformerEncoder:
    """The model, loaded."""
    from analysis.model.encoder import load

    return load(folder(name))
