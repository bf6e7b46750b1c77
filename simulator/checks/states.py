"""What STATE events tell: the models and last checkpoints that runs left, and checkpoints of the same step compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from simulator.checks.evidence import Evidence
from simulator.checks.file_names import family, is_temporary, may_be_a_checkpoint
from simulator.checks.tensors import Role, role_of
from simulator.core.timeline import Event, Kind

_SHOWN = 4


@dataclass(frozen=True)
class StateRead:
    """One state as it was read."""

    attempt: int
    at: float
    path: str
    format: str
    digest: str
    tensors: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    left_out: Sequence[str] = ()
    unread: str = ""
    bytes: int = 0

    def roles(self) -> Mapping[str, Role]:
        """Each tensor's role."""
        return {name: role_of(name, facts) for name, facts in self.tensors.items()}

    @property
    def position(self) -> tuple[tuple[str, object], ...]:
        """The step, epoch and the like that it holds, where they are named so."""
        return tuple(
            (name, facts["value"])
            for name, facts in sorted(self.tensors.items())
            if facts.get("value") is not None and role_of(name, facts) is Role.POSITION
        )


@dataclass(frozen=True)
class StateDifference:
    """Two states that should be equal and are not. `tensors`: name → (the interrupted run's facts, the other's), for
    what both hold; `only_one`: what only one holds."""

    mine: StateRead
    other: StateRead
    tensors: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]]
    only_one: Sequence[str]

    def with_role(self, *roles: Role) -> list[str]:
        """The names of what differs in these roles."""
        return [name for name, (facts, _) in self.tensors.items() if role_of(name, facts) in roles]

    def __str__(self) -> str:
        named = [name for name in (*self.tensors, *self.only_one) if name]
        if not named:
            return f"{self.mine.path}: other bytes"
        shown = ", ".join(named[:_SHOWN]) + (", …" if len(named) > _SHOWN else "")
        total = len({*self.mine.tensors, *self.other.tensors})
        return f"{self.mine.path}: {len(named)} of {total} parts differ ({shown})"


def left_at_end(evidence: Evidence, place: str) -> dict[str, StateRead]:
    """Path → what was found there when the job ended."""
    return {state.path: state for key, state in _read(evidence) if key == (place, "end")}


def written(evidence: Evidence) -> list[StateRead]:
    """Checkpoints as they were read after each write, in order. What is written aside may have been read half-way."""
    read = [state for (place, when), state in _read(evidence) if place == "checkpoints" and when == "written"]
    return [state for state in read if not is_temporary(state.path)]


def last_checkpoint(evidence: Evidence) -> dict[str, StateRead]:
    """The newest file of each kind that is left at the end, by the family of their names: a script that counts its
    saves names them otherwise after a restart, and the files of one save need not be written at one moment."""
    versions = evidence.files.versions
    newest: dict[str, tuple[float, str, StateRead]] = {}
    for path, state in left_at_end(evidence, "checkpoints").items():
        if may_be_a_checkpoint(path):
            at = max((version.started_at for version in versions.get(path, ())), default=0.0)
            newest[family(path)] = max(newest.get(family(path), (at, path, state)), (at, path, state), key=_age)
    return {name: state for name, (_, _, state) in newest.items()}


def _age(found: tuple[float, str, StateRead]) -> tuple[float, str]:
    return found[:2]


def difference(mine: StateRead, other: StateRead) -> StateDifference | None:
    """How two states differ; None when they are equal."""
    if mine.digest == other.digest and not mine.unread and not other.unread:
        return None
    tensors = {
        name: (facts, other.tensors[name])
        for name, facts in mine.tensors.items()
        if name in other.tensors and not _same(facts, other.tensors[name])
    }
    return StateDifference(mine, other, tensors, sorted(mine.tensors.keys() ^ other.tensors.keys()))


def same_step_pairs(evidence: Evidence, baseline: Evidence, from_attempt: int) -> list[tuple[StateRead, StateRead]]:
    """The checkpoints that resumed attempts wrote, each with the uninterrupted run's of the same step: of the same
    path, and of the same position where a path was written several times."""
    mine = [state for state in written(evidence) if state.attempt >= from_attempt]
    theirs = written(baseline)
    often = {path for states in (mine, theirs) for path in _more_than_once(states)}
    others: dict[tuple[object, ...], StateRead] = {}
    for state in theirs:
        if state.path not in often or state.position:
            others[_key(state, often)] = state
    pairs = []
    for state in mine:
        other = others.get(_key(state, often)) if state.path not in often or state.position else None
        if other is not None:
            pairs.append((state, other))
    return pairs


def _key(state: StateRead, often: set[str]) -> tuple[object, ...]:
    return (state.path, state.position) if state.path in often else (state.path,)


def _more_than_once(states: Iterable[StateRead]) -> set[str]:
    seen: set[str] = set()
    again: set[str] = set()
    for state in states:
        (again if state.path in seen else seen).add(state.path)
    return again


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one.get(key) == other.get(key) for key in ("shape", "dtype", "digest"))


def _read(evidence: Evidence) -> list[tuple[tuple[str, str], StateRead]]:
    return evidence.once(_read_all)


def _read_all(evidence: Evidence) -> list[tuple[tuple[str, str], StateRead]]:
    return [
        ((str(event.data.get("place")), str(event.data.get("when"))), _state(event))
        for attempt in evidence.attempts
        for event in evidence.of(Kind.STATE, attempt)
    ]


def _state(event: Event) -> StateRead:
    data = event.data
    return StateRead(
        event.attempt,
        event.at,
        str(data["path"]),
        str(data.get("format", "")),
        str(data.get("digest", "")),
        data.get("tensors") or {},
        [str(name) for name in data.get("left_out", ())],
        str(data.get("unread", "")),
        int(data.get("bytes", 0)),
    )
