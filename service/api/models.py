"""What can be asked for."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter

from service.answers import Limits, ModelOut, ModelsOut
from service.api.services import Wired
from service.encoders import info
from service.problems import documented

router = APIRouter(prefix="/v1", tags=["models"])


@router.get("/models", responses=documented())
async def models(services: Wired) -> ModelsOut:
    """The models that requests may name, and what one request may hold. Loads nothing."""
    listed = []
    for name in services.encoders:
        known = info(services.encoders, name)
        facts = {} if known is None else asdict(known) | {"name": name}
        listed.append(
            ModelOut(**{"name": name, **facts}, default=name == services.settings.model, loaded=known is not None)
        )
    return ModelsOut(models=listed, limits=Limits.model_validate(services.settings))
