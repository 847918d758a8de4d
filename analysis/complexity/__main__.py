"""`python -m analysis.complexity PART SEED full|quick`: one measurement as JSON, on one thread, in its own process."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import torch

from analysis.complexity import cost, flow

TIMED: Mapping[str, Callable[..., Any]] = {"paths": flow.paths, "parallel": cost.parallel, "cost": cost.cost}


def main(part: str, seed: str, size: str) -> None:
    torch.set_num_threads(1)
    print(json.dumps(asdict(TIMED[part](quick=size == "quick", seed=int(seed)))))


main(*sys.argv[1:])
