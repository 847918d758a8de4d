"""The real models, each loaded once for all golden tests."""

from __future__ import annotations

import pytest

from analysis.catalogue import ModelFolder, resolve
from analysis.model.encoder import TransformerEncoder, load
from service.settings import Settings


def folder(name: str) -> ModelFolder:
    return resolve(name, Settings().home)


@pytest.fixture(scope="session")
def minilm() -> TransformerEncoder:
    return load(folder("minilm"))


@pytest.fixture(scope="session")
def mpnet() -> TransformerEncoder:
    return load(folder("mpnet"))


@pytest.fixture(scope="session")
def smollm2() -> TransformerEncoder:
    return load(folder("smollm2"))


@pytest.fixture(scope="session", params=["minilm", pytest.param("smollm2", marks=pytest.mark.slow)])
def encoder(request: pytest.FixtureRequest) -> TransformerEncoder:
    loaded: TransformerEncoder = request.getfixturevalue(request.param)
    return loaded
