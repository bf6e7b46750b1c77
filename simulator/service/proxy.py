"""The other way in: an HTTPS proxy, for clients that hard-code AWS's endpoints. moto's, with what it leaves out.

The protocol and the way from a host name to moto's code are moto's (`moto.moto_proxy`). Here come in: the server's own
answers, certificates of the run's own (`certificates`), refusal of every host that nothing here answers for, and the
count of hosts. It is in moto's process, so that both ways in have one state.
"""

from __future__ import annotations

import http.client
import logging
import socket
import ssl
import sys
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from simulator.core.errors import EnvironmentFailure
from simulator.service.answers import Ask, Request
from simulator.service.application import not_in_moto
from simulator.service.certificates import Authority
from simulator.service.hosts import (
    AnsweredBy,
    HostLedger,
    is_aws,
    is_iam,
    is_loopback,
    is_sagemaker_api,
    is_step_functions,
)

LOOPBACK = "127.0.0.1"
IDLE_SECONDS = 60.0
POLL_SECONDS = 0.05  # how long a close may take
FORWARD_SECONDS = 300.0
_NOT_FORWARDED = frozenset(
    "connection keep-alive proxy-connection proxy-authorization te trailer transfer-encoding upgrade".split()  # noqa: SIM905
)

_handlers_before = logging.getLogger().handlers[:]
from moto.moto_proxy import logger as _moto_logger  # noqa: E402  # its import has the root logger write to stdout
from moto.moto_proxy import proxy3  # noqa: E402

logging.getLogger().handlers[:] = _handlers_before
_moto_logger.disabled = True


