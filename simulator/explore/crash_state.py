"""A state of S3 that a reclaim could have left, and the recorded run that it comes of: plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from simulator.checks.file_names import family
from simulator.explore.operations import Act, Cut, Operation
from simulator.explore.saves import saves_of

_FEW = 3  # of a family's first uploads one had come, unless none had
SEEN_SECONDS = 0.1  # how late a log line may be read

Objects = Mapping[str, str]
"""Path → digest."""


class StateKind(StrEnum):
    """What is odd about a state; the first that fits, in this order, which is also the order of trying."""

    MIXED = "mixed generations"
    TORN = "half-written file"
    INDEX = "index and files disagree"
    INCOMPLETE = "save with files missing"
    MULTIPART = "multipart upload never completed"
    REORDERED = "uploads out of order"
    IN_ORDER = "uploads in order"


@dataclass(frozen=True)
class Torn:
    """Which object of a state is a capture of a file being written, under which name, and of which operation."""

    operation: int
    path: str
    cut: Cut


@dataclass(frozen=True)
class CrashState:
    """What S3 holds: `objects` is path → digest. `after` operations had been done, of which `left_out` (indices) had
    not: they were still under way when the instance went, `at_seconds` into the recorded run."""

    name: str
    kind: StateKind
    objects: Objects
    after: int
    how: str
    at_seconds: float
    left_out: tuple[int, ...] = ()
    torn: Torn | None = None

    @property
    def done(self) -> list[int]:
        """The indices of the operations that S3 had."""
        return [index for index in range(self.after) if index not in self.left_out]

    def had(self, operations: Iterable[int]) -> bool:
        """Whether S3 had all of these operations."""
        return all(index < self.after and index not in self.left_out for index in operations)


@dataclass(frozen=True)
class Pointer:
    """An upload of a file that names others: the uploads of each of these, and the newest upload before it of one that
    no earlier version of the file had named."""

    operation: int
    named: Sequence[tuple[int, ...]]
    newest: int | None


@dataclass(frozen=True)
class History:
    """A recorded run as the enumeration needs it. `ends_at`: when the script ended; `logged_at`: when it logged."""

    operations: Sequence[Operation]
    ends_at: float
    logged_at: Sequence[float] = ()
    saves: Sequence[tuple[int, ...]] = ()
    pointers: Sequence[Pointer] = ()
    needed: Sequence[frozenset[str]] = ()
    """For each save the families that belong with it: those of its own files, and what other saves have beside them."""
    first_uploads: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Family → its first few uploads."""

    @classmethod
    def of(cls, operations: Sequence[Operation], ends_at: float, logged_at: Sequence[float] = ()) -> History:
        """With its saves and its index files worked out."""
        saves, families = saves_of(operations, logged_at), _uploads_by_family(operations)
        first = {name: tuple(uploads[:_FEW]) for name, uploads in families.items()}
        needed = _needed(operations, saves, families)
        return cls(operations, ends_at, logged_at, saves, _pointers(operations), needed, first)


def nothing_was_saved(history: History, state: CrashState) -> bool:
    """Whether no save had wholly reached S3: then nobody need resume from anything. A save of one file is no whole one
    as long as none of what is elsewhere saved with it had come: a script may resume from that."""

    def came(name: str) -> bool:
        return any(state.had([upload]) for upload in history.first_uploads[name])

    return not any(
        state.had(save) and all(map(came, needed)) for save, needed in zip(history.saves, history.needed, strict=True)
    )


def nothing_was_left(history: History, state: CrashState) -> bool:
    """Whether the last save had wholly reached S3, and no progress was logged after it: then all work was done."""
    if not history.saves or not state.had(history.saves[-1]):
        return False
    began = min(history.operations[index].changed_at for index in history.saves[-1])
    return not any(at > began + SEEN_SECONDS for at in history.logged_at)


def whole_save_in(history: History, state: CrashState) -> tuple[str, ...]:
    """The files of the newest save that is wholly there, each as it was saved; of those that only name others, as an
    index does, any version. What is elsewhere saved with them has to be there in some version too."""
    operations, there = history.operations, {family(path) for path in state.objects}
    for save, needed in reversed(list(zip(history.saves, history.needed, strict=True))):
        files = [operations[index] for index in save]
        intact = all(
            state.objects.get(file.path) == file.digest or (file.names and file.path in state.objects) for file in files
        )
        if intact and state.had(save) and needed <= there:
            return tuple(file.path for file in files)
    return ()


def _uploads_by_family(operations: Sequence[Operation]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for index, operation in enumerate(operations):
        if operation.act is Act.PUT:
            found.setdefault(family(operation.path), []).append(index)
    return found


def _needed(
    operations: Sequence[Operation], saves: Sequence[Sequence[int]], uploads: Mapping[str, Sequence[int]]
) -> list[frozenset[str]]:
    """What came but once, as the model at the end does, belongs to no other save."""
    kinds = [frozenset(family(operations[index].path) for index in save) for save in saves]
    beside: dict[str, set[str]] = {}
    for families in set(kinds):
        often = {name for name in families if len(uploads[name]) > 1}
        for name in families:
            beside.setdefault(name, set()).update(often)
    return [families.union(*(beside[name] for name in families)) for families in kinds]


def _pointers(operations: Sequence[Operation]) -> list[Pointer]:
    uploads: dict[str, list[int]] = {}
    for index, operation in enumerate(operations):
        if operation.act is Act.PUT:
            uploads.setdefault(operation.path, []).append(index)
    found: list[Pointer] = []
    known: set[tuple[str, str]] = set()
    for index, operation in enumerate(operations):
        if operation.names:
            named = [tuple(uploads.get(name, ())) for name in operation.names]
            anew = [name for name in operation.names if (operation.path, name) not in known]
            earlier = [other for name in anew for other in uploads.get(name, ()) if other < index]
            found.append(Pointer(index, named, max(earlier, default=None)))
            known |= {(operation.path, name) for name in operation.names}
    return found
