"""The distinct states of S3 that a reclaim could have left: what the next attempt of a job may find, and must survive.

From the operations of one recorded run, by the method of ALICE (Pillai et al., OSDI 2014) and CrashMonkey (Mohan et
al., OSDI 2018), whose bugs need three operations at most: every prefix; every prefix with some of the next operations
done and an earlier one not yet, as files go up one by one and in no order; and files captured while they were written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import combinations

from simulator.checkpoints.s3 import PART_BYTES
from simulator.explore.operations import Act, Cut, Operation
from simulator.explore.saves import saves_of

BOUND = 3  # so many operations are looked at beyond a prefix
IN_FLIGHT_SECONDS = 2.0
"""An upload may last so much longer than it did in the recorded run. AWS documents no bound: a named assumption."""
SEEN_SECONDS = 0.1  # how late a log line may be read
_MOMENT = 0.001


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
    objects: Mapping[str, str]
    after: int
    how: str
    at_seconds: float
    left_out: tuple[int, ...] = ()
    torn: Torn | None = None

    @property
    def done(self) -> list[int]:
        """The indices of the operations that S3 had."""
        return [index for index in range(self.after) if index not in self.left_out]


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

    @classmethod
    def of(cls, operations: Sequence[Operation], ends_at: float, logged_at: Sequence[float] = ()) -> History:
        """With its saves and its index files worked out."""
        return cls(operations, ends_at, logged_at, saves_of(operations, logged_at), _pointers(operations))


def crash_states(
    history: History, most: int | None = None, in_flight_seconds: float = IN_FLIGHT_SECONDS
) -> list[CrashState]:
    """The distinct states, the most telling first: of every kind in turn, spread over the run. At most `most`."""
    distinct: dict[tuple[frozenset[tuple[str, str]], bool], CrashState] = {}
    for state in _all(history, in_flight_seconds):
        # The same objects mean something else where there had been more: an empty prefix after a save was deleted.
        distinct.setdefault((frozenset(state.objects.items()), nothing_was_saved(history, state)), state)
    return _most_telling_first(list(distinct.values()))[:most]


def nothing_was_saved(history: History, state: CrashState) -> bool:
    """Whether no save had wholly reached S3: then nobody need resume from anything."""
    done = set(state.done)
    return not any(done.issuperset(save) for save in history.saves)


def nothing_was_left(history: History, state: CrashState) -> bool:
    """Whether the last save had wholly reached S3, and no progress was logged after it: then all work was done."""
    if not history.saves or not set(state.done).issuperset(history.saves[-1]):
        return False
    began = min(history.operations[index].changed_at for index in history.saves[-1])
    return not any(at > began + SEEN_SECONDS for at in history.logged_at)


# Enumeration.


def _all(history: History, in_flight_seconds: float) -> Iterator[CrashState]:
    """Every state, plain prefixes first, so that of two with equal content the simplest counts."""
    count = len(history.operations)
    for after in range(count + 1):
        yield _state(history, after, ())
    ahead = [
        (first, done)
        for first in range(count)
        for size in range(1, BOUND)
        for done in combinations(range(first + 1, min(count, first + BOUND)), size)
        if _may_overtake(history.operations, first, done, in_flight_seconds)
    ]
    for first, done in ahead:
        yield _state(history, done[-1] + 1, _outstanding(first, done))
    for index, operation in enumerate(history.operations):
        for cut in operation.cuts:
            torn = Torn(index, operation.aside or operation.path, cut)
            yield _state(history, index, (), torn)
            if operation.aside:
                continue
            for first, done in ahead:
                if first == index and 0 < cut.kept < operation.bytes - 1:
                    yield _state(history, done[-1] + 1, _outstanding(first, done), torn)


def _outstanding(first: int, done: Sequence[int]) -> tuple[int, ...]:
    return tuple(index for index in range(first, done[-1]) if index not in done)


def _may_overtake(operations: Sequence[Operation], first: int, done: Sequence[int], in_flight_seconds: float) -> bool:
    """Whether all of `done` can have been in S3 while `first` was still under way."""
    return all(operations[index].began_at < operations[first].ended_at + in_flight_seconds for index in done)


def _state(history: History, after: int, left_out: tuple[int, ...], torn: Torn | None = None) -> CrashState:
    operations = history.operations
    objects: dict[str, str] = {}
    for index in range(after):
        if torn is not None and index == torn.operation:
            objects[torn.path] = torn.cut.digest  # its whole is on its way
        if index not in left_out:
            _apply(objects, operations[index])
    if torn is not None and torn.operation >= after:
        objects[torn.path] = torn.cut.digest
    state = CrashState(
        _name(operations, after, left_out, torn),
        StateKind.IN_ORDER,
        objects,
        after,
        "",
        _instant(history, after, left_out, torn),
        left_out,
        torn,
    )
    kind = _kind(history, state)
    return replace(state, kind=kind, how=_how(operations, state, kind))


def _apply(objects: dict[str, str], operation: Operation) -> None:
    if operation.act is Act.PUT:
        objects[operation.path] = operation.digest
    else:
        objects.pop(operation.path, None)


def _instant(history: History, after: int, left_out: Sequence[int], torn: Torn | None) -> float:
    """When the instance went. After a plain prefix half-way to what came next, as training had gone on by then."""
    operations = history.operations
    if not operations:
        return history.ends_at - _MOMENT
    begins = operations[after - 1].ended_at if after else operations[0].began_at - 2 * _MOMENT
    if torn is not None and torn.path != operations[torn.operation].path:
        at = max(begins + _MOMENT, operations[torn.operation].changed_at - _MOMENT)  # just before it was renamed
    elif torn is not None:
        at = max(begins, operations[torn.operation].changed_at + 2 * _MOMENT) + _MOMENT
    elif left_out or after == 0:
        at = begins + _MOMENT
    else:
        ends = operations[after].ended_at if after < len(operations) else history.ends_at
        at = (begins + max(begins, ends)) / 2
    return min(at, history.ends_at - _MOMENT)


# What is odd about a state, and how to say it.


def _kind(history: History, state: CrashState) -> StateKind:
    if state.torn is not None:
        return StateKind.TORN
    operations, done = history.operations, set(state.done)
    kinds = {_of_save(operations, save, state, done) for save in history.saves}
    if StateKind.MIXED in kinds:
        return StateKind.MIXED
    if _index_disagrees(history, state, done):
        return StateKind.INDEX
    if any(operations[index].bytes > PART_BYTES for index in _under_way(operations, state)):
        return StateKind.MULTIPART
    if StateKind.INCOMPLETE in kinds:
        return StateKind.INCOMPLETE
    return StateKind.REORDERED if state.left_out else StateKind.IN_ORDER


def _of_save(
    operations: Sequence[Operation], save: Sequence[int], state: CrashState, done: set[int]
) -> StateKind | None:
    """Whether S3 holds a part of a save, and an earlier one's files in place of the others."""
    there = [i for i in save if i in done and state.objects.get(operations[i].path) == operations[i].digest]
    missing = [operations[i] for i in save if i not in done]
    if not there or not missing:
        return None
    mixed = any(  # an index that is older has a kind of its own
        state.objects.get(operation.path, operation.digest) != operation.digest
        for operation in missing
        if not operation.names
    )
    return StateKind.MIXED if mixed else StateKind.INCOMPLETE


