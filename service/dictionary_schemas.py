"""What POST /v1/disambiguate takes; its answer is analysis.lexicon.disambiguate.Disambiguation."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from analysis.drivers.methods import BUDGET
from analysis.lexicon.disambiguate import THRESHOLD
from service.schemas import Budget, ModelName, Name, Request, Texts, Threshold


class DisambiguateRequest(Request):
    """Texts, and which of their words to look up: a word, the spans of a text, or every content word."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"texts": ["He sat on the bank of the river."], "target": "bank"}]}
    )

    texts: Texts
    target: Name | None = Field(
        default=None,
        description="the word to look up wherever it stands; null: the spans of the texts, and in a text without spans "
        "every word that the dictionary has, function words left out",
        examples=["bank"],
    )
    pos: Literal["n", "v", "a", "r"] | None = Field(
        default=None, description="noun, verb, adjective or adverb; any when null"
    )
    model: ModelName
    threshold: Threshold = Field(
        default=THRESHOLD, description="the least probability of the first sense; below it `sense` is null"
    )
    drivers: bool = Field(default=True, description="whether to find the words that drove the first sense")
    budget: Budget = BUDGET
