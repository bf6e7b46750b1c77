"""Which other checkpoint files a small text file speaks of, as TensorFlow's `checkpoint` and every `latest` do."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

MOST_BYTES = 16 << 10
_WORD = re.compile(r"[\w.\-]{3,}")
_NAME = re.compile(r"(?=.*[A-Za-z_])(?=.*[\d.])")


def names_in(file: Path, path: str, others: Iterable[str]) -> tuple[str, ...]:
    """The paths of `others`, beside or below `path`'s folder, whose next name a word of the file is, whole or up to a
    dot (ckpt-3 for ckpt-3.index). A word needs a letter, and a digit or a dot: `model` may be any word. None of a file
    that is no text."""
    try:
        if file.stat().st_size > MOST_BYTES:
            return ()
        words = {word for word in _WORD.findall(file.read_text()) if _NAME.search(word)}
    except (OSError, UnicodeDecodeError):
        return ()
    return tuple(sorted(other for other in others if other != path and _is_named(other, path, words)))


def _is_named(other: str, path: str, words: set[str]) -> bool:
    try:
        name = PurePosixPath(other).relative_to(PurePosixPath(path).parent).parts[0]
    except ValueError:
        return False
    stems = {name[: place.start()] for place in re.finditer(r"\.", name)}
    return not words.isdisjoint({name} | {stem for stem in stems if stem})
