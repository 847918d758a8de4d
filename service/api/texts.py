"""From a request's texts to occurrences of its target, within the service's limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from analysis import corpus, text
from analysis.errors import BadSpan, InputError, LimitExceeded, Place
from analysis.types import Document, Span
from service.schemas import TargetRequest, TextIn
from service.settings import Settings


def read(request: TargetRequest, settings: Settings) -> tuple[list[Document], text.Found]:
    """The request's documents, and where the target is in them.

    Raises LimitExceeded for too many texts or uses of the target, or a text too long; BadText, BadSpan, TargetNotFound.
    """
    documents = to_documents(request.texts, settings)
    return documents, find(documents, request.target, request.match, request.language, settings)


def find(
    documents: Sequence[Document], target: str, match: text.Match, language: str, settings: Settings
) -> text.Found:
    """Where the target is in the documents. Raises LimitExceeded for too many uses of it; TargetNotFound."""
    found = text.find(documents, target, match=match, language=language)
    if len(found.occurrences) > settings.max_usages:
        raise LimitExceeded(
            f"the texts use {target!r} {len(found.occurrences):,} times; the limit is {settings.max_usages:,}",
            remedy="send fewer texts at a time",
            where=("texts",),
        )
    return found


def to_documents(texts: Sequence[TextIn], settings: Settings) -> list[Document]:
    """The texts with their ids and spans. Raises LimitExceeded, BadText, BadSpan, each with its place."""
    if len(texts) > settings.max_texts:
        raise LimitExceeded(
            f"there are {len(texts):,} texts; the limit is {settings.max_texts:,}",
            remedy="send them in parts",
            where=("texts",),
        )
    for i, given in enumerate(texts):
        check_length(given.text, settings, ("texts", i))
    read = corpus.documents([given.text for given in texts])
    return [
        replace(document, id=given.id or document.id, spans=_spans(given, i))
        for i, (document, given) in enumerate(zip(read, texts, strict=True))
    ]


@contextmanager
def placing(documents: Sequence[Document]) -> Iterator[None]:
    """Errors that name a text by its id come out with its place in the request."""
    try:
        yield
    except InputError as error:
        if error.where[:1] == ("source",):
            ids = [document.id for document in documents]
            error.where = ("texts", ids.index(str(error.where[1])))
        raise


def check_length(given: str, settings: Settings, where: Place) -> None:
    """Raises LimitExceeded for a text of more code points than the limit."""
    if len(given) > settings.max_characters:
        raise LimitExceeded(
            f"the text has {len(given):,} characters; the limit is {settings.max_characters:,}",
            remedy="send the part around the target; more than the model's window is not read anyway",
            where=where,
        )


def _spans(given: TextIn, i: int) -> tuple[Span, ...]:
    for j, (start, end) in enumerate(given.spans or ()):
        if not start < end <= len(given.text):
            raise BadSpan(
                f"the span {start}:{end} is not inside text {i + 1}, which has {len(given.text)} characters",
                remedy="give 0 <= start < end <= length, in code points, end excluded",
                where=("texts", i, "spans", j),
            )
    return tuple(Span(start, end) for start, end in given.spans or ())
