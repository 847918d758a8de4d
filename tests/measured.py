"""The lesson, measured small and in this process: that each part has a process of its own takes seconds, and is tested
where it is the thing tested (tests/api/test_lesson.py)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from analysis.lesson import PartName
from analysis.measuring import measure
from analysis.types import Encoder
from service.lesson import Lesson, shown_model


def lesson_of(encoders: Mapping[str, Encoder]) -> Lesson:
    """For `app.state.lesson`."""
    return Lesson(partial(_measured, encoders))


def _measured(encoders: Mapping[str, Encoder], name: PartName) -> Any:
    from analysis.complexity import cost, flow

    timed = {"paths": flow.paths, "parallel": cost.parallel, "cost": cost.cost}
    return timed[name](quick=True) if name in timed else measure(name, partial(shown_model, encoders))