class Proxy:
    """An HTTPS and HTTP proxy on loopback; `port` 0 takes a free one. A context manager, or `start()` and `close()`.

    `ask` answers in the place of SageMaker and IAM, and moto in that of the other services. `allowed` are host names
    that are let through; AWS's never are.
    """

    def __init__(
        self, authority: Authority, ask: Ask, ledger: HostLedger, allowed: Iterable[str] = (), port: int = 0
    ) -> None:
        self._port = port
        self._authority, self._router = authority, _Router(ask, ledger, frozenset(allowed))
        self._server: _Server | None = None
        self.url = ""

    def start(self) -> Self:
        """Listen. Raises EnvironmentFailure where the port is taken."""
        try:
            self._server = _Server((LOOPBACK, self._port), self._authority, self._router)
        except OSError as error:
            raise EnvironmentFailure(
                f"the proxy cannot listen on port {self._port}",
                error.strerror or str(error),
                "choose another port with --proxy-port, or leave the option out to take a free one",
            ) from error
        self.url = f"http://{LOOPBACK}:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(POLL_SECONDS,), name="proxy", daemon=True).start()
        return self

    def close(self) -> None:
        """Listen no more. Safe to call again."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Router(proxy3.MotoRequestHandler):  # type: ignore[misc]  # moto gives no types
    """Who answers a request: ours, moto, the host itself where that is allowed, or a refusal."""

    def __init__(self, ask: Ask, ledger: HostLedger, allowed: frozenset[str]) -> None:
        super().__init__(port=0)
        self._ask, self.ledger, self._allowed = ask, ledger, allowed

    def lets_through(self, host: str) -> bool:
        """Whether requests go to the host itself."""
        return is_loopback(host) or (host in self._allowed and not is_aws(host))

    def is_known(self, host: str) -> bool:
        """Whether something here answers in the host's place."""
        return is_aws(host) or self.get_backend_for_host(f"https://{host}") is not None

    def parse_request(
        self, method: str, host: str, path: str, headers: Any, body: bytes | None
    ) -> tuple[int, dict[str, Any], bytes | str]:
        """Status, headers and body; `host` comes with its scheme. Called by moto's handler for each request."""
        netloc = urlsplit(host).netloc
        name = urlsplit(host).hostname or ""
        if self.lets_through(name):
            self.ledger.note(name, AnsweredBy.ITSELF)
            return _forward(method, netloc, path, headers, body or b"")
        try:
            if _is_ours(name):
                self.ledger.note(name, AnsweredBy.SIMULATOR)
                lowered = {key.lower(): value for key, value in headers.items()}
                own = self._ask(Request(method, netloc, path, lowered, body or b""))
                return own.status, _framed(own.headers, own.body), own.body
            return self._ask_moto(method, host, name, path, headers, body)
        except NotImplementedError as error:
            lacking = not_in_moto(str(headers.get("Content-Type", "")), error)
            return lacking.status, _framed(lacking.headers, lacking.body), lacking.body

    def _ask_moto(
        self, method: str, host: str, name: str, path: str, headers: Any, body: bytes | None
    ) -> tuple[int, dict[str, Any], bytes | str]:
        if self.get_handler_for_host(host=host, path=path) is None:
            self.ledger.note(name, AnsweredBy.NOBODY)
            return refusal(name)
        self.ledger.note(name, AnsweredBy.MOTO)
        said = super().parse_request(method, host, path, headers, body)
        status, answered, content = said if isinstance(said, tuple) else (200, {}, said)
        encoded = content.encode() if isinstance(content, str) else content
        return status, _framed(dict(answered), encoded if isinstance(encoded, bytes) else None), encoded


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], authority: Authority, router: _Router) -> None:
        self.authority, self.router = authority, router
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that left, does not trust us or sent no HTTP is no error of ours; anything else is shown."""
        if not isinstance(sys.exception(), OSError | ValueError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(proxy3.ProxyRequestHandler):  # type: ignore[misc]  # moto gives no types
    """One connection of a client. What moto's handler does not do itself is who answers, and TLS."""

    timeout = IDLE_SECONDS
    server: _Server
    connection: socket.socket
    rfile: Any
    wfile: Any

    def __init__(self, connection: socket.socket, client_address: object, server: _Server) -> None:
        self.protocol_version = "HTTP/1.1"
        self.moto_request_handler = server.router
        BaseHTTPRequestHandler.__init__(self, connection, client_address, server)

    def do_CONNECT(self) -> None:
        """Become the host that is asked for, relay to it where that is allowed, or refuse."""
        host, _, port = self.path.rpartition(":")
        host = host.strip("[]").lower()
        router = self.server.router
        if router.lets_through(host):
            router.ledger.note(host, AnsweredBy.ITSELF)
            self.connect_relay((host, int(port) if port.isdigit() else 443))
            return
        if not host or not router.is_known(host):
            router.ledger.note(host or self.path, AnsweredBy.NOBODY)
            self._say_refused(host or self.path)
            return
        self.wfile.write(b"HTTP/1.1 200 Connection Established\r\n\r\n")
        self.connection = self.server.authority.context(host).wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb", self.rbufsize)
        self.wfile = self.connection.makefile("wb", self.wbufsize)
        self.close_connection = False

    def _get_host_and_path(self, req: Any) -> tuple[str, str]:
        """moto's hook: scheme and host, and the path with its query. A plain request to a proxy names both in one."""
        scheme = "https" if isinstance(self.connection, ssl.SSLSocket) else "http"
        named = urlsplit(req.path)
        if named.scheme and named.netloc:
            return f"{scheme}://{named.netloc}", req.path[len(named.scheme) + len("://") + len(named.netloc) :] or "/"
        return f"{scheme}://{req.headers.get('Host', '')}", req.path

    def _say_refused(self, host: str) -> None:
        status, headers, text = refusal(host)
        self.send_response(status, "Refused by spot-simulator")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)
        self.close_connection = True

    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing: the ledger tells of every request."""


def _is_ours(host: str) -> bool:
    """Whether the server's own application answers, which hands on to moto what is moto's."""
    return is_sagemaker_api(host) or is_iam(host) or is_step_functions(host)


def refusal(host: str) -> tuple[int, dict[str, Any], bytes]:
    """The answer for a host that nothing here answers for."""
    text = f"spot-simulator: refused to connect to {host}: nothing leaves this machine\n".encode()
    return 403, _framed({"content-type": "text/plain"}, text), text


def _framed(headers: Mapping[str, Any], body: bytes | None) -> dict[str, Any]:
    """The headers with what moto's handler leaves out: the length of nothing, and that it hangs up after each."""
    framed = {name.lower(): value for name, value in headers.items() if name.lower() not in _NOT_FORWARDED}
    if "content-length" not in framed and body is not None:
        framed["content-length"] = str(len(body))
    return {**framed, "connection": "close"}


def _forward(
    method: str, netloc: str, path: str, headers: Mapping[str, str], body: bytes
) -> tuple[int, dict[str, Any], bytes]:
    """Pass a plain HTTP request on to the host itself."""
    connection = http.client.HTTPConnection(netloc, timeout=FORWARD_SECONDS)
    passed = {name: value for name, value in headers.items() if name.lower() not in _NOT_FORWARDED}
    try:
        connection.request(method, path, body or None, {**passed, "Connection": "close"})
        answer = connection.getresponse()
        content = answer.read()
    except OSError as error:
        text = f"spot-simulator: {netloc} does not answer: {error}\n".encode()
        return 502, _framed({"content-type": "text/plain"}, text), text
    finally:
        with suppress(OSError):
            connection.close()
    return answer.status, _framed(dict(answer.getheaders()), content), content
