"""The append-only record of what happened; everything shown or judged is computed from it and the manifests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What can happen. The comment after each kind names the fields of its events' `data`. Where a job has several
    hosts, what happened on one of them also has `host`."""

    RUN_STARTED = "run-started"  # job, CheckpointConfig or null, StoppingCondition, interruptions, profile, seed, …
    ATTEMPT_STARTED = "attempt-started"  # host
    SECONDARY_STATUS = "secondary-status"  # status, message
    PROCESS_STARTED = "process-started"  # identity (container id or pid)
    PROCESS_EXITED = "process-exited"  # exit_code, after_sigterm, log_tail, log_about_checkpoints (the first lines)
    PROCESSES = "processes"  # when, processes: [{pid, ppid, command, catches_sigterm, ignores_sigterm, blocks_sigterm}]
    # and of each pends_sigterm, state, wchan, started; when: before-sigterm, after-sigterm, before-sigkill; looked_at
    METRIC = "metric"  # name, value, line
    LOG_MATCHED = "log-matched"  # regex, line
    LOG_LINE = "log-line"  # line: one of the first after the notice or SIGTERM, or one that speaks of the end
    RESTORE_STARTED = "restore-started"  # objects, bytes
    OBJECT_RESTORED = "object-restored"  # path, bytes, seconds
    RESTORE_FINISHED = "restore-finished"  # objects, bytes, seconds
    FILE_CHANGED = "file-changed"  # path, bytes; a write under the checkpoint path was seen (may be still growing)
    FILE_SETTLED = "file-settled"  # path, bytes; the write seemed finished (no change for one scan)
    FILE_DELETED = "file-deleted"  # path
    FILE_WRITERS = "file-writers"  # writes; of the files that several processes wrote: files: {path: [{pid, first_at,
    # last_at, writes, bytes}]} in order, processes: {pid: {pid, ppid, command}}; none where it could not be seen
    UPLOAD_STARTED = "upload-started"  # path, bytes
    UPLOAD_FINISHED = "upload-finished"  # path, bytes, seconds, lag_seconds, digest
    UPLOAD_FAILED = "upload-failed"  # path, error
    UPLOAD_ABANDONED = "upload-abandoned"  # path, bytes: in flight or waiting when the instance went
    OBJECT_DELETED = "object-deleted"  # path
    TRIGGER_FIRED = "trigger-fired"  # interruption, trigger
    NOTICE_GIVEN = "notice-given"  # scheduled_at, terminate_at
    SIGNAL_SENT = "signal-sent"  # signal, scheduled_at, sending_at (before the call), delivered, log_tail
    KILLED = "killed"  # scheduled_at, observed
    MANIFEST = "manifest"  # when (kill | before-restore | restored | end), files: {path: {bytes, digest}}
    WRITTEN_PATHS = "written-paths"  # paths: [{path, bytes}] written outside the mounts, by the container's diff
    MODEL_FILES = "model-files"  # files: {path: {bytes, digest}} under /opt/ml/model
    STATE = "state"  # place (checkpoints | model), when (written | end), path, format, bytes, digest,
    #                  tensors: {name: {shape, dtype, digest, value?}}, left_out?, unread?: only with --baseline
    SAMPLES = "samples"  # epoch, step, ids, source (log | sidecar); or truncated: why there are no more
    INSTANCE_WIPED = "instance-wiped"  # left: what could not be removed
    ATTEMPT_ENDED = "attempt-ended"  # outcome (reclaimed | completed | failed | stopped), exit_code
    WARNING = "warning"  # message
    RUN_FINISHED = "run-finished"  # status, exit_code


ORDERED_KINDS = frozenset(
    {
        Kind.RUN_STARTED,
        Kind.ATTEMPT_STARTED,
        Kind.SECONDARY_STATUS,
        Kind.PROCESS_STARTED,
        Kind.PROCESS_EXITED,
        Kind.RESTORE_STARTED,
        Kind.RESTORE_FINISHED,
        Kind.TRIGGER_FIRED,
        Kind.NOTICE_GIVEN,
        Kind.SIGNAL_SENT,
        Kind.KILLED,
        Kind.INSTANCE_WIPED,
        Kind.ATTEMPT_ENDED,
        Kind.RUN_FINISHED,
    }
)
"""The kinds whose order one plan and one script decide; transfers and metrics interleave as the machine has it."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened `at` seconds (monotonic) into the run; `attempt` is 0 outside any attempt."""

    at: float
    kind: Kind
    attempt: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """One line of timeline.jsonl."""
        return json.dumps(
            {"at": round(self.at, 6), "attempt": self.attempt, "kind": self.kind.value, **self.data},
            default=str,
        )


Listener = Callable[[Event], None]


class Timeline:
    """Events in the order they were recorded; a view, with the few questions that every reader asks."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self._events: list[Event] = list(events)

    def append(self, event: Event) -> None:
        """Add what happened last."""
        self._events.append(event)

    def __iter__(self) -> Iterator[Event]:
        return iter(self._events)

    def __len__(self) -> int:
        return len(self._events)

    def of(self, *kinds: Kind, attempt: int | None = None) -> list[Event]:
        """Events of these kinds, of one attempt or of all."""
        return [
            event for event in self._events if event.kind in kinds and (attempt is None or event.attempt == attempt)
        ]

    def first(self, kind: Kind, attempt: int | None = None) -> Event | None:
        """The first event of a kind, if any."""
        return next(iter(self.of(kind, attempt=attempt)), None)

    def last(self, kind: Kind, attempt: int | None = None) -> Event | None:
        """The last event of a kind, if any."""
        return next(reversed(self.of(kind, attempt=attempt)), None)

    @property
    def attempts(self) -> list[int]:
        """The attempts' numbers, from 1."""
        return [event.attempt for event in self.of(Kind.ATTEMPT_STARTED)]


def from_jsonl(lines: Iterable[str]) -> Timeline:
    """Read timeline.jsonl back; a last line cut by a crash is left out."""
    timeline = Timeline()
    for line in lines:
        try:
            fields = json.loads(line)
        except json.JSONDecodeError:
            break
        at, attempt, kind = fields.pop("at"), fields.pop("attempt"), Kind(fields.pop("kind"))
        timeline.append(Event(at, kind, attempt, fields))
    return timeline
