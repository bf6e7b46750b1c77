"""A layer on loopback between an S3 client and moto that does harm by a plan, and counts what it did."""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from simulator.services.wire_faults import Harm, WireFault, WirePlan, operation_of

LOOPBACK = "127.0.0.1"
BLOCK_BYTES = 64 << 10
UPSTREAM_SECONDS = 300.0  # as the client waits: moto joins a large multipart upload before it answers
LOOK_SECONDS = 0.05  # how often a held request looks whether its client has gone
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "expect"})
"""Of one connection, not of the message (RFC 9110, 7.6.1); Expect is answered here."""
_NO_BODY = frozenset({204, 304})


class FaultProxy:
    """Listens on a free port of loopback and hands every request on to `upstream` (http://HOST:PORT), except where the
    plan has something else done. `restart` is called for Harm.RESTART. A context manager, or `start()` and `close()`.
    """

    def __init__(self, upstream: str, plan: WirePlan, restart: Callable[[], object] = lambda: None) -> None:
        self.plan = plan
        self._server = _Server(upstream, plan, restart)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(LOOK_SECONDS,), daemon=True)
        self.endpoint_url = f"http://{LOOPBACK}:{self._server.server_address[1]}"

    def start(self) -> Self:
        """Begin to serve."""
        self._thread.start()
        return self

    def close(self) -> None:
        """End it, and every connection with it. Safe to call again, and before `start`."""
        self._server.end(is_serving=self._thread.is_alive())

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Gone(Exception):
    """One side ended its connection in the middle of a message, as an instance that is taken away does."""


