"""Logs as JSON, a line an event, on standard error. No text of a user is ever in them.

An exception's message may quote what somebody sent; so a message is shown only of errors that this project words
itself and of the operating system's. Of others there are the kind, and where in the code it was.
"""

from __future__ import annotations

import logging
import sys
import traceback
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TextIO

import structlog
from pydantic_core import to_json
from structlog.typing import EventDict, Processor, WrappedLogger

from analysis.errors import InputError, PolysemeError

MOST_CAUSES = 5
REQUEST: ContextVar[str | None] = ContextVar("request", default=None)  # the id of the request at hand


def configure(stream: TextIO = sys.stderr, level: int = logging.INFO) -> None:
    """Everything that is logged in this process, by whatever library, in one form."""
    shared: list[Processor] = [
        _of_request,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        told_safely,
    ]
    as_json = structlog.processors.JSONRenderer(serializer=_json)
    # Each request has a line: by way of the standard library's logging it would take three times as long.
    structlog.configure(
        processors=[_named, *shared, as_json],
        logger_factory=structlog.WriteLoggerFactory(stream),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, as_json],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(True)


def _json(event: EventDict, **_: Any) -> str:
    return to_json(event, fallback=repr).decode()


def _named(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    event["logger"] = "polyseme"
    return event


def _of_request(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    request = REQUEST.get()
    if request is not None:
        event["request_id"] = request
    return event


def told_safely(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """`exc_info` as kinds and places; see the top of this module."""
    error = event.pop("exc_info", None)
    if isinstance(error, tuple):
        error = error[1]
    elif error is True:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        event["error"] = _chain(error)
    record = event.get("_record")
    if record is not None:  # a foreign record's own copy of it, which its formatter would print
        record.exc_info = record.exc_text = None
    return event


def _chain(error: BaseException | None) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    while error is not None and len(told) < MOST_CAUSES:
        one: dict[str, Any] = {"kind": type(error).__name__}
        own = isinstance(error, PolysemeError) and not isinstance(error, InputError)
        if own or isinstance(error, OSError | ImportError):
            one["what"] = str(error)
        frames = traceback.extract_tb(error.__traceback__)
        one["at"] = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
        told.append(one)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return told
