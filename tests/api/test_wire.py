"""HTTP that is broken or lies, over a real socket: each is refused or read in one way only, and the service goes on."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from service import wire
from service.app import create_app
from service.settings import Settings
from service.store import Store
from tests.api.test_batching import Together, wait_until
from tests.benchmarks.load import request
from tests.browser.served import running
from tests.fake import FakeEncoder

BODY = b'{"text": "the bank", "model": "fake"}'
HIDDEN = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"  # what a smuggler wants answered
POST = b"POST /v1/attention HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
GET = b"GET /livez HTTP/1.1\r\nHost: a\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
METRICS = b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
LAST = GET + b"Connection: close\r\n\r\n"
REFUSED = 400
# What is sent, and the one status that may come back.
CASES: dict[str, tuple[bytes, int]] = {
    "as it should be": (POST + LENGTH + b"\r\n" + BODY, 200),
    "as it should be, in chunks": (POST + CHUNKED + b"\r\n" + CHUNKS, 200),
    "two lengths": (POST + LENGTH + b"Content-Length: 0\r\n\r\n" + BODY + HIDDEN, REFUSED),
    "the same length twice": (POST + LENGTH + LENGTH + b"\r\n" + BODY, REFUSED),
    "a list of lengths": (POST + b"Content-Length: 37, 0\r\n\r\n" + BODY + HIDDEN, REFUSED),
    "length and chunks": (POST + LENGTH + CHUNKED + b"\r\n0\r\n\r\n" + HIDDEN, REFUSED),
    "chunks and length": (POST + CHUNKED + LENGTH + b"\r\n0\r\n\r\n" + HIDDEN, REFUSED),
    "chunks twice": (POST + CHUNKED + CHUNKED + b"\r\n" + CHUNKS, REFUSED),
    "chunks in another case": (POST + LENGTH + b"transfer-ENCODING: CHUNKED\r\n\r\n0\r\n\r\n" + HIDDEN, REFUSED),
    "chunks, then identity": (POST + b"Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNKS, REFUSED),
    "an unknown encoding": (POST + b"Transfer-Encoding: xchunked\r\n" + LENGTH + b"\r\n" + BODY, REFUSED),
    "chunks behind a space": (POST + LENGTH + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + HIDDEN, REFUSED),
    "chunks behind a tab": (POST + LENGTH + b"Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n" + HIDDEN, REFUSED),
    "a size that is no number": (POST + CHUNKED + b"\r\nzz\r\n" + BODY, REFUSED),
    "a negative size": (POST + CHUNKED + b"\r\n-1\r\n" + BODY, REFUSED),
    "a size of a lie": (POST + CHUNKED + b"\r\nffffffffffffffffff\r\n" + BODY, REFUSED),
    "a size with 0x": (POST + CHUNKED + b"\r\n0x25\r\n" + BODY + b"\r\n0\r\n\r\n", REFUSED),
    "a chunk without its end": (POST + CHUNKED + b"\r\n1\r\nxx\r\n0\r\n\r\n", REFUSED),
    "a negative length": (POST + b"Content-Length: -1\r\n\r\n", REFUSED),
    "a length with a sign": (POST + b"Content-Length: +37\r\n\r\n" + BODY, REFUSED),
    "a length in hexadecimal": (POST + b"Content-Length: 0x25\r\n\r\n" + BODY, REFUSED),
    "a length beyond 64 bits": (POST + b"Content-Length: 99999999999999999999999\r\n\r\n" + BODY, REFUSED),
    "a length that is empty": (POST + b"Content-Length:\r\n\r\n" + BODY, REFUSED),
    "a header folded": (GET + b"X-A: b\r\n c\r\n\r\n", REFUSED),
    "a length folded": (POST + b"Content-Length:\r\n 37\r\n\r\n" + BODY, REFUSED),
    "a bare line feed": (GET + b"X-A: b\nX-B: c\r\n\r\n", REFUSED),
    "only line feeds": (b"GET /livez HTTP/1.1\nHost: a\n\n", REFUSED),
    "a bare carriage return": (GET + b"X-A: b\rX-B: c\r\n\r\n", REFUSED),
    "NUL in a value": (GET + b"X-A: b\0c\r\n\r\n", REFUSED),
    "NUL in a name": (GET + b"X-\0A: b\r\n\r\n", REFUSED),
    "NUL in the path": (b"GET /livez\0 HTTP/1.1\r\nHost: a\r\n\r\n", REFUSED),
    "a control character in a value": (GET + b"X-A: \x01\x7f\r\n\r\n", REFUSED),
    "a space in a name": (GET + b"X A: b\r\n\r\n", REFUSED),
    "no name": (GET + b": b\r\n\r\n", REFUSED),
    "no colon": (GET + b"X-A\r\n\r\n", REFUSED),
    "a header before the line": (b" GET /livez HTTP/1.1\r\nHost: a\r\n\r\n", REFUSED),
    "no version": (b"GET /livez\r\n\r\n", REFUSED),
    "a version of long ago": (b"GET /livez HTTP/0.9\r\n\r\n", REFUSED),
    "a version to come": (b"GET /livez HTTP/3.0\r\nHost: a\r\n\r\n", REFUSED),
    "no method": (b"/livez HTTP/1.1\r\nHost: a\r\n\r\n", REFUSED),
    "an unknown method": (b"REBOOT /livez HTTP/1.1\r\nHost: a\r\n\r\n", REFUSED),
    "another protocol": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100, REFUSED),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", REFUSED),
    "bytes": (bytes(range(256)) * 8, REFUSED),
    "a header of a megabyte": (GET + b"X-A: " + b"b" * 1_000_000 + b"\r\n\r\n", REFUSED),
    "a path of a megabyte": (b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", REFUSED),
    "ten thousand headers": (GET + b"".join(b"X-%d: b\r\n" % i for i in range(10_000)) + b"\r\n", REFUSED),
    "two requests, the first with a body that is not asked for": (
        b"GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN, 200,
    ),
    "an answer split by a header": (GET + b"X-Request-ID: a%0d%0aSet-Cookie: b=c\r\n\r\n", 200),
}  # fmt: skip


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A service as `polyseme serve` runs it, over the fake encoder."""
    settings = Settings(model="fake")
    app = create_app(settings, encoders={"fake": FakeEncoder()}, store=Store("sqlite://"))
    with running(app, settings) as address:
        yield int(address.rpartition(":")[2])


