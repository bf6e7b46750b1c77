"""A hand-made timeline of one host, made one of several: what the engine records where the job has more instances."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from simulator.core.timeline import Event, Kind, Timeline

OF_ALL = frozenset(
    {
        Kind.RUN_STARTED,
        Kind.ATTEMPT_STARTED,
        Kind.SECONDARY_STATUS,
        Kind.TRIGGER_FIRED,
        Kind.NOTICE_GIVEN,
        Kind.MANIFEST,
        Kind.WARNING,
        Kind.INSTANCE_WIPED,
        Kind.ATTEMPT_ENDED,
        Kind.RUN_FINISHED,
    }
)
SAID = frozenset({Kind.METRIC, Kind.SAMPLES, Kind.LOG_LINE, Kind.LOG_MATCHED})
FILES = frozenset(
    {Kind.FILE_CHANGED, Kind.FILE_SETTLED, Kind.FILE_DELETED, Kind.OBJECT_DELETED}
    | {Kind.UPLOAD_STARTED, Kind.UPLOAD_FINISHED, Kind.UPLOAD_ABANDONED, Kind.UPLOAD_FAILED}
)
HOSTS = ("algo-1", "algo-2")

Change = Callable[[Event], Event | None]


def event_with(event: Event, at: float | None = None, **data: Any) -> Event:
    """The event, otherwise."""
    return Event(event.at if at is None else at, event.kind, event.attempt, {**event.data, **data})


def on_hosts(timeline: Timeline, follower: Change, hosts: Sequence[str] = HOSTS) -> Timeline:
    """The leader does what the only host did; `follower` says what of each event the other hosts do too."""
    events: list[Event] = []
    for event in timeline:
        if event.kind is Kind.ATTEMPT_STARTED:
            events.append(event_with(event, host=hosts[0], hosts=list(hosts)))
        elif event.kind in OF_ALL or event.data.get("process") is False:
            events.append(event)
        else:
            events.append(event_with(event, host=hosts[0]))
            for host in hosts[1:]:
                copy = follower(event)
                if copy is not None:
                    events.append(event_with(copy, host=host))
    return Timeline(sorted(events, key=lambda event: event.at))


def only_lives(event: Event) -> Event | None:
    """A follower that prints and saves nothing."""
    if event.kind is Kind.MODEL_FILES:
        return event_with(event, files={})
    if event.kind is Kind.WRITTEN_PATHS:
        return event_with(event, paths=[])
    if event.kind is Kind.PROCESS_EXITED:
        return event_with(event, log_tail=[], log_about_checkpoints=[])
    return None if event.kind in SAID | FILES or event.kind in (Kind.STATE, Kind.FILE_WRITERS) else event


def saves_too(timeline: Timeline, late: float = 0.0, talks: bool = False, digest: str = "") -> Change:
    """A follower that writes what the leader writes, a little later; with a `digest` of its own it has other bytes."""
    ends = {event.attempt: event.at for event in timeline.of(Kind.ATTEMPT_ENDED)}
    ends |= {event.attempt: event.at for event in timeline.of(Kind.KILLED)}

    def follow(event: Event) -> Event | None:
        if event.kind in SAID:
            return event if talks else None
        if event.kind not in FILES:
            return only_lives(event) if event.kind is Kind.PROCESS_EXITED else event
        end = ends.get(event.attempt, float("inf"))
        if event.at + late > end:
            lost = event.kind is Kind.UPLOAD_FINISHED
            return Event(end, Kind.UPLOAD_ABANDONED, event.attempt, dict(event.data)) if lost else None
        other = {"digest": event.data["digest"] + digest} if digest and "digest" in event.data else {}
        return event_with(event, event.at + late, **other)

    return follow


def renamed(change: Change, name: Callable[[str], str]) -> Change:
    """The same follower, with files of its own name."""

    def follow(event: Event) -> Event | None:
        copy = change(event)
        return event_with(copy, path=name(copy.data["path"])) if copy is not None and "path" in copy.data else copy

    return follow


def with_files(timeline: Timeline, name: Callable[[str], str]) -> Timeline:
    """Manifests hold the followers' files too: what each of the leader's has, under another name."""

    def more(files: Mapping[str, Any]) -> dict[str, Any]:
        return {**files, **{name(path): facts for path, facts in files.items()}}

    def events() -> Iterator[Event]:
        for event in timeline:
            is_manifest = event.kind is Kind.MANIFEST
            yield event_with(event, files=more(event.data["files"])) if is_manifest else event

    return Timeline(events())
