"""The real models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.real import real

if TYPE_CHECKING:
    from analysis.model.encoder import TransformerEncoder


@pytest.fixture(scope="session")
def minilm() -> TransformerEncoder:
    return real("minilm")


@pytest.fixture(scope="session")
def mpnet() -> TransformerEncoder:
    return real("mpnet")


@pytest.fixture(scope="session")
def smollm2() -> TransformerEncoder:
    return real("smollm2")


@pytest.fixture(scope="session", params=["minilm", pytest.param("smollm2", marks=pytest.mark.slow)])
def encoder(request: pytest.FixtureRequest) -> TransformerEncoder:
    loaded: TransformerEncoder = request.getfixturevalue(request.param)
    return loaded