def asked(port: int, sent: bytes) -> bytes:
    """All that comes back before the service closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        received = b""
        with suppress(ConnectionError):  # it need not read to the end what it refuses
            connection.sendall(sent)
            while chunk := connection.recv(1 << 16):
                received += chunk
        return received


@pytest.mark.parametrize("name", CASES)
def test_it_is_read_in_one_way_only(port: int, name: str) -> None:
    sent, wanted = CASES[name]
    received = asked(port, sent if wanted == REFUSED else sent + LAST)
    statuses = [int(found) for found in re.findall(rb"(?:^|\n|\})HTTP/1\.[01] (\d{3})", received)]
    assert statuses == ([REFUSED] if wanted == REFUSED else [wanted, 200]), received[:500]
    assert b"polyseme_requests_total" not in received, "the hidden request was answered"
    assert b"set-cookie" not in received.lower()
    assert b"Traceback" not in received
    assert b" 200 " in asked(port, LAST)


def test_a_head_that_never_ends_is_not_waited_for(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "HEAD_SECONDS", 0.2)
    for start in (b"", GET, GET + b"\r\n" + GET):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(start)
            received = b""
            while chunk := connection.recv(1 << 16):  # in the end it is closed
                received += chunk
        assert received.count(b" 200 ") == start.count(b"\r\n\r\n")


def test_a_head_without_end_is_not_kept(port: int) -> None:
    endless = GET + (b"X-A: " + b"b" * 1000 + b"\r\n") * 30_000
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection, pytest.raises(ConnectionError):
        connection.sendall(endless)  # more than any buffer on the way


def test_a_client_that_hangs_up_is_worked_for_no_more() -> None:
    encoder = Together()
    settings = Settings(model="fake")
    app = create_app(settings, encoders={"fake": encoder}, store=Store("sqlite://"))
    shared = app.state.services.shared
    with running(app, settings) as address:
        port = int(address.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=30) as stays:
            stays.sendall(request({"target": "bank", "texts": ["the first bank"]}))
            assert encoder.begun.wait(10)
            with socket.create_connection(("127.0.0.1", port), timeout=30) as leaves:
                leaves.sendall(request({"target": "bank", "texts": ["the second bank"]}))
                wait_until(lambda: shared.waiting() == 1)
            wait_until(lambda: b'route="/v1/embeddings",status="499"} 1' in asked(port, METRICS))
            encoder.gate.set()
            assert b" 200 " in stays.recv(100)
            wait_until(lambda: not shared.waiting())
    assert encoder.seen == [["the first bank"]]
