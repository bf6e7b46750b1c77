"""What stands in front of moto: answers to some requests, by the same code whichever way they came in.

An `Answerer` looks at a request and answers it, or returns None: then the next one does, and moto last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

BODY_BYTES = 1 << 20  # of what is looked at here: SageMaker's and IAM's requests are small, S3's go by unread


@dataclass(frozen=True)
class Request:
    """One request to an AWS service. `host` is the name that the client wanted; `path` has the query, too; header
    names are in lower case."""

    method: str
    host: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def target(self) -> str:
        """X-Amz-Target: SageMaker.CreateTrainingJob; empty where the protocol has none."""
        return self.headers.get("x-amz-target", "")


@dataclass(frozen=True)
class Answer:
    """The answer to one."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


Answerer = Callable[[Request], Answer | None]


def first_of(answerers: Sequence[Answerer]) -> Answerer:
    """The first that answers."""

    def answer(request: Request) -> Answer | None:
        return next((found for ask in answerers if (found := ask(request)) is not None), None)

    return answer


def ask_application(application: WSGIApplication) -> Answerer:
    """An answerer that is a WSGI application, called without a socket between."""

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


def in_front_of(application: WSGIApplication, answer: Answerer) -> WSGIApplication:
    """A WSGI application that asks `answer` first; large bodies and S3's go on unread."""

    def answered(environ: WSGIEnvironment, start_response: StartResponse) -> object:
        request = _request(environ)
        found = answer(request) if request is not None else None
        if found is None:
            return application(environ, start_response)
        headers = {**found.headers, "content-length": str(len(found.body))}
        start_response(f"{found.status} {'OK' if found.status < 400 else 'Error'}", list(headers.items()))
        return [found.body]

    return answered  # type: ignore[return-value]  # what moto's application returns is not typed


def _request(environ: WSGIEnvironment) -> Request | None:
    """The request, where it is one that may be answered here; its body can be read again afterwards."""
    try:
        length = int(environ.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return None
    if environ.get("REQUEST_METHOD") != "POST" or length > BODY_BYTES:
        return None
    body = environ["wsgi.input"].read(length) if length else b""
    environ["wsgi.input"] = BytesIO(body)
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): str(value)
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    query = f"?{environ['QUERY_STRING']}" if environ.get("QUERY_STRING") else ""
    headers["content-type"] = environ.get("CONTENT_TYPE", "")
    return Request("POST", environ.get("HTTP_HOST", ""), environ.get("PATH_INFO", "/") + query, headers, body)


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
