"""The body of POST /v1/jobs: a request inline, or a file with the options beside it.

The body is streamed to disk while it arrives, however slowly; only when it is whole is it read. Nothing in it is ever
run; Parquet alone is unpacked, within limits; its name is used for its ending only.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, FormParser, parse_options_header
from starlette.requests import ClientDisconnect

from analysis import corpus
from analysis.errors import BadOption, LimitExceeded
from analysis.types import Document
from service import parquet
from service.api.services import Services
from service.database import StoreError
from service.jobs import BadUpload, UnknownMediaType, UploadTooSlow
from service.schemas import SensesRequest
from service.settings import Settings

JSON, MULTIPART = "application/json", "multipart/form-data"
ENDINGS = {
    "text/plain": ".txt",
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/x-ndjson": ".jsonl",
    "application/jsonl": ".jsonl",
    "application/vnd.apache.parquet": ".parquet",
}
OF_THE_FILE = ("text_field", "id_field")
MOST_PARTS = 50
NAME = "the file"


class Given(NamedTuple):
    """A file with the options beside it, all as text."""

    data: bytes
    ending: str
    options: dict[str, str]


async def read(request: Request, services: Services) -> SensesRequest:
    """What the request asks for.

    Raises UnknownMediaType, LimitExceeded and BadUpload; what `corpus.read_file` raises for a file; a
    RequestValidationError as for any other route.
    """
    kind, parameters = parse_options_header(request.headers.get("content-type"))
    media_type = kind.decode("latin-1").lower()
    if media_type not in (JSON, MULTIPART, *ENDINGS):
        known = ", ".join((JSON, MULTIPART, *ENDINGS))
        raise UnknownMediaType(f"the body is said to be {media_type or 'nothing'!r}", remedy=f"send {known}")
    settings, query = services.settings, dict(request.query_params)
    with await services.off_loop(_spool, settings.home / "uploads") as file:
        await _receive(request, services, file)
        return await services.off_loop(_parse, file, media_type, parameters.get(b"boundary"), query, settings)


def options() -> dict[str, Any]:
    """The JSON Schema of each option that may stand beside a file: the fields of a request but its texts."""
    fields = {name: schema for name, schema in _fields().items() if name != "texts"}
    text = {"type": "string", "maxLength": 200}
    about = {
        "text_field": text | {"default": "text", "description": "the field or column that holds the text"},
        "id_field": text | {"description": "the field or column that holds an id of the text"},
    }
    return fields | about


async def _receive(request: Request, services: Services, file: IO[bytes]) -> None:
    """The body into the file, as far as the limits allow."""
    most, seconds = services.settings.max_upload_bytes, services.settings.upload_seconds
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size > most:
                    raise LimitExceeded(f"the body has more than {most:,} bytes", remedy="send the texts in parts")
                await services.off_loop(_write, file, chunk)
    except TimeoutError as error:
        raise UploadTooSlow(f"the body took more than {seconds:g} s to arrive", remedy="send it faster") from error
    except ClientDisconnect as error:
        raise BadUpload("the body was cut short", remedy="send it again") from error


@cache
def _fields() -> dict[str, Any]:
    fields: dict[str, Any] = SensesRequest.model_json_schema(ref_template="#/components/schemas/{model}")["properties"]
    return fields


def _spool(folder: Path) -> IO[bytes]:
    """A file without a name: it is gone with the process, whatever ends it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=folder)
    except OSError as error:
        raise _no_room() from error


def _write(file: IO[bytes], chunk: bytes) -> None:
    try:
        file.write(chunk)
    except OSError as error:
        raise _no_room() from error


def _no_room() -> StoreError:
    return StoreError("the upload cannot be written", remedy="make room in POLYSEME_HOME, then try again")


def _parse(
    file: IO[bytes], media_type: str, boundary: bytes | None, query: dict[str, str], settings: Settings
) -> SensesRequest:
    file.seek(0)
    if media_type == JSON:
        return _validated(_json(file.read()))
    multipart = media_type == MULTIPART
    given = _form(file, boundary, query) if multipart else Given(file.read(), ENDINGS[media_type], query)
    unknown = given.options.keys() - options().keys()
    if unknown:
        name = min(unknown)
        raise BadOption(f"there is no option {name!r}", remedy=f"choose from {', '.join(options())}", where=(name,))
    text_field, id_field = given.options.get("text_field", "text"), given.options.get("id_field")
    data, ending = given.data, given.ending
    if ending == ".parquet":
        fields = {text_field} if id_field is None else {text_field, id_field}
        most_rows, most_bytes = settings.max_job_texts, settings.max_upload_bytes
        data, ending = parquet.json_lines(data, fields, most_rows=most_rows, most_bytes=most_bytes), ".jsonl"
    documents = corpus.read_bytes(data, ending, name=NAME, text_field=text_field, id_field=id_field)
    if len(documents) > settings.max_job_texts:  # before each is checked
        what = f"there are {len(documents):,} texts; the limit is {settings.max_job_texts:,}"
        raise LimitExceeded(what, remedy="send them in parts", where=("texts",))
    asked = {name: _value(name, text) for name, text in given.options.items() if name not in OF_THE_FILE}
    return _validated(asked | {"texts": [_text(document) for document in documents]})


def _json(data: bytes) -> Any:
    if not data:
        raise BadUpload("the body is empty", remedy="send one JSON object")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadUpload("the body cannot be read as JSON", remedy="send one JSON object in UTF-8") from error


def _form(file: IO[bytes], boundary: bytes | None, query: Mapping[str, str]) -> Given:
    fields, files = dict(query), list[File]()

    def keep_field(field: Field) -> None:
        if len(fields) >= MOST_PARTS:
            raise FormParserError("there are far too many fields")
        fields[(field.field_name or b"").decode()] = (field.value or b"").decode()

    def keep_file(found: File) -> None:
        if files:
            raise FormParserError("there is more than one file")
        files.append(found)

    try:
        parser = FormParser(
            MULTIPART, keep_field, keep_file, boundary=boundary, config={"MAX_MEMORY_FILE_SIZE": float("inf")}
        )
        while chunk := file.read(1 << 16):
            parser.write(chunk)
        parser.finalize()
    except (FormParserError, ValueError, AssertionError) as error:
        what = f"the body is not a form with a file: {error}" if isinstance(error, FormParserError) else None
        raise BadUpload(what or "the body is not a form with a file", remedy="send multipart/form-data") from error
    if not files:
        raise BadUpload("the form has no file", remedy="send the texts as its part `file`")
    with files[0].file_object as stream:
        stream.seek(0)
        data = stream.read()
    name = (files[0].file_name or b"").decode("utf-8", "replace")
    kind, _ = parse_options_header(files[0].content_type)
    ending = PurePosixPath(name).suffix.lower() or ENDINGS.get(kind.decode("latin-1").lower(), "")
    return Given(data, ending, fields)


def _value(name: str, text: str) -> object:
    """A query and a form say everything as text; what the field's schema does not call a string is read as JSON."""
    schema = _fields()[name]
    kinds = {choice.get("type") for choice in (schema, *schema.get("anyOf", ()))}
    if "string" in kinds or "enum" in schema:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text  # which pydantic then refuses, with the field's name


def _text(document: Document) -> dict[str, Any]:
    return {"text": document.text, "id": document.id, "spans": [(span.start, span.end) for span in document.spans]}


def _validated(asked: Any) -> SensesRequest:
    try:
        return SensesRequest.model_validate(asked)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in faults], body=asked) from error
