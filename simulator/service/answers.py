"""A WSGI application asked without a socket between: how the proxy has the server's own answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
"""WSGI, as loosely as moto has it."""


@dataclass(frozen=True)
class Request:
    """One request to an AWS service. `host` is the name that the client wanted, `path` has the query as well, and
    header names are in lower case."""

    method: str
    host: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Answer:
    """The answer to one."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


Ask = Callable[[Request], Answer]


def ask_application(application: Application) -> Ask:
    """The application as a function."""

    def answer(request: Request) -> Answer:
        said: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], _: object = None) -> Callable[[bytes], None]:
            said.append((status, headers))
            return body.append

        body: list[bytes] = []
        parts = application(_environ(request), start_response)
        try:
            body.extend(parts)
        finally:
            if close := getattr(parts, "close", None):
                close()
        status, headers = said[-1]
        return Answer(int(status.split()[0]), b"".join(body), {name.lower(): value for name, value in headers})

    return answer


def _environ(request: Request) -> WSGIEnvironment:
    parts = urlsplit(f"https://{request.host}{request.path}")
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": parts.path or "/",
        "QUERY_STRING": parts.query,
        "SERVER_NAME": parts.hostname or "localhost",
        "SERVER_PORT": str(parts.port or 443),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": request.headers.get("content-type", ""),
        "CONTENT_LENGTH": str(len(request.body)),
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.input": BytesIO(request.body),
        "wsgi.errors": _Nowhere(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.headers.items():
        if name not in ("content-type", "content-length"):
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
    return environ


class _Nowhere:
    """What an application writes of its errors is the caller's to tell."""

    def write(self, text: str) -> int:
        return len(text)

    def writelines(self, lines: Sequence[str]) -> None:
        pass

    def flush(self) -> None:
        pass
