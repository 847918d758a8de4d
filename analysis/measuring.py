"""Measures a part of the lesson. Importing this does not import torch."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from typing import Any, assert_never

from pydantic import TypeAdapter

from analysis.errors import PolysemeError
from analysis.exercise import Exercise, exercise
from analysis.lesson import Cost, Heads, Parallel, Part, PartName, Paths

LONGEST = 180  # seconds; a machine with nothing else to do takes five
TIMED: dict[str, TypeAdapter[Any]] = {
    "paths": TypeAdapter(Paths),
    "parallel": TypeAdapter(Parallel),
    "cost": TypeAdapter(Cost),
}
log = logging.getLogger(__name__)


class MeasurementFailed(PolysemeError):
    """The process that measures broke off, or took too long."""


def measure(name: PartName, model: Callable[[], Heads], *, quick: bool = False, seed: int = 0) -> Part | Exercise:
    """The part of that name; `model` is called where a model's sentence is shown. `quick`: small sizes, few repeats.

    Takes seconds where times are measured: those have a process of their own, since the number of PyTorch's threads
    is the whole process's, and since what else this one does would be measured too. Raises MeasurementFailed.
    """
    match name:
        case "paths" | "parallel" | "cost":
            return _apart(name, quick=quick, seed=seed)
        case "variants":
            from analysis.complexity.examples import variants

            return variants(model())
        case "masking":
            from analysis.complexity.examples import masking

            return masking(seed=seed)
        case "cross":
            from analysis.complexity.examples import cross

            return cross()
        case "exercise":
            return exercise()
        case _:
            assert_never(name)


def _apart(name: str, *, quick: bool, seed: int) -> Part:
    command = [sys.executable, "-m", "analysis.complexity", name, str(seed), "quick" if quick else "full"]
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=LONGEST)
    except subprocess.TimeoutExpired as error:
        raise MeasurementFailed(
            f"measuring {name!r} took more than {LONGEST} s", remedy="try again when the machine is less busy"
        ) from error
    except subprocess.CalledProcessError as error:
        log.error(
            "measuring %s ended with %s: %s", name, error.returncode, error.stderr.decode(errors="replace")[-2000:]
        )
        raise MeasurementFailed(f"measuring {name!r} broke off", remedy="see the log for the cause") from error
    measured: Part = TIMED[name].validate_json(done.stdout)
    return measured