def _under_way(operations: Sequence[Operation], state: CrashState) -> list[int]:
    """The uploads that had begun and were not done when the instance went."""
    return [
        index
        for index, operation in enumerate(operations)
        if operation.act is Act.PUT
        and (index in state.left_out or (index >= state.after and operation.began_at <= state.at_seconds))
    ]


def _index_disagrees(history: History, state: CrashState, done: set[int]) -> bool:
    """A file in S3 names others that never came, or one that names what came last has not come itself."""
    operations = history.operations
    for pointer in history.pointers:
        operation = operations[pointer.operation]
        if pointer.operation in done:
            is_there = state.objects.get(operation.path) == operation.digest
            if is_there and not all(done.intersection(uploads) for uploads in pointer.named):
                return True
        elif operation.path in state.objects and pointer.newest in done:
            return True
    return False


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


def _name(operations: Sequence[Operation], after: int, left_out: Sequence[int], torn: Torn | None) -> str:
    name = f"after-{after}" + "".join(f"-without-{index + 1}" for index in left_out)
    if torn is None:
        return name
    operation = operations[torn.operation]
    tail = "-over-the-old" if torn.cut.tail else ""
    aside = "-aside" if torn.path != operation.path else ""
    return f"{name}-torn-{torn.operation + 1}{aside}-{torn.cut.kept}-of-{operation.bytes}{tail}"


def _how(operations: Sequence[Operation], state: CrashState, kind: StateKind) -> str:
    """The state in a sentence."""
    total = len(operations)
    told = f"S3 had {_count(len(state.done))} of the run's {total}"
    if state.after and state.after - 1 not in state.left_out:
        told += f", the last one {_told(operations[state.after - 1])}"
    waiting = [operations[index] for index in state.left_out]
    if waiting:
        told += f"; before that, still under way: {', '.join(_told(operation) for operation in waiting)}"
    if state.torn is not None:
        told += f"; {state.torn.path} had gone up while it was written: {_capture(operations, state.torn)}"
    large = [operations[i] for i in _under_way(operations, state) if operations[i].bytes > PART_BYTES]
    if large:
        told += f"; the multipart upload of {large[0].path} ({large[0].bytes} bytes) was never completed"
    return f"{kind.value}: {told}."


def _count(count: int) -> str:
    return f"{count} change" if count == 1 else f"{count} changes"


def _told(operation: Operation) -> str:
    return operation.path if operation.act is Act.PUT else f"the deletion of {operation.path}"


def _capture(operations: Sequence[Operation], torn: Torn) -> str:
    size = operations[torn.operation].bytes
    if torn.cut.kept == 0:
        return "empty"
    rest = ", and the rest of the version before" if torn.cut.tail else ""
    return f"{torn.cut.kept} of {size} bytes{rest}"


# Order.


def _most_telling_first(states: Sequence[CrashState]) -> list[CrashState]:
    """Odd states before plain ones; of every kind in turn; within a kind spread over the run, its middle first."""
    odd = [kind for kind in StateKind if kind not in (StateKind.REORDERED, StateKind.IN_ORDER)]
    ordered: list[CrashState] = []
    for kinds in (odd, [StateKind.REORDERED, StateKind.IN_ORDER]):
        queues = [_spread([state for state in states if state.kind is kind]) for kind in kinds]
        for place in range(max(map(len, queues), default=0)):
            ordered += [queue[place] for queue in queues if place < len(queue)]
    return ordered


def _spread(states: Sequence[CrashState]) -> list[CrashState]:
    """The middle, then the middles of the halves, and so on, so that any beginning of it covers the run."""
    by_time = sorted(states, key=lambda state: (state.at_seconds, state.name))
    ordered: list[CrashState] = []
    ranges = [(0, len(by_time))]
    while ranges:
        following = []
        for low, high in ranges:
            if low < high:
                middle = (low + high) // 2
                ordered.append(by_time[middle])
                following += [(low, middle), (middle + 1, high)]
        ranges = following
    return ordered
