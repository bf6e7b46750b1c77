"""One timeline of two halves: a recorded run up to the moment its instance went, and an attempt at what S3 held then.

The first half is what an engine would have recorded of an instance lost without notice (the profile `sudden`): what had
not reached S3 is abandoned, and nothing that came later is in it. So the judge sees such a state as it sees a kill.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from simulator.core.lifecycle import MESSAGES, SecondaryStatus
from simulator.core.plan import PROFILES
from simulator.core.timeline import Event, Kind, Timeline
from simulator.explore.operations import Act, Operation
from simulator.explore.recording import Recording, as_manifest
from simulator.explore.states import CrashState, Torn

PROFILE = PROFILES["sudden"]
KILLED_CODE = 137  # 128 + SIGKILL
RESTART_SECONDS = 0.1
_MOMENT = 0.0001
FILE_KINDS = (Kind.FILE_CHANGED, Kind.FILE_SETTLED, Kind.FILE_DELETED)
_AFTERWARDS = frozenset(
    {Kind.PROCESS_EXITED, Kind.MODEL_FILES, Kind.WRITTEN_PATHS, Kind.FILE_WRITERS, Kind.ATTEMPT_ENDED, Kind.KILLED}
)
"""What is only told once an attempt has ended."""


def spliced(recording: Recording, state: CrashState, resumed: Timeline) -> Timeline:
    """The recorded run until the state's moment, the loss of its instance, and the attempt that followed as the
    second."""
    history = [_as_planned(event, state) for event in _first_half(recording, state)]
    starts = [event.at for event in resumed if event.kind is not Kind.RUN_STARTED]
    shift = history[-1].at + RESTART_SECONDS - min(starts, default=0.0)
    second = [
        replace(_shifted(event, shift), attempt=event.attempt + 1 if event.attempt else 0)
        for event in resumed
        if event.kind is not Kind.RUN_STARTED
    ]
    return Timeline([*history, *second])


def _as_planned(event: Event, state: CrashState) -> Event:
    if event.kind is not Kind.RUN_STARTED:
        return event
    planned = {"interruptions": [state.name], "profile": asdict(PROFILE), "restart_delay_seconds": RESTART_SECONDS}
    return replace(event, data={**event.data, **planned})


def _shifted(event: Event, seconds: float) -> Event:
    """Later by so many seconds; instants in an event's own data move along."""
    data = dict(event.data)
    for name in ("scheduled_at", "terminate_at", "sending_at", "observed_at"):
        if isinstance(data.get(name), int | float):
            data[name] += seconds
    return replace(event, at=event.at + seconds, data=data)


def _first_half(recording: Recording, state: CrashState) -> list[Event]:
    kept = list(_kept(recording, state))
    if state.torn is not None:
        at = _captured_at(recording.operations, state, state.torn)
        place = sum(1 for event in kept if event.at <= at)
        kept[place:place] = _capture(state.torn, recording.operations[state.torn.operation], at)
    return kept + list(_loss(recording, state, kept))


def _kept(recording: Recording, state: CrashState) -> Iterator[Event]:
    """What had happened by then. What belongs to an operation that S3 had, and was seen only after the script had
    ended, was in time."""
    at, matched, done = state.at_seconds, _operations_by_event(recording), set(state.done)
    for event in recording.timeline:
        operation = matched.get(id(event))
        if operation is not None and event.kind is not Kind.UPLOAD_STARTED:
            if operation in done:
                yield replace(event, at=min(event.at, at))
        elif operation is not None:
            if operation in done or (event.at <= at and not _is_superseded(recording.operations, operation, state)):
                yield replace(event, at=min(event.at, at))
        elif event.kind in _AFTERWARDS:
            continue
        elif event.kind is Kind.FILE_SETTLED and _is_of_torn_write(recording.operations, state, event):
            continue  # it was still being written
        elif event.at <= at or (event.kind in FILE_KINDS and _led_to(recording.operations, state, done, event)):
            yield replace(event, at=min(event.at, at))


def _operations_by_event(recording: Recording) -> dict[int, int]:
    """id(event) → operation, of the events that an operation comes to: its upload's beginning and end, its deletion.
    Those of one path follow each other as its operations do."""
    told: dict[tuple[Act, str], list[int]] = {}
    for index, operation in enumerate(recording.operations):
        told.setdefault((operation.act, operation.path), []).append(index)
    matched: dict[int, int] = {}
    seen: Counter[tuple[Act, str]] = Counter()
    began: dict[str, Event] = {}
    for event in recording.timeline.of(Kind.UPLOAD_STARTED, Kind.UPLOAD_FINISHED, Kind.OBJECT_DELETED, attempt=1):
        path = str(event.data["path"])
        if event.kind is Kind.UPLOAD_STARTED:
            began[path] = event
            continue
        key = (Act.DELETE if event.kind is Kind.OBJECT_DELETED else Act.PUT, path)
        matched[id(event)] = index = told[key][seen[key]]
        seen[key] += 1
        if key[0] is Act.PUT and path in began:
            matched[id(began.pop(path))] = index
    return matched


