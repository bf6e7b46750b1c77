"""State written as JSON: every value by its key, so that a date among them can be left out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from simulator.states.content import Budget, NotReadable, Tensor, digest_of_bytes

LARGEST_BYTES = 32 << 20  # parsed whole, in memory: larger ones count by their bytes
_DEEPEST = 4


def read_json(path: Path, budget: Budget) -> Iterator[Tensor]:
    """The leaves of an object; a list is one leaf. Raises NotReadable for anything but an object."""
    size = path.stat().st_size
    if size > LARGEST_BYTES:
        raise NotReadable("it is too large to be parsed")
    budget.take(size)
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise NotReadable(f"it cannot be parsed: {error}") from error
    if not isinstance(content, dict):
        raise NotReadable("it is no object")
    yield from _leaves("", content, 0)


def _leaves(prefix: str, content: dict[str, Any], depth: int) -> Iterator[Tensor]:
    for key, value in content.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and depth < _DEEPEST:
            yield from _leaves(f"{name}.", value, depth + 1)
            continue
        shape = (len(value),) if isinstance(value, list) else ()
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
        text = json.dumps(value, sort_keys=True)
        yield Tensor(name, shape, type(value).__name__, digest_of_bytes(text.encode()), number)
