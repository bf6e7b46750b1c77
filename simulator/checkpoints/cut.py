"""Uploads that end with the instance: cut in the middle of a body, and none of the client's own retries sent after."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

SEND_BYTES = 256 << 10  # how much goes out between two questions whether the transfer was abandoned

IsAbandoned = Callable[[], bool]


class Cut(BaseException):
    """Ends a request. No Exception, because botocore would retry those."""


class Body(io.BytesIO):
    """The body of a request, cut off as soon as the transfer is abandoned."""

    def __init__(self, content: bytes, is_abandoned: IsAbandoned) -> None:
        super().__init__(content)
        self._is_abandoned = is_abandoned

    def read(self, size: int | None = -1, /) -> bytes:
        """As BytesIO has it. Raises Cut."""
        if self._is_abandoned():
            raise Cut
        # http.client asks for 16 KiB at a time; larger blocks are sent as they are, in fewer turns of the interpreter.
        return super().read(max(size, SEND_BYTES) if size is not None and size > 0 else size)


class Cutter:
    """Looks before each request of a client whether what it belongs to was abandoned: botocore's retries would reach
    S3, seconds later, when the instance is gone."""

    def __init__(self, client: S3Client) -> None:
        self._client = client
        self._of_this_thread = threading.local()
        client.meta.events.register("before-send.s3", self._before_send)

    @contextmanager
    def until(self, is_abandoned: IsAbandoned) -> Iterator[None]:
        """Within, no request of this thread is sent once `is_abandoned()`: Cut is raised instead."""
        self._of_this_thread.is_abandoned = is_abandoned
        try:
            yield
        finally:
            self.let_pass()

    def let_pass(self) -> None:
        """From now on requests of this thread are sent, whatever was abandoned: to tidy up."""
        self._of_this_thread.is_abandoned = None

    def close(self) -> None:
        """Look no more."""
        self._client.meta.events.unregister("before-send.s3", self._before_send)

    def _before_send(self, **_: Any) -> None:
        is_abandoned: IsAbandoned | None = getattr(self._of_this_thread, "is_abandoned", None)
        if is_abandoned is not None and is_abandoned():
            raise Cut
