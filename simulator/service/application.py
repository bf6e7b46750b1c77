"""The WSGI application: ours first, everything else moto's; nobody but this machine's own clients is answered."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from simulator.service.api import TARGET, Answer, SageMakerApi, failure
from simulator.service.control import PREFIX, Control, live_page
from simulator.service.errors import NotInMoto, SerializationException, ServiceError

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Wsgi = Callable[[Environ, StartResponse], Iterable[bytes]]
Interceptor = Callable[[Environ], Answer | None]
"""Looks at a request before moto does, and answers it or leaves it (None). It may read `wsgi.input` by `take_body`."""

MAX_BODY = 8 << 20  # of a request that is ours; CreateTrainingJob's largest is below 2 MiB
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
REASONS = {200: "OK", 202: "Accepted", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Not Allowed"}
REASONS |= {409: "Conflict", 413: "Too Large", 500: "Server Error", 501: "Not Implemented"}


class RequestTooLarge(ServiceError):
    """More than any request of ours has."""

    code, http_status = "RequestEntityTooLargeException", 413


class Application:
    """WSGI. `api` is what is ours; `interceptors` are asked in order before moto. It checks no Host header:
    `LoopbackGate` does, in front of it; the proxy, which is asked for AWS's own hosts, uses it bare."""

    def __init__(self, api: SageMakerApi, control: Control, interceptors: Sequence[Interceptor] = ()) -> None:
        self.api, self._control, self._interceptors = api, control, tuple(interceptors)
        self._moto: Wsgi = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        try:
            answer = self._own_answer(environ)
        except ServiceError as error:
            answer = failure(error)
        try:
            if answer is None:
                return self._moto(environ, start_response)
        except NotImplementedError as error:
            answer = not_in_moto(str(environ.get("CONTENT_TYPE", "")), error)
        return respond(answer, environ, start_response)

    def _own_answer(self, environ: Environ) -> Answer | None:
        path = str(environ.get("PATH_INFO", ""))
        if path == PREFIX or path.startswith(f"{PREFIX}/"):
            return self._control.answer(str(environ["REQUEST_METHOD"]), path)
        if path == "/" and _is_a_browser(environ):
            return live_page()
        target = str(environ.get("HTTP_X_AMZ_TARGET", ""))
        if target.startswith(TARGET) and environ["REQUEST_METHOD"] == "POST":
            body = take_body(environ)
            if self.api.is_ours(target, body):
                return self.api.answer(target, str(environ.get("HTTP_AUTHORIZATION", "")), body)
        for interceptor in self._interceptors:
            answer = interceptor(environ)
            if answer is not None:
                return answer
        return None


class LoopbackGate:
    """Refuses requests whose Host is not this machine by name or address: a page of the web that a browser was led to
    resolve to 127.0.0.1 (DNS rebinding) says its own name there. Buckets as in BUCKET.localhost pass. And refuses those
    whose Origin is another place: a browser sends a page's simple POST to anyone, and says whose page it was."""

    def __init__(self, inner: Wsgi) -> None:
        self._inner = inner

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if not is_local(str(environ.get("HTTP_HOST", ""))):
            refused = Answer(403, b"this server answers only for localhost\n", "text/plain")
            return respond(refused, environ, start_response)
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None and not is_local(host_of(str(origin))):
            refused = Answer(403, b"this server answers no pages of other origins\n", "text/plain")
            return respond(refused, environ, start_response)
        return self._inner(environ, start_response)


def _is_a_browser(environ: Environ) -> bool:
    """Whether GET / is a person's, and not S3's ListBuckets: it is signed by nobody and wants a page."""
    return (
        environ["REQUEST_METHOD"] == "GET"
        and "HTTP_AUTHORIZATION" not in environ
        and not environ.get("QUERY_STRING")
        and "text/html" in str(environ.get("HTTP_ACCEPT", ""))
    )


def host_of(origin: str) -> str:
    """The host and port of an Origin header; empty for `null`."""
    return origin.partition("://")[2]


def is_local(host: str) -> bool:
    """Whether a Host header names this machine."""
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".").lower()
    except ValueError:
        return False
    return name in LOCAL_NAMES or name.endswith(".localhost")


def take_body(environ: Environ, limit: int = MAX_BODY) -> bytes:
    """The body, put back so that it can be read again. Raises RequestTooLarge, and reads no more then;
    SerializationException for one whose chunks are none or whose client went."""
    try:
        declared = int(environ.get("CONTENT_LENGTH") or -1)
    except ValueError:
        declared = -1
    chunked = "chunked" in str(environ.get("HTTP_TRANSFER_ENCODING", "")).lower()
    if declared > limit:
        raise RequestTooLarge(f"the request has {declared} bytes, and at most {limit} are taken")
    size = limit + 1 if chunked else max(0, declared)
    try:
        body: bytes = environ["wsgi.input"].read(size) if size else b""
    except OSError as error:
        raise SerializationException(f"The body cannot be read: {error}") from error
    if len(body) > limit:
        raise RequestTooLarge(f"the request has more than {limit} bytes")
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    return body


def not_in_moto(content_type: str, error: NotImplementedError) -> Answer:
    """The answer for an operation that moto lacks, in the protocol of the request. 501: no client tries it again."""
    what = NotInMoto(f"neither spot-simulator nor moto has this operation: {error}")
    if "x-www-form-urlencoded" not in content_type:
        return failure(what)
    text = f"<Code>{what.code}</Code><Message>{escape(what.message)}</Message>"
    body = f"<ErrorResponse><Error><Type>Receiver</Type>{text}</Error><RequestId/></ErrorResponse>"
    return Answer(what.http_status, body.encode(), "text/xml", what.code)


def respond(answer: Answer, environ: Environ, start_response: StartResponse) -> list[bytes]:
    """An answer by WSGI."""
    headers = [*answer.headers.items(), ("Content-Length", str(len(answer.body)))]
    start_response(f"{answer.status} {REASONS.get(answer.status, 'Error')}", headers)
    return [b"" if environ.get("REQUEST_METHOD") == "HEAD" else answer.body]
