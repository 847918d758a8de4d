"""What a job tells of its progress while a worker runs it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from analysis.drivers import faithfulness, methods
from analysis.types import Progress
from service.database import StoreError
from service.job_rows import JobRows
from service.schemas import SensesRequest

SELDOM = 0.1  # seconds between two tellings of a step
log = logging.getLogger(__name__)


class Abandoned(BaseException):
    """The worker lets go of the job without an outcome. Not an Exception: DBOS would record one as the outcome."""


class Told:
    """Readings done and to do, and how many a second were read anew, told to the job's row after each part.

    Raises Abandoned where the job is not the worker's any more; a database that does not answer holds nothing up.
    """

    def __init__(self, rows: JobRows, job_id: str, worker: str, request: SensesRequest, shown: int) -> None:
        self._rows, self._job_id, self._worker = rows, job_id, worker
        self._request = request
        self._shown = shown  # what was told before: parts that are handed back do not count from 0 again
        self._done = self._announced = self._expected = 0
        self._fresh, self._spent, self._worked = 0, 0.0, False
        self._told = 0.0

    @contextmanager
    def working(self) -> Iterator[None]:
        """Around the work of a part that is done anew."""
        begun = time.monotonic()
        yield
        self._spent += time.monotonic() - begun
        self._worked = True

    def watch(self, step: str, total: int) -> Progress:
        """A `Watch` (analysis/pipeline.py)."""
        if not self._expected:  # the first step reads every usage
            self._expected = total + _later(self._request, total)
        self._announced += total
        self._tell(step)

        def progress(done: int) -> None:
            self._done += done
            if self._worked:
                self._fresh += done
                self._worked = False
            if time.monotonic() - self._told > SELDOM:
                self._tell(step)

        return progress

    def _tell(self, step: str) -> None:
        self._told = time.monotonic()
        self._shown = max(self._shown, self._done)
        total = max(self._expected, self._announced, self._shown)
        rate = self._fresh / self._spent if self._fresh and self._spent else None
        try:
            told = self._rows.progress(self._job_id, self._worker, step=step, done=self._shown, total=total, rate=rate)
        except StoreError:
            log.warning("the progress of the job %s could not be told", self._job_id)
            return
        if not told:
            raise Abandoned


def _later(request: SensesRequest, n_usages: int) -> int:
    """How many passes come after the first reading, as far as the request tells: with several senses, by default."""
    if request.drivers != methods.DEFAULT:
        return 0
    explained = min(n_usages, request.explained)
    tested = min(explained, request.faithfulness)
    return explained * (3 + request.budget) + tested * 8 * len(faithfulness.FRACTIONS)
