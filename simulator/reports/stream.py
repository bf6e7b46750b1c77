"""A terminal or pipe that may go away or know few characters: what is shown of a run must never end it."""

from __future__ import annotations

from typing import TextIO, cast


def as_forgiving(stream: TextIO) -> TextIO:
    """The stream, made to never raise on writing."""
    return cast(TextIO, Forgiving(stream))


class Forgiving:
    """A text stream that never raises: characters it cannot encode become `?`, and a reader that went is no error."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._gone = False

    def write(self, text: str) -> int:
        """Write what can be written."""
        if not self._gone:
            try:
                self._stream.write(text)
            except UnicodeEncodeError:
                encoding = self._stream.encoding or "ascii"
                self._stream.write(text.encode(encoding, "replace").decode(encoding))
            except (OSError, ValueError):
                self._gone = True
        return len(text)

    def flush(self) -> None:
        """Flush, if there is still someone."""
        if not self._gone:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._gone = True

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)
