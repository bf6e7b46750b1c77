"""Output as lines of bytes: any bytes, any length, with or without an end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

LONGEST_LINE_BYTES = 64 * 1024


def split_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines without their newline (and carriage return), as soon as they are whole; longer ones than 64 KiB in
    pieces; a last one without newline at the end."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield from _pieces(line.removesuffix(b"\r"))
        if len(rest) >= LONGEST_LINE_BYTES:
            yield from _pieces(rest)
            rest = b""
    if rest:
        yield from _pieces(rest)


def _pieces(line: bytes) -> Iterator[bytes]:
    for start in range(0, max(1, len(line)), LONGEST_LINE_BYTES):
        yield line[start : start + LONGEST_LINE_BYTES]
