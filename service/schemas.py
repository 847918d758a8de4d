"""What requests look like (answers are in `service/answers.py`).

Offsets are half-open code points. What one request may hold in all is in the settings, and in GET /v1/models.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from analysis.assemble import DriverForm, Options
from analysis.drivers import methods
from analysis.drivers.faithfulness import FRACTIONS
from analysis.text import Match
from service.settings import MOST_TEXTS

SENTENCES: list[JsonValue] = [
    "I went to the bank to deposit money.",
    "The bank lent us the money for the house.",
    "I sat by the bank watching the river.",
    "The river rose over its banks.",
]
LARGEST_SEED = 2**32 - 1
MOST_FIELDS = 50
SURROGATE = re.compile("[\ud800-\udfff]")


def _whole(text: str) -> str:
    # A JSON escape such as "\ud800" is half of a pair; it stands for no character, and UTF-8 has no form for it.
    if SURROGATE.search(text):
        raise PydanticCustomError(
            "surrogate", "half of a surrogate pair is not a character", {"remedy": "write the whole character"}
        )
    return text


def _one_line(name: str) -> str:
    # Names are kept in columns of the database, and PostgreSQL's text cannot hold NUL.
    if "\0" in name:
        raise PydanticCustomError("nul", "there is a NUL character in it", {"remedy": "leave it out"})
    return name


def _distinct(indices: list[int]) -> list[int]:
    if len(set(indices)) < len(indices):
        raise PydanticCustomError("twice", "a number stands twice in the list", {"remedy": "give each once"})
    return indices


def _as_object(text: object) -> object:
    return {"text": text} if isinstance(text, str) else text


Text = Annotated[str, AfterValidator(_whole)]
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_whole), AfterValidator(_one_line)]
Count = Annotated[int, Field(strict=True, ge=1)]
Offset = Annotated[int, Field(strict=True, ge=0)]
Indices = Annotated[
    list[Offset],
    Field(fail_fast=True, min_length=1, json_schema_extra={"uniqueItems": True}),
    AfterValidator(_distinct),
]


class Request(BaseModel):
    """An unknown field is refused: a misspelt option would otherwise be lost in silence."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _few(cls, fields: object) -> object:
        # To list each of a hundred thousand unknown fields would hold up the event loop.
        if isinstance(fields, dict) and len(fields) > MOST_FIELDS:
            remedy = {"remedy": "leave out what /docs does not list"}
            raise PydanticCustomError("too_many_fields", "there are far too many fields", remedy)
        return fields


class TextIn(Request):
    """A text with an id of the caller's own, or with the target's places in it."""

    text: Text = Field(json_schema_extra={"minLength": 1})
    id: Name | None = Field(
        default=None, description="shown as `source_id`; its number in the list, from 1, when left out"
    )
    spans: Annotated[list[tuple[Offset, Offset]], Field(fail_fast=True)] | None = Field(
        default=None, description="the target's places: half-open code points; found when left out or empty"
    )


Texts = Annotated[
    list[Annotated[TextIn, BeforeValidator(_as_object, json_schema_input_type=str | TextIn)]],
    Field(
        fail_fast=True,
        max_length=MOST_TEXTS,
        description="each a string, or an object with an id or spans",
        examples=[SENTENCES],
        json_schema_extra={"minItems": 1},
    ),
]
ModelName = Annotated[
    Name | None,
    Field(default=None, description="a name of GET /v1/models; the default model when null", examples=["mpnet"]),
]


class TargetRequest(Request):
    """A word, and texts that use it."""

    target: Name = Field(description="the ambiguous word, or several words", examples=["bank"])
    texts: Texts
    model: ModelName
    match: Match = Field(default="lemma", description='"lemma": bank also finds Banks; "exact": this form only')
    language: Name = Field(default="en", description="the language of the lemmas, as a two-letter code")


class GroupedRequest(TargetRequest):
    """Usages to group into senses."""

    n_senses: Count | None = Field(default=None, description="how many senses; from the data when null")
    seed: Annotated[Offset, Field(le=LARGEST_SEED)] = Field(default=0, description="the same seed, the same answer")


