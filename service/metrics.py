"""What the operators see at GET /metrics (Prometheus). Labels are route templates, methods, statuses: no user text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily

from analysis.errors import PolysemeError

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
TOKENS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 65536)
# A client may write anything for a method; what is not in this list is "other" in labels and logs.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The figures of one app, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter("polyseme_requests", "Answers", ["route", "method", "status"], registry=self.registry)
        self._duration = Histogram(
            "polyseme_request_duration_seconds",
            "From the request's head to the end of the answer",
            ["route", "method"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._tokens = Histogram(
            "polyseme_batch_tokens", "Subwords in one call of the encoder", buckets=TOKENS, registry=self.registry
        )
        self._inference = Histogram(
            "polyseme_inference_duration_seconds", "One turn of the model", buckets=SECONDS, registry=self.registry
        )
        ProcessCollector(registry=self.registry)
        self._of: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}  # to find by labels takes longer

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """One more answer; `route` is a template such as /v1/analyses/{analysis_id}."""
        key = (route, method, status)
        if key not in self._of:
            self._of[key] = self._requests.labels(route, method, str(status)), self._duration.labels(route, method)
        requests, duration = self._of[key]
        requests.inc()
        duration.observe(seconds)

    def read(self, subwords: int) -> None:
        """One call of the encoder."""
        self._tokens.observe(subwords)

    def spent(self, seconds: float) -> None:
        """One turn of the model."""
        self._inference.observe(seconds)

    def watch(self, queue: Callable[[], int], jobs: Callable[[], Mapping[str, int]]) -> None:
        """Where to ask for what is counted elsewhere, at each scrape: requests that wait, and jobs by status."""
        self.registry.register(_Asked(queue, jobs))

    def text(self) -> bytes:
        """In Prometheus's text format."""
        return generate_latest(self.registry)


class _Asked:
    """Gauges that are asked for, not kept."""

    def __init__(self, queue: Callable[[], int], jobs: Callable[[], Mapping[str, int]]) -> None:
        self._queue, self._jobs = queue, jobs

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily("polyseme_queue_size", "Requests that wait for the model or have it", self._queue())
        jobs = GaugeMetricFamily("polyseme_jobs", "Jobs by status", labels=["status"])
        with suppress(PolysemeError):  # without the database the other figures are wanted all the more
            for status, count in self._jobs().items():
                jobs.add_metric([status], count)
        yield jobs

    def describe(self) -> list[GaugeMetricFamily]:
        return []  # so that registering asks for nothing yet
