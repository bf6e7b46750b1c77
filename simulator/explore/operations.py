"""One uninterrupted run as what it did to S3: the operations in their order, and how each file was written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from simulator.checks.file_names import family
from simulator.core.timeline import Kind, Timeline


class Act(StrEnum):
    """What is done to an object."""

    PUT = "put"
    DELETE = "delete"


@dataclass(frozen=True)
class Cut:
    """A version of a file captured while it was written in place: its first `kept` bytes, then those of the version
    before (`tail`, a digest) where the writer does not empty the file first. `digest` is of the whole capture."""

    kept: int
    bytes: int
    digest: str
    tail: str = ""


@dataclass(frozen=True)
class Operation:
    """One change of S3. Instants are run seconds: `changed_at` when the local change was seen, `began_at` when its
    transfer began, `ended_at` when S3 had it. `in_place`: the file was open for writing under its own name, so that a
    part of it can go up; `cuts` are such parts. `aside`: the name under which it was written before it was renamed.
    `names`: the other files that this one, a small text, speaks of."""

    act: Act
    path: str
    changed_at: float
    began_at: float
    ended_at: float
    digest: str = ""
    bytes: int = 0
    in_place: bool = False
    cuts: tuple[Cut, ...] = ()
    aside: str = ""
    names: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """A line of operations.jsonl."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Operation:
        """A line of operations.jsonl, read back. Raises KeyError, TypeError and ValueError for anything else."""
        cuts = tuple(Cut(**cut) for cut in fields["cuts"])
        return cls(**{**fields, "act": Act(fields["act"]), "cuts": cuts, "names": tuple(fields["names"])})


@dataclass
class Writing:
    """How one path was seen to be written: so often changed under its own name, so often renamed to it (when, and from
    where), so often written over, and whether that ever began with an empty file, or too quickly to be seen."""

    changes: int = 0
    renames: int = 0
    aside: list[tuple[float, str]] = field(default_factory=list)
    rewrites: int = 0
    emptied: bool = False

    @property
    def in_place(self) -> bool:
        """Always under its own name. A file that is renamed into place and changed later is given the benefit."""
        return self.changes > 0 and not self.renames

    @property
    def keeps_its_tail(self) -> bool:
        """Written over without being emptied, so that the old bytes follow the new ones while it lasts."""
        return self.rewrites > 0 and not self.emptied


_LATE_SECONDS = 1.0  # how late the watch may be told of a rename


def operations_of(timeline: Timeline, writings: Mapping[str, Writing], attempt: int = 1) -> list[Operation]:
    """What an attempt did to S3, in the order in which S3 had it. What failed or was given up changed nothing."""
    changed: dict[str, float] = {}
    began: dict[str, float] = {}
    deleted: dict[str, float] = {}
    found: list[Operation] = []
    for event in timeline:
        if event.attempt != attempt or "path" not in event.data:
            continue
        path, at = str(event.data["path"]), event.at
        match event.kind:
            case Kind.FILE_CHANGED:
                changed[path] = at
            case Kind.FILE_DELETED:
                deleted[path] = at
            case Kind.UPLOAD_STARTED:
                began[path] = at
            case Kind.UPLOAD_FINISHED:
                start = began.get(path, at)
                digest, size = str(event.data["digest"]), int(event.data["bytes"])
                put = Operation(Act.PUT, path, min(changed.get(path, start), start), start, at, digest, size)
                found.append(_as_written(put, writings))
            case Kind.OBJECT_DELETED:
                gone = deleted.get(path, at)
                found.append(Operation(Act.DELETE, path, gone, gone, at))
    return found


def _as_written(put: Operation, writings: Mapping[str, Writing]) -> Operation:
    writing = writings.get(put.path)
    if writing is None or not (writing.changes or writing.renames):
        # A file that was there before its new folder was watched is taken to be written as its like are.
        alike = [other for path, other in writings.items() if family(path) == family(put.path) and path != put.path]
        known = [other for other in alike if other.changes or other.renames]
        return replace(put, in_place=bool(known) and all(other.in_place for other in known))
    earlier = [name for at, name in writing.aside if at <= put.began_at + _LATE_SECONDS]
    return replace(put, in_place=writing.in_place, aside=earlier[-1] if earlier else "")


def sizes_of(operations: Sequence[Operation]) -> dict[str, int]:
    """Digest → bytes, of whole versions and of captures."""
    sizes = {operation.digest: operation.bytes for operation in operations if operation.act is Act.PUT}
    return sizes | {cut.digest: cut.bytes for operation in operations for cut in operation.cuts}
