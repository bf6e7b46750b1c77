"""The distinct states of S3 that a reclaim could have left: what the next attempt of a job may find, and must survive.

From the operations of one recorded run, by the method of ALICE (Pillai et al., OSDI 2014) and CrashMonkey (Mohan et
al., OSDI 2018), whose bugs need three operations at most: every prefix; every prefix with some of the next operations
done and an earlier one not yet, as files go up one by one and in no order; and files captured while they were written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

from simulator.explore.crash_state import (
    CrashState,
    History,
    Objects,
    StateKind,
    Torn,
    nothing_was_left,
    nothing_was_saved,
    whole_save_in,
)
from simulator.explore.operations import Act, Operation
from simulator.explore.state_kinds import told

__all__ = [
    "CrashState",
    "History",
    "StateKind",
    "Torn",
    "crash_states",
    "nothing_was_left",
    "nothing_was_saved",
    "whole_save_in",
]

BOUND = 3  # so many operations are looked at beyond a prefix
IN_FLIGHT_SECONDS = 2.0
"""An upload may last so much longer than it did in the recorded run. AWS documents no bound: a named assumption."""
_MOMENT = 0.001


def crash_states(
    history: History, most: int | None = None, in_flight_seconds: float = IN_FLIGHT_SECONDS
) -> list[CrashState]:
    """The distinct states, the most telling first: of every kind in turn, spread over the run. At most `most`."""
    distinct: dict[tuple[frozenset[tuple[str, str]], bool], CrashState] = {}
    for state in _all(history, in_flight_seconds):
        # The same objects mean something else where there had been more: an empty prefix after a save was deleted.
        distinct.setdefault((frozenset(state.objects.items()), nothing_was_saved(history, state)), state)
    return _most_telling_first([told(history, state) for state in distinct.values()])[:most]


# Enumeration.


def _all(history: History, in_flight_seconds: float) -> Iterator[CrashState]:
    """Every state, plain prefixes first, so that of two with equal content the simplest counts."""
    operations = history.operations
    count = len(operations)
    prefixes: list[Objects] = [{}]
    for operation in operations:
        prefixes.append(_with(prefixes[-1], [operation]))
    for after in range(count + 1):
        yield _state(history, prefixes[after], after, ())
    for first in range(count):
        before = prefixes[first]
        for done in _ahead(operations, first, in_flight_seconds):
            held = _with(before, [operations[index] for index in done])
            yield _state(history, held, done[-1] + 1, _outstanding(first, done))
        for cut in operations[first].cuts:
            torn = Torn(first, operations[first].aside or operations[first].path, cut)
            captured = {**before, torn.path: cut.digest}
            yield _state(history, captured, first, (), torn)
            if torn.path == operations[first].path and 0 < cut.kept < operations[first].bytes - 1:
                for done in _ahead(operations, first, in_flight_seconds):
                    held = _with(captured, [operations[index] for index in done])
                    yield _state(history, held, done[-1] + 1, _outstanding(first, done), torn)


def _ahead(operations: Sequence[Operation], first: int, in_flight_seconds: float) -> Iterator[tuple[int, ...]]:
    """Which of the operations after one may all have been done while that was still under way."""
    may = [
        index
        for index in range(first + 1, min(len(operations), first + BOUND))
        if operations[index].began_at < operations[first].ended_at + in_flight_seconds
    ]
    for size in range(1, BOUND):
        yield from combinations(may, size)


def _outstanding(first: int, done: Sequence[int]) -> tuple[int, ...]:
    return tuple(index for index in range(first, done[-1]) if index not in done)


def _state(
    history: History, objects: Objects, after: int, left_out: tuple[int, ...], torn: Torn | None = None
) -> CrashState:
    name = _name(history.operations, after, left_out, torn)
    at = _instant(history, after, left_out, torn)
    return CrashState(name, StateKind.IN_ORDER, objects, after, "", at, left_out, torn)


def _with(objects: Objects, operations: Iterable[Operation]) -> Objects:
    held = dict(objects)
    for operation in operations:
        if operation.act is Act.PUT:
            held[operation.path] = operation.digest
        else:
            held.pop(operation.path, None)
    return held


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


def _name(operations: Sequence[Operation], after: int, left_out: Sequence[int], torn: Torn | None) -> str:
    name = f"after-{after}" + "".join(f"-without-{index + 1}" for index in left_out)
    if torn is None:
        return name
    operation = operations[torn.operation]
    tail = "-over-the-old" if torn.cut.tail else ""
    aside = "-aside" if torn.path != operation.path else ""
    return f"{name}-torn-{torn.operation + 1}{aside}-{torn.cut.kept}-of-{operation.bytes}{tail}"


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
