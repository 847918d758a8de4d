"""The lesson on self-attention, measured here: each part at its first asking, then kept for the service's life."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from analysis.exercise import Exercise, Feedback, feedback
from analysis.lesson import PARTS, TITLES, Cost, Cross, Masking, Parallel, Paths, Variants
from service.lesson import Lesson
from service.lesson_schemas import AnswerRequest, LessonOut, PartListed
from service.problems import documented

router = APIRouter(prefix="/v1/lesson", tags=["lesson"])


def _lesson(request: Request) -> Lesson:
    lesson: Lesson = request.app.state.lesson
    return lesson


Kept = Annotated[Lesson, Depends(_lesson)]


@router.get("", responses=documented())
async def lesson(kept: Kept) -> LessonOut:
    """The parts of the lesson. Measures nothing."""
    return LessonOut(parts=[PartListed(part=name, title=TITLES[name], measured=kept.measured(name)) for name in PARTS])


@router.get("/paths", responses=documented())
async def paths(kept: Kept) -> Paths:
    """How much of the gradient reaches a far word through a recurrent network and through attention.

    Takes seconds the first time, as the other measured parts do.
    """
    found: Paths = await kept.part("paths")
    return found


@router.get("/parallel", responses=documented())
async def parallel(kept: Kept) -> Parallel:
    """The time of a recurrent layer and of attention as the text grows, all words at once or one after the other."""
    found: Parallel = await kept.part("parallel")
    return found


@router.get("/cost", responses=documented())
async def cost(kept: Kept) -> Cost:
    """Time and memory of dense, sliding-window and linear attention, and the exponents with which they grow."""
    found: Cost = await kept.part("cost")
    return found


@router.get("/variants", responses=documented(404, 503))
async def variants(kept: Kept) -> Variants:
    """The three kinds of attention on one sentence, over a real model's queries and keys: what each gives up."""
    found: Variants = await kept.part("variants")
    return found


@router.get("/masking", responses=documented())
async def masking(kept: Kept) -> Masking:
    """What a later word changes before itself, with a causal mask and without one: a toy layer."""
    found: Masking = await kept.part("masking")
    return found


@router.get("/cross", responses=documented())
async def cross(kept: Kept) -> Cross:
    """Self- and cross-attention as a worked example, every step in numbers that can be checked by hand."""
    found: Cross = await kept.part("cross")
    return found


@router.get("/exercise", responses=documented())
async def exercise(kept: Kept) -> Exercise:
    """The exercise: its question, a hint, and answers to choose."""
    found: Exercise = await kept.part("exercise")
    return found


@router.post("/exercise", responses=documented(400, 413, 415, 422))
async def answer(request: AnswerRequest) -> Feedback:
    """Feedback on an answer: a letter, or your own words, which are searched for ideas and not understood."""
    return feedback(request.answer)