class Pace:
    """Lets bytes pass at a rate, whoever sends them."""

    def __init__(self, bytes_per_second: float) -> None:
        self._rate, self._free_at, self._lock = bytes_per_second, 0.0, threading.Lock()

    def wait_seconds(self, size: int, now: float) -> float:
        """How long a block has to wait that would go at the instant `now`."""
        with self._lock:
            self._free_at = max(now, self._free_at) + size / self._rate
            return self._free_at - now


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, upstream: str, plan: WirePlan, restart: Callable[[], object]) -> None:
        super().__init__((LOOPBACK, 0), _Handler)
        url = urlsplit(upstream)
        self.upstream = url.hostname or LOOPBACK, url.port or 80
        self.plan = plan
        self.paces = {
            index: Pace(fault.bytes_per_second)
            for index, fault in enumerate(plan.faults)
            if fault.harm is Harm.BANDWIDTH
        }
        self.closing = threading.Event()
        self._restart, self._restarting = restart, threading.Lock()
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()

    def restart_upstream(self) -> None:
        with self._restarting:
            self._restart()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that ended: its client tells what that meant."""

    def end(self, is_serving: bool) -> None:
        if self.closing.is_set():
            return
        self.closing.set()
        if is_serving:
            self.shutdown()
        self.server_close()
        with self._open_lock:
            still_open = list(self._open)
        for connection in still_open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client, request after request."""

    protocol_version = "HTTP/1.1"
    server: _Server
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: the plan counts."""

    def handle_expect_100(self) -> bool:
        self._continues = True  # not before it is known whether the body is wanted: S3 refuses without having read it
        return True

    def parse_request(self) -> bool:
        self._continues = False
        return super().parse_request()

    def do_any(self) -> None:
        operation = operation_of(self.command, self.path)
        plan = self.server.plan
        met = plan.next(operation)
        self._pace = next((self.server.paces[index] for index in met if index in self.server.paces), None)
        harmful = next((index for index in met if index not in self.server.paces), None)
        try:
            for index in (index for index in met if index in self.server.paces):
                plan.did(index)
            if harmful is None:
                self._hand_on()
            else:
                self._harm(plan.faults[harmful], lambda: plan.did(harmful))
        except (_Gone, OSError, HTTPException):
            self._reset()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_any

    # Harm

    def _harm(self, fault: WireFault, did: Callable[[], None]) -> None:
        match fault.harm:
            case Harm.ERROR:
                did()
                self._refuse(fault)
            case Harm.ERROR_IN_200:
                self._drain()
                did()
                self._answer(200, _error_body(fault.code, fault.message))
            case Harm.DELAY:
                did()
                self.server.closing.wait(fault.seconds)
                self._hand_on()
            case Harm.SILENCE:
                self._drain()
                did()
                self._wait_until_the_client_goes()
            case Harm.RESET:
                next(self._body(), b"")
                did()
                self._reset()
            case Harm.ANSWER_LOST:
                with self._upstream() as answer:
                    answer.read()
                did()
                self._reset()
            case Harm.TRUNCATE:
                self._hand_on(cut=did)
            case Harm.RESTART:
                did()
                self.server.restart_upstream()
                self._hand_on()

    def _refuse(self, fault: WireFault) -> None:
        if not self._continues:
            self._drain()  # a client that asked before it sent its body now keeps it
        self._answer(fault.status, _error_body(fault.code, fault.message))

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _wait_until_the_client_goes(self) -> None:
        while not self.server.closing.is_set():
            readable, _, _ = select.select([self.connection], [], [], LOOK_SECONDS)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                break
        self.close_connection = True

    def _reset(self) -> None:
        """End the connection with RST, not FIN: close at once what was asked to linger for no time (socket(7))."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())

    # Handing on

    def _hand_on(self, cut: Callable[[], None] | None = None) -> None:
        with self._upstream() as answer:
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in _HOP_BY_HOP:
                    self.send_header(name, value)
            empty = self.command == "HEAD" or answer.status in _NO_BODY
            chunked = not empty and answer.length is None
            if chunked:
                self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            if empty:
                return
            half = (answer.length or 0) // 2 if cut is not None and answer.status < 300 else None
            self._send_back(answer, chunked, half)
            if half is not None and cut is not None:
                cut()
                self.close_connection = True

    def _send_back(self, answer: HTTPResponse, chunked: bool, most: int | None) -> None:
        left = answer.length if most is None else most
        while block := answer.read(BLOCK_BYTES if left is None else min(BLOCK_BYTES, left)):
            self._wait_for(block)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(block), block) if chunked else block)
            if left is not None:
                left -= len(block)
        if left:
            raise _Gone  # the server broke off: so does this
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _upstream(self) -> HTTPResponse:
        """The server's answer to this request, headers read. A body that the client does not end is not ended there."""
        connection = HTTPConnection(*self.server.upstream, timeout=UPSTREAM_SECONDS)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in _HOP_BY_HOP:
                    connection.putheader(name, value)
            chunked = self._is_chunked
            if chunked:
                connection.putheader("Transfer-Encoding", "chunked")
            connection.putheader("Connection", "close")
            connection.endheaders()
            for block in self._body():
                connection.send(b"%x\r\n%s\r\n" % (len(block), block) if chunked else block)
            if chunked:
                connection.send(b"0\r\n\r\n")
            return connection.getresponse()
        except BaseException:
            connection.close()
            raise

    @property
    def _is_chunked(self) -> bool:
        return "chunked" in self.headers.get("Transfer-Encoding", "").lower()

    def _drain(self) -> None:
        for _ in self._body():
            pass

    def _body(self) -> Iterator[bytes]:
        """The request's body, asked for where the client waits to be asked. Raises _Gone where it breaks off."""
        if self._continues:
            self._continues = False
            self.send_response_only(100)
            self.end_headers()
        if self._is_chunked:
            while size := int(self._line().split(b";")[0], 16):
                yield from self._blocks(size)
                self._line()
            while self._line():
                pass  # trailers
        else:
            yield from self._blocks(int(self.headers.get("Content-Length") or 0))

    def _blocks(self, size: int) -> Iterator[bytes]:
        while size > 0:
            block = self.rfile.read(min(BLOCK_BYTES, size))
            if not block:
                raise _Gone
            size -= len(block)
            self._wait_for(block)
            yield block

    def _line(self) -> bytes:
        line = self.rfile.readline(BLOCK_BYTES)
        if not line.endswith(b"\n"):
            raise _Gone
        return line.strip()

    def _wait_for(self, block: bytes) -> None:
        if self._pace is not None and self.server.closing.wait(self._pace.wait_seconds(len(block), time.monotonic())):
            raise _Gone


def _error_body(code: str, message: str) -> bytes:
    """An error as S3 words it ("REST error responses", Amazon S3 API Reference)."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
        "<RequestId>FAULTPROXY</RequestId></Error>"
    ).encode()
