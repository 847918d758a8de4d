"""`polyseme serve` and `polyseme key`. What keeps the service from starting is one line, before anything listens."""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from analysis.errors import BadOption
from service.cli.common import settings

if TYPE_CHECKING:
    from service.settings import Settings


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
) -> None:
    """The REST service; its documentation is at /docs. Settings come from the environment (see the README)."""
    chosen = settings()
    _check_keys(host, chosen)
    _check_home(chosen)
    _check_model(chosen)

    import uvicorn

    from service import logs, wire
    from service.app import build

    app = build(chosen)
    with _listening(host, port) as bound:
        logs.configure()
        print(f"polyseme: http://{host}:{port}/ (the API: /docs)", flush=True)
        # The model's thread lets go of the interpreter for each operation of torch. At Python's own 5 ms it would wait
        # as long to have it back while answers are written; well below 1 ms, both lose time in handing it over.
        sys.setswitchinterval(0.001)
        uvicorn.Server(wire.config(app, chosen)).run(sockets=[bound])


def key(name: Annotated[str, typer.Argument(help="Whose key it is: letters, digits, dots and dashes.")]) -> None:
    """Make an API key. It is shown once; the service is told only its hash."""
    import re

    from service import keys

    made, kept = keys.make(name)
    if not re.fullmatch(keys.FORM, kept):
        raise BadOption(
            f"{name!r} cannot be the name of a key", remedy="use up to 64 letters, digits, '.', '_' and '-'"
        )
    print(f"key, for {name} alone:  {made}")
    print(f"for the service:  POLYSEME_API_KEYS='[\"{kept}\"]'")


def _check_keys(host: str, chosen: Settings) -> None:
    from service.keys import is_loopback

    if not (chosen.api_keys or chosen.allow_no_keys or is_loopback(host)):
        raise BadOption(
            f"other machines reach {host}, and no API keys are set",
            remedy="make one with `polyseme key NAME`, or set POLYSEME_ALLOW_NO_KEYS=true to let anybody in",
        )


def _check_home(chosen: Settings) -> None:
    try:
        chosen.home.mkdir(parents=True, exist_ok=True)
        writable = os.access(chosen.home, os.W_OK | os.X_OK)
    except OSError:
        writable = False
    if not writable:
        raise BadOption(
            f"the data folder {chosen.home} cannot be written", remedy="mend its rights, or name another: POLYSEME_HOME"
        )


def _check_model(chosen: Settings) -> None:
    from analysis.catalogue import resolve

    resolve(chosen.model, chosen.home)


def _listening(host: str, port: int) -> socket.socket:
    """The socket. Raises BadOption where the address cannot be had."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family, backlog=2048)
    except OSError as error:
        why = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise BadOption(
            f"cannot listen on {host} port {port}: {why}", remedy="name another with --host or --port"
        ) from error
