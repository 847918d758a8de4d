"""What answers look like. An Analysis describes itself: `analysis/record.py` is its schema."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from analysis.record import Notice, Verdict
from analysis.saved import Description


class UnitOut(BaseModel):
    """A word or subword: `text[start:end]`. A special token has its own name as text, and an empty span."""

    text: str
    start: int
    end: int
    special: bool


class AttentionOut(BaseModel):
    """Self-attention by unit."""

    text: str
    model: str
    unit: Literal["word", "subword"]
    causal: bool = Field(description="no unit attends to what comes after it: those weights are 0")
    layers: list[int]
    heads: list[int]
    units: list[UnitOut]
    weights: list[list[list[list[float]]]] = Field(
        description="(layers, heads, units, units), to 6 digits; weights[l][h][q][k]: how much q attends to k; "
        "each row sums to 1"
    )


class UsageVectors(BaseModel):
    """One use of the target, `text[start:end]`, and its vector at each layer asked for."""

    id: str
    source_id: str
    text: str
    start: int
    end: int
    vectors: list[list[float]] = Field(description="(layers, width), to 6 digits")


class FormVector(BaseModel):
    """The row of the embedding table for a surface form, the mean over its subwords: no context, no position."""

    form: str
    vector: list[float] = Field(description="(width), to 6 digits")


class EmbeddingsOut(BaseModel):
    """The target's vectors in context, and its static ones."""

    target: str
    model: str
    layers: list[int]
    width: int
    usages: list[UsageVectors]
    static: list[FormVector] = Field(description="the forms that occur, the most frequent first")
    warnings: list[Notice]


@dataclass(frozen=True)
class MadeOut(Description):
    """A new sense model, and what there is to say about the texts."""

    warnings: tuple[Notice, ...] = ()


class SenseOut(BaseModel):
    """A sense in a list of sense models."""

    id: str
    label: str
    size: int


class SenseModelOut(BaseModel):
    """A sense model in a list."""

    id: str
    parent: str | None = Field(description="the sense model that it was made of by an edit")
    edit: str
    target: str
    model: str
    usages: int
    senses: list[SenseOut]


Next = Annotated[str | None, Field(default=None, description="the `cursor` of what comes after; null at the end")]


class SenseModelsOut(BaseModel):
    """The sense models that are kept, the newest first."""

    sense_models: list[SenseModelOut]
    next: Next


class AnalysisOut(BaseModel):
    """An analysis in a list."""

    id: str
    target: str
    model: str
    verdict: Verdict
    created: datetime
    usages: int
    senses: int


class AnalysesOut(BaseModel):
    """The analyses that are kept, the newest first."""

    analyses: list[AnalysisOut]
    next: Next


class ModelOut(BaseModel):
    """A model that requests may name. What it can do is known once it is loaded, at its first use."""

    name: str
    default: bool
    loaded: bool
    source: str | None = None
    revision: str | None = None
    digest: str | None = Field(default=None, description="SHA-256 of the weights")
    layers: int | None = Field(default=None, description="attention layers; hidden states are 0 to this number")
    heads: int | None = None
    width: int | None = None
    window: int | None = Field(default=None, description="most subwords read at once")
    causal: bool | None = None


class Limits(BaseModel):
    """What one request may hold."""

    model_config = ConfigDict(from_attributes=True)

    max_body_bytes: int
    max_texts: int
    max_characters: int
    max_usages: int
    max_vector_values: int
    max_attention_cells: int
    max_upload_bytes: int
    max_job_texts: int
    max_job_usages: int


class ModelsOut(BaseModel):
    """What can be asked for."""

    models: list[ModelOut]
    limits: Limits


class Status(BaseModel):
    """The service answers."""

    status: Literal["alive", "ready"]
