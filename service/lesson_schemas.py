"""What the lesson's routes take and give beyond its parts, which describe themselves: analysis/lesson.py."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from analysis.exercise import LONGEST
from analysis.lesson import PartName
from service.schemas import Request, Text


class PartListed(BaseModel):
    """A part of the lesson."""

    part: PartName = Field(description="its name in /v1/lesson/{part}", examples=["cost"])
    title: str = Field(examples=["What it costs: n² numbers"])
    measured: bool = Field(description="whether it can be had at once; else it is measured when it is asked for")


class LessonOut(BaseModel):
    """The lesson's parts in their order."""

    parts: list[PartListed]


class AnswerRequest(Request):
    """An answer to the exercise."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"answer": "The path between two words is one step, so gradients do not vanish."}]
        }
    )

    answer: Text = Field(
        description=f"the letter of a choice, or an answer in your own words of at most {LONGEST} characters",
        json_schema_extra={"minLength": 1},
    )
