"""What is known of a state's content: a digest for each named tensor, and names for what says nothing of the training.

Promise: two states with equal tensors have equal digests, whenever, wherever and in whatever order they were written.
Bounded: everything is read in pieces, within a `Budget` of bytes and seconds; what does not fit is said, not guessed.
"""

from __future__ import annotations

import hashlib
import re
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NamedTuple

CHUNK_BYTES = 1 << 20
MOST_TENSORS = 4096
"""More than this many in one file are digested as one, so that a timeline stays readable."""
DIGEST_CHARACTERS = 16

_WALL_CLOCK = re.compile(
    r"(^|[./_@-])(date|date_?saved|datetime|time|time_?stamps?|wall_?time|wall_?clock|saved_?at|created_?at|"
    r"updated_?at|elapsed(_?seconds)?|hostname|pid)$|checkpoint_timestamps$",
    re.IGNORECASE,
)
_BOOKKEEPING = re.compile(r"(^|[./])(save_counter|_CHECKPOINTABLE_OBJECT_GRAPH)($|/)")
_VALUES = {
    "int8": "b",
    "uint8": "B",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "float32": "f",
    "float64": "d",
    "bool": "?",
}


class NotReadable(ValueError):
    """A file is not of the format that its name says, or torn: its bytes are all that can be compared."""


class OverBudget(Exception):
    """Reading would take more bytes or seconds than it may."""


class Budget:
    """How much may still be read. `clock` tells monotonic seconds."""

    def __init__(self, limit_bytes: int, limit_seconds: float) -> None:
        self._bytes, self._limit_bytes = limit_bytes, limit_bytes
        self._until, self._limit_seconds = time.monotonic() + limit_seconds, limit_seconds

    def take(self, count: int) -> None:
        """Account for bytes that are about to be read. Raises OverBudget."""
        self._bytes -= count
        if self._bytes < 0:
            raise OverBudget(f"more than {self._limit_bytes >> 20} MiB")
        if time.monotonic() > self._until:
            raise OverBudget(f"more than {self._limit_seconds:g} s of reading")


class Tensor(NamedTuple):
    """One named part of a state. `value` is known of single numbers only."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    digest: str
    value: float | int | None = None

    def as_dict(self) -> dict[str, Any]:
        """The tensor as the timeline holds it."""
        facts: dict[str, Any] = {"shape": list(self.shape), "dtype": self.dtype, "digest": self.digest}
        return facts if self.value is None else {**facts, "value": self.value}


@dataclass
class State:
    """A file of state, or files that are one (a TensorFlow checkpoint). `digest` is of all that counts. `left_out`
    names what was found and does not count; `unread` says why nothing is known, where nothing is."""

    path: str
    format: str
    bytes: int
    digest: str = ""
    tensors: list[Tensor] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    unread: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The state as the timeline holds it."""
        return {
            "path": self.path,
            "format": self.format,
            "bytes": self.bytes,
            "digest": self.digest,
            "tensors": {tensor.name: tensor.as_dict() for tensor in self.tensors},
            **({"left_out": self.left_out} if self.left_out else {}),
            **({"unread": self.unread} if self.unread else {}),
        }


def counts(name: str) -> bool:
    """Whether a part of a state is state: not the time or place at which it was written (`date_saved`, `timestamp`,
    `saved_at`, `hostname` …), nor TensorFlow's count of saves and drawing of its object graph."""
    return not (_WALL_CLOCK.search(name) or _BOOKKEEPING.search(name))


def state_of(path: str, kind: str, size: int, tensors: Iterable[Tensor]) -> State:
    """A state from its parts; those that do not count are named and left out."""
    found = sorted(tensors)
    kept = [tensor for tensor in found if counts(tensor.name)]
    whole = digest_of_bytes("\0".join(f"{t.name} {t.shape} {t.dtype} {t.digest}" for t in kept).encode())
    left_out = [tensor.name for tensor in found if not counts(tensor.name)]
    return State(path, kind, size, whole, kept if len(kept) <= MOST_TENSORS else [], left_out)


def digest_of_bytes(content: bytes) -> str:
    """The digest of content that is at hand."""
    return hashlib.sha256(content).hexdigest()[:DIGEST_CHARACTERS]


def tensor_from(
    name: str, shape: Iterable[int], dtype: str, file: BinaryIO, size: int | None, budget: Budget, *, order: str = ""
) -> Tensor:
    """Digest the next `size` bytes of a file, or all that is left. Raises NotReadable where there are fewer."""
    digest, first, left = hashlib.sha256(order.encode()), b"", size
    while left is None or left > 0:
        wanted = CHUNK_BYTES if left is None else min(CHUNK_BYTES, left)
        budget.take(wanted if left is not None else 0)
        chunk = file.read(wanted)
        if not chunk:
            break
        if left is None:
            budget.take(len(chunk))
        first = first or chunk[:8]
        digest.update(chunk)
        left = left if left is None else left - len(chunk)
    if left:
        raise NotReadable(f"{name} is cut short by {left} bytes")
    sizes = tuple(int(number) for number in shape)
    return Tensor(name, sizes, dtype, digest.hexdigest()[:DIGEST_CHARACTERS], _value(sizes, dtype, first, size))


def _value(shape: tuple[int, ...], dtype: str, content: bytes, size: int | None) -> float | int | None:
    if any(number != 1 for number in shape) or dtype not in _VALUES:
        return None
    width = struct.calcsize("<" + _VALUES[dtype])
    if len(content) < width or (size is not None and size != width):
        return None
    value = struct.unpack("<" + _VALUES[dtype], content[:width])[0]
    return int(value) if isinstance(value, bool | int) else float(value)
