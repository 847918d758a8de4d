"""schemathesis over the whole OpenAPI document: no 5xx, no undocumented status, and every answer as described.

300 cases here; `make fuzz` runs 3,000 with another seed each time (POLYSEME_FUZZ_CASES).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, given, settings

from service.app import create_app
from service.settings import Settings
from service.store import METADATA, Store
from tests.fake import FakeEncoder
from tests.measured import lesson_of

CASES = int(os.environ.get("POLYSEME_FUZZ_CASES", "300"))
STEPS = 6
EFFORT = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
    database=None,
    derandomize="POLYSEME_FUZZ_CASES" not in os.environ,
    verbosity=Verbosity.quiet,
)


def check(case: Any, response: Any) -> None:
    """Not by the checks that say which requests must succeed: whether texts use the target, no schema can tell."""
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_headers_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    checks = [
        not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_headers_conformance,
        response_schema_conformance,
    ]
    case.validate_response(response, checks=checks)


@pytest.fixture
def described() -> Iterator[Any]:
    """The app, as its document describes it; "default" answers are left out, so that each status must be named."""
    import schemathesis  # takes seconds, and only one process of the tests needs it
    from schemathesis.python import asgi

    encoders = {"fake": FakeEncoder(), "causal": FakeEncoder(causal=True)}
    app = create_app(Settings(model="fake", max_body_bytes=100_000), encoders=encoders, store=Store("sqlite://"))
    app.state.lesson = lesson_of(encoders)
    document = app.openapi()
    for path in document["paths"].values():
        for operation in path.values():
            del operation["responses"]["default"]
    patient = schemathesis.Config.from_dict({"request-timeout": 120})  # its own 10 s are little on a busy machine
    loaded = schemathesis.openapi.from_dict(document, config=patient)
    loaded.app = app
    yield loaded
    asgi.shutdown_lifespans()  # as its plugin for pytest would: else a worker of this app runs on beside later tests


def test_each_request_by_itself(described: Any) -> None:
    seen: Counter[tuple[str, int]] = Counter()

    @given(case=described.as_strategy())
    @settings(EFFORT, max_examples=CASES * 2 // 3)
    def ask(case: Any) -> None:
        response = case.call()
        seen[case.operation.label, response.status_code] += 1
        check(case, response)

    ask()
    assert seen.total() >= CASES // 2
    assert len({operation for operation, _ in seen}) >= 10
    assert any(status < 300 for _, status in seen)


def test_requests_that_use_what_others_made(described: Any) -> None:
    seen: Counter[tuple[str, int]] = Counter()

    class Workflow(described.as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            # Lists give what earlier runs left; what Hypothesis draws must depend on its own run alone.
            super().setup()
            with described.app.state.services.store.engine.begin() as connection:
                for table in reversed(METADATA.sorted_tables):
                    connection.execute(table.delete())

        def validate_response(self, response: Any, case: Any, **_: Any) -> None:
            seen[case.operation.label, response.status_code] += 1
            check(case, response)

    Workflow.run(settings=settings(EFFORT, max_examples=CASES // 3 // STEPS + 1, stateful_step_count=STEPS))
    assert seen.total() >= CASES // 6
    assert {operation.split()[0] for operation, _ in seen} >= {"GET", "POST"}
