"""How numbers and other people's text are written for people: seconds, bytes, and log lines made harmless."""

from __future__ import annotations

import math
import re
import unicodedata

LINE_CHARACTERS = 500  # of a log line on the screen; the log file holds all of it

_ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\|$)"  # titles and links
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\|$)"  # strings to the terminal itself
    r"|[\x1b][\[][0-?]*[ -/]*[@-~]?"  # colours and cursor movements
    r"|\x9b[0-?]*[ -/]*[@-~]?"
    r"|\x1b[ -/]*[0-~]?"
)
_UNPRINTABLE = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}  # control, bidirectional, surrogate, private use, separators


def clean(line: bytes | str) -> str:
    """A log line that can be shown anywhere: no escape sequences, no control characters, not endless.

    Of a line that a progress bar wrote over (carriage returns) the last state is kept.
    """
    limit = 8 * LINE_CHARACTERS
    if isinstance(line, bytes):
        stripped = line.rstrip(b"\r\n")
        text = stripped[stripped.rfind(b"\r") + 1 :][:limit].decode("utf-8", "replace")
    else:
        whole = line.rstrip("\r\n")
        text = whole[whole.rfind("\r") + 1 :][:limit]
    text = _ESCAPES.sub("", text).expandtabs(4)
    text = "".join(character for character in text if unicodedata.category(character) not in _UNPRINTABLE)
    return text if len(text) <= LINE_CHARACTERS else text[: LINE_CHARACTERS - 1] + "…"


def printable(text: str) -> str:
    """Text of any length that can stand in a page or in XML: no control characters but line ends and tabs, no
    directions, halves of characters or code points that are none."""
    return "".join(character for character in text if character in "\n\t" or _is_printable(character))


def _is_printable(character: str) -> bool:
    is_none = ord(character) & 0xFFFE == 0xFFFE  # U+FFFE, U+FFFF and their like, which XML forbids
    return not is_none and unicodedata.category(character) not in _UNPRINTABLE


def seconds(value: float) -> str:
    """`0.3 s`, `12.4 s`, `3 min 20 s`, `2 h 5 min`."""
    if value < 99.95:
        return f"{value:.1f} s".replace(".0 s", " s")
    whole = round(value)
    if whole < 600:
        return f"{whole} s" if whole < 180 else f"{whole // 60} min {whole % 60} s"
    if whole < 7200:
        return f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def brief(value: float) -> str:
    """Seconds of which the first thousandths matter: `25 ms`, `0 ms`, and from a second on as `seconds`."""
    return f"{value * 1000:.0f} ms" if value < 0.9995 else seconds(value)


def size(count: float) -> str:
    """`12 bytes`, `3.4 kB`, `1.2 GB`; powers of a thousand, as S3's prices are."""
    if count < 1000:
        return f"{count:.0f} byte" + ("" if count == 1 else "s")
    value = float(count)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.5:
            return f"{value:.1f} {unit}".replace(".0 ", " ")
    return f"{value / 1000:.1f} TB"


def number(value: float) -> str:
    """`63`, `0.4231`, `nan`: as a script would print it."""
    return f"{value:.0f}" if math.isfinite(value) and value == int(value) and abs(value) < 1e15 else f"{value:.4g}"


def count(number: int, noun: str) -> str:
    """`1 file`, `3 files`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
