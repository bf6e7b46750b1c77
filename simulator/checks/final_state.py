"""The models and last checkpoints that runs leave, held against each other: equal in content, or what of them is not.

Logs and tables beside a model (by their suffix) are no part of it, unless there is nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from simulator.checks.evidence import Evidence
from simulator.checks.file_names import is_bookkeeping
from simulator.checks.states import StateDifference, StateRead, difference, last_checkpoint, left_at_end
from simulator.core.timeline import Event, Kind

States = Mapping[str, StateRead]
_SUBSTANCE_BYTES = 128

NO_CHECKPOINT = "the last checkpoint: the uninterrupted run left none that could be compared"


def states_compared(evidence: Evidence) -> tuple[list[str], str | None]:
    """What is shown by the content of models and last checkpoints, and why tier 1 is not; None when it is."""
    shown, lacking = _model_compared(evidence)
    if lacking is not None:
        return [], lacking
    more, lacking = _checkpoint_compared(evidence)
    return shown + more, lacking


def _model_compared(evidence: Evidence) -> tuple[list[str], str | None]:
    first, *others = [_models(baseline) for baseline in evidence.baselines]
    if not first:
        return [], "no model was written that could be compared"
    return _compared("the model's content", "the models", _models(evidence), first, others)


def _checkpoint_compared(evidence: Evidence) -> tuple[list[str], str | None]:
    first, *others = [last_checkpoint(baseline) for baseline in evidence.baselines]
    if not first:
        return [], None
    # A file of another kind, which only a restart makes (a save on SIGTERM under a name of its own), is no difference.
    mine = {name: state for name, state in last_checkpoint(evidence).items() if name in first}
    return _compared("the last checkpoint", "the last checkpoints", mine, first, others)


def _compared(
    what: str, plural: str, mine: States, first: States, others: Sequence[States]
) -> tuple[list[str], str | None]:
    for other in others:
        if (unlike := _unlike(other, first)) is not None:
            why = f"{plural} of two uninterrupted runs differ: {unlike}"
            return [], f"not available: {why}; the restart is not to blame"
    if (unlike := _unlike(mine, first)) is not None:
        return [], f"{what} differs from the uninterrupted run's: {unlike}"
    return [f"{what}: equal to the uninterrupted run's ({_described(mine)})"], None


def result_differs(evidence: Evidence) -> bool | None:
    """Whether what was trained is something else than the uninterrupted runs', which agree. The model tells, or where
    it is too small to be one (scripts under test often write a line of text) the last checkpoint. None when neither
    can: they are not there, could not be read, or do not agree."""
    models = [_models(run) for run in (evidence, *evidence.baselines)]
    model = _differs(*models)
    if model or (model is False and sum(state.bytes for state in models[0].values()) >= _SUBSTANCE_BYTES):
        return model
    mine, first, *others = [last_checkpoint(run) for run in (evidence, *evidence.baselines)]
    return _differs({name: state for name, state in mine.items() if name in first}, first, *others)


def _differs(mine: States, first: States, *others: States) -> bool | None:
    """None where they cannot be compared: a file that only one has, or that could not be read, is no difference."""
    if not first or not others or any(_unlike(other, first) for other in others):
        return None
    unlike = _unlike(mine, first)
    return isinstance(unlike, StateDifference) if not isinstance(unlike, str) else None


def _models(evidence: Evidence) -> States:
    """The model by path: as it was read tensor by tensor, or where it was not, by each file's digest."""
    read = left_at_end(evidence, "model")
    event = evidence.last(Kind.MODEL_FILES, evidence.attempts[-1]) if evidence.attempts and not read else None
    if event is not None:
        read = {path: _by_digest(event, path, facts) for path, facts in event.data["files"].items()}
    return {path: state for path, state in read.items() if not is_bookkeeping(path)} or read


def _by_digest(event: Event, path: str, facts: Mapping[str, Any]) -> StateRead:
    digest, size = str(facts["digest"]), int(facts["bytes"])
    unread = "it cannot be read" if digest == "unreadable" else ""
    return StateRead(event.attempt, event.at, path, "bytes", digest, unread=unread, bytes=size)


def _unlike(mine: States, other: States) -> StateDifference | str | None:
    """How the first state that differs does; None when all are equal."""
    lacking = sorted(other.keys() - mine.keys()) or sorted(mine.keys() - other.keys())
    for name in sorted(mine.keys() & other.keys()):
        for state in (mine[name], other[name]):
            if state.unread:
                return f"{state.path} could not be compared: {state.unread}"
        unlike = difference(mine[name], other[name])
        if unlike is not None:
            return unlike
    return f"only one of them has {({**mine, **other})[lacking[0]].path}" if lacking else None


def _described(states: States) -> str:
    """`model.keras: 30 parts, keras`, or for several files their number."""
    if len(states) > 2:
        return f"{len(states)} files, {sum(len(state.tensors) for state in states.values())} parts"
    told = []
    for state in states.values():
        named = [name for name in state.tensors if name]
        parts = f"{len(named)} parts, {state.format}" if named else "by its bytes"
        left_out = f", {', '.join(state.left_out)} left out" if state.left_out else ""
        told.append(f"{state.path}: {parts}{left_out}")
    return "; ".join(told)
