"""The real models for tests, each loaded once a process, however many modules ask."""

from __future__ import annotations

from functools import cache

from analysis.catalogue import ModelFolder, resolve
from analysis.model.encoder import TransformerEncoder, load  # here, as a test may put `real` in its place there
from service.settings import Settings


def folder(name: str) -> ModelFolder:
    """Where the model was pulled to."""
    return resolve(name, Settings().home)


@cache
def real(name: str) -> TransformerEncoder:
    """The model, loaded."""
    return load(folder(name))
