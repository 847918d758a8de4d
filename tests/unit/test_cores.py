"""How many threads torch uses for whom."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread

import pytest
import torch

from analysis.model.cores import let_go, share


def test_a_thread_may_use_a_part_of_the_cores_and_the_others_all() -> None:
    every = torch.get_num_threads()
    torch.set_num_threads(4)
    found: list[int] = []

    def run() -> None:
        share(2)
        found.append(torch.get_num_threads())

    try:
        for work in (run, lambda: found.append(torch.get_num_threads())):
            thread = Thread(target=work)
            thread.start()
            thread.join()
        assert found == [2, 4]
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(every)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted as Linux lists them")
def test_helpers_are_let_go_and_come_back() -> None:
    every = torch.get_num_threads()
    rows = torch.arange(1_000_000, dtype=torch.float32)

    def summed(after: bool) -> tuple[float, set[str]]:
        torch.set_num_threads(2)
        found = float((rows / 1e6).exp().sum())
        if after:
            let_go()
        return found, {task.name for task in Path("/proc/self/task").iterdir()}

    try:
        with ThreadPoolExecutor(1) as one:
            (first, busy), (second, calm), (third, again) = (
                one.submit(summed, after).result() for after in (False, True, False)
            )
    finally:
        torch.set_num_threads(every)
    assert first == second == third
    # Other tests' threads may end meanwhile, but none begins: those that come back are this one's.
    assert busy - calm
    assert len(again - calm) == 1