def _is_superseded(operations: Sequence[Operation], operation: int, state: CrashState) -> bool:
    """Whether an upload that S3 never had need not have begun: a later version of the path went up in its place, or the
    file was still being written."""
    if state.torn is not None and state.torn.operation == operation:
        return True
    path = operations[operation].path
    return any(index > operation and operations[index].path == path for index in state.done)


def _is_of_torn_write(operations: Sequence[Operation], state: CrashState, event: Event) -> bool:
    if state.torn is None or str(event.data["path"]) != state.torn.path:
        return False
    return event.at >= operations[state.torn.operation].changed_at


def _led_to(operations: Sequence[Operation], state: CrashState, done: set[int], event: Event) -> bool:
    """Whether a change of a file is what an operation that S3 had, or a capture, came of."""
    path = str(event.data["path"])
    chosen = [operations[index] for index in done] + ([operations[state.torn.operation]] if state.torn else [])
    return any(operation.path == path and event.at <= operation.began_at for operation in chosen)


def _captured_at(operations: Sequence[Operation], state: CrashState, torn: Torn) -> float:
    """When a file went up while it was being written: once it was seen to change, and the upload before was over."""
    operation = operations[torn.operation]
    if torn.path != operation.path:
        return state.at_seconds - 3 * _MOMENT
    before = [other.ended_at for other in operations[: torn.operation] if other.path == torn.path]
    return min(max([operation.changed_at, *before]), state.at_seconds - 3 * _MOMENT)


def _capture(torn: Torn, operation: Operation, at: float) -> Iterator[Event]:
    """The upload of a file while it was being written."""
    size = {"path": torn.path, "bytes": torn.cut.bytes}
    if torn.path != operation.path:
        yield Event(at, Kind.FILE_CHANGED, 1, size)
    yield Event(at + _MOMENT, Kind.UPLOAD_STARTED, 1, size)
    took = {"seconds": _MOMENT, "lag_seconds": 2 * _MOMENT, "digest": torn.cut.digest}
    yield Event(at + 2 * _MOMENT, Kind.UPLOAD_FINISHED, 1, {**size, **took})


def _loss(recording: Recording, state: CrashState, before: Sequence[Event]) -> Iterator[Event]:
    """The end of the first instance, in the engine's order (`engine/attempt_run.py`)."""
    at = state.at_seconds

    def event(kind: Kind, data: Mapping[str, Any]) -> Event:
        return Event(at + _MOMENT, kind, 1, data)

    yield event(Kind.TRIGGER_FIRED, {"interruption": 1, "observed_at": at})
    yield event(Kind.KILLED, {"scheduled_at": at, "observed": True, "process": True})
    ended = {"exit_code": KILLED_CODE, "after_sigterm": False, "log_tail": [], "log_about_checkpoints": []}
    yield event(Kind.PROCESS_EXITED, ended)
    for path, size in sorted(_abandoned(before).items()):
        yield event(Kind.UPLOAD_ABANDONED, {"path": path, "bytes": size})
    yield event(Kind.MANIFEST, {"when": "kill", "files": as_manifest(recording, state)})
    yield event(Kind.MODEL_FILES, {"files": {}})
    yield event(Kind.WRITTEN_PATHS, {"paths": []})
    status = SecondaryStatus.INTERRUPTED
    told = {"status": status.value, "message": MESSAGES.get(status, "")}
    yield event(Kind.SECONDARY_STATUS, told)
    yield event(Kind.ATTEMPT_ENDED, {"outcome": "reclaimed", "exit_code": KILLED_CODE, "failure_reason": ""})
    yield event(Kind.INSTANCE_WIPED, {"left": []})


def _abandoned(events: Sequence[Event]) -> dict[str, int]:
    """Path → bytes of the files on the disk that were changed, or begun to go up, after the last upload that ended."""
    waiting: dict[str, int] = {}
    for event in events:
        match event.kind:
            case Kind.FILE_CHANGED | Kind.FILE_SETTLED | Kind.UPLOAD_STARTED:
                waiting[str(event.data["path"])] = int(event.data["bytes"])
            case Kind.UPLOAD_FINISHED | Kind.FILE_DELETED:
                waiting.pop(str(event.data["path"]), None)
    return waiting