DriverMethod = Annotated[
    Name, Field(description=f"one of {', '.join(methods.NAMES)}; none", examples=["occlusion", "attention:11:0"])
]
Budget = Annotated[Count, Field(le=64, description="passes a usage that the default method may spend on trying words")]
Threshold = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class SensesRequest(GroupedRequest):
    """The main job: senses, and what drove each."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"target": "bank", "texts": SENTENCES}]})

    threshold: Threshold = Field(default=0.0, description="the least confidence; below it a usage has no sense")
    drivers: DriverMethod = methods.DEFAULT
    budget: Budget = methods.BUDGET
    explained: Annotated[Count, Field(le=1000)] = Field(
        default=100, description="most usages explained, a seeded sample where there are more"
    )
    faithfulness: Annotated[Offset, Field(le=1000)] = Field(
        default=20, description="of these, most usages whose drivers are tested against random words; 0 for none"
    )
    fractions: Annotated[list[float], Field(min_length=1, max_length=20)] = Field(
        default=list(FRACTIONS), description="of a usage's words, each above 0 and up to 1, that the test takes away"
    )
    driver_form: DriverForm = Field(default="surface", description="what counts as the same word in a sense's drivers")
    attention: bool = Field(default=False, description="keep the attention of each sense's exemplars, for charts")

    def options(self) -> Options:
        """What was chosen, in the terms of the library."""
        return Options(
            match=self.match,
            language=self.language,
            n_senses=self.n_senses,
            threshold=self.threshold,
            drivers=self.drivers,
            budget=self.budget,
            explained=self.explained,
            faithfulness=self.faithfulness,
            fractions=tuple(self.fractions),
            driver_form=self.driver_form,
            attention=self.attention,
            seed=self.seed,
        )


class LabelledTextIn(TextIn):
    """A text, which may say which sense the target has in it."""

    label: Name | None = Field(default=None, description="the name of the sense; given for all texts, or for none")


LabelledTexts = Annotated[
    list[Annotated[LabelledTextIn, BeforeValidator(_as_object, json_schema_input_type=str | LabelledTextIn)]],
    Field(
        fail_fast=True,
        max_length=MOST_TEXTS,
        description="each a string, or an object with a label, an id or spans",
        examples=[SENTENCES],
        json_schema_extra={"minItems": 1},
    ),
]


class SenseModelRequest(SensesRequest):
    """Senses to keep: found in the texts as POST /v1/senses does, or learnt from their labels where they have some."""

    texts: LabelledTexts  # type: ignore[assignment]

    @property
    def labelled(self) -> bool:
        return any(text.label is not None for text in self.texts)


class AssignRequest(Request):
    """Texts whose usages to put into the senses of a sense model."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"texts": ["The bank raised its rates.", "We fished from the bank."]}]}
    )

    texts: Texts
    threshold: Threshold = Field(default=0.0, description="the least probability; below it a usage has no sense")
    match: Match | None = Field(default=None, description="as the sense model was made, when null")
    language: Name | None = Field(default=None, description="as the sense model was made, when null")


class AttributionsRequest(Request):
    """One text whose uses of a sense model's target are to be explained."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"sense_model": "0123456789abcdef0123", "text": "We fished from the bank."}]}
    )

    sense_model: Name = Field(description="the `id` of a sense model")
    text: Annotated[TextIn, BeforeValidator(_as_object, json_schema_input_type=str | TextIn)] = Field(
        description="a string, or an object with an id or spans", examples=["We fished from the bank."]
    )
    drivers: DriverMethod = methods.DEFAULT
    budget: Budget = methods.BUDGET
    threshold: Threshold = Field(default=0.0, description="the least probability; below it a usage has no sense")
    match: Match | None = Field(default=None, description="as the sense model was made, when null")
    language: Name | None = Field(default=None, description="as the sense model was made, when null")


class RenameRequest(Request):
    """Another label for a sense."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"sense": "s0", "label": "river bank"}]})

    sense: Text = Field(description="the id of a sense")
    label: Text = Field(description="a readable name")


class MergeRequest(Request):
    """Senses to make one of."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"senses": ["s0", "s1"]}]})

    senses: Annotated[list[Text], Field(fail_fast=True, max_length=1000)] = Field(
        description="the ids of two senses or more"
    )


class SplitRequest(Request):
    """A sense to make several of."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"sense": "s0", "n_senses": 2}]})

    sense: Text = Field(description="the id of a sense")
    n_senses: Count = Field(default=2, description="how many to make of it")


class CompareRequest(GroupedRequest):
    """The one static vector against the contextual ones."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"target": "bank", "texts": SENTENCES, "pairs": 6}]})

    pairs: Annotated[Count, Field(le=10_000)] = Field(
        default=200, description="most pairs of usages listed, a seeded sample where there are more"
    )

    def options(self) -> Options:
        """What was chosen, in the terms of the library."""
        return Options(
            match=self.match,
            language=self.language,
            n_senses=self.n_senses,
            drivers="none",
            pairs=self.pairs,
            seed=self.seed,
        )


class EmbeddingsRequest(TargetRequest):
    """The target's contextual vectors."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"target": "bank", "texts": SENTENCES[:2], "layers": [0, 12]}]}
    )

    layers: Indices | None = Field(
        default=None, description="hidden states: 0 is the input, the number of layers is the last, the default"
    )


class AttentionRequest(Request):
    """One text to read."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"text": "The bank by the river", "layers": [0, 11], "heads": [0]}]}
    )

    text: Text = Field(json_schema_extra={"minLength": 1}, examples=["The bank by the river"])
    model: ModelName
    layers: Indices | None = Field(default=None, description="counted from 0; all when null")
    heads: Indices | None = Field(default=None, description="counted from 0; all when null")
    unit: Literal["word", "subword"] = Field(
        default="word", description="words: the sum over key pieces, the mean over query pieces"
    )
