"""The timeline as lanes: an attempt each, its phases as spans, what happened at an instant as marks. Pure; the picture
and its table are both made from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from simulator.core.timeline import Event, Kind, Timeline
from simulator.reports.progress import Progress
from simulator.reports.sentences import sentence

MOMENTS = 400  # sentences of the table; what is left out is in timeline.jsonl


class Phase(StrEnum):
    """What an instance is doing; the value is what people read."""

    STARTING = "starting"
    RESTORING = "downloading"
    TRAINING = "training"
    NOTICE = "training under notice"
    GRACE = "after SIGTERM"
    FINISHING = "uploading"


class Sign(StrEnum):
    """What happens at an instant; the value is what people read."""

    NOTICE = "notice"
    SIGTERM = "SIGTERM"
    SIGKILL = "SIGKILL"
    GONE = "gone"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"
    SAVE = "save"
    UPLOAD = "in S3"
    LOST = "upload lost"


@dataclass(frozen=True)
class Span:
    """A phase, in run seconds."""

    phase: Phase
    start: float
    end: float


@dataclass(frozen=True)
class Mark:
    """A sign, at a run second; `path` is the file that it is about."""

    sign: Sign
    at: float
    path: str = ""


@dataclass(frozen=True)
class Lane:
    """One attempt."""

    attempt: int
    start: float
    end: float
    outcome: str | None
    spans: Sequence[Span]
    signals: Sequence[Mark]
    saves: Sequence[Mark]
    uploads: Sequence[Mark]
    transfers: Sequence[tuple[float, float]]  # from an upload's start to its end, in run seconds


@dataclass(frozen=True)
class Moment:
    """A line of the table beside the picture."""

    at: float
    attempt: int
    text: str


_ENDS = {"reclaimed": Sign.GONE, "completed": Sign.COMPLETED, "failed": Sign.FAILED, "stopped": Sign.STOPPED}


def lanes(timeline: Timeline) -> list[Lane]:
    """A lane for each attempt, in order."""
    by_attempt: dict[int, list[Event]] = defaultdict(list)
    for event in timeline:
        by_attempt[event.attempt].append(event)
    return [_lane(number, by_attempt[number]) for number in sorted(by_attempt) if number > 0]


def moments(timeline: Timeline) -> tuple[list[Moment], int]:
    """What people were told while it ran, and how many sentences in the middle were left out."""
    progress, told = Progress(), list[Moment]()
    for event in timeline:
        before = progress.status
        progress.on_event(event)
        text = sentence(event, before, progress)
        if text:
            told.append(Moment(event.at, event.attempt, text))
    left_out = max(0, len(told) - MOMENTS)
    return (told[: MOMENTS // 2] + told[-MOMENTS // 2 :] if left_out else told), left_out


def _lane(number: int, events: Sequence[Event]) -> Lane:
    start, last_at = events[0].at, max(event.at for event in events)
    ended = _first(events, Kind.ATTEMPT_ENDED)
    end = ended.at if ended else last_at
    outcome = str(ended.data.get("outcome")) if ended else None
    return Lane(
        attempt=number,
        start=start,
        end=end,
        outcome=outcome,
        spans=_spans(events, start, end),
        signals=_signals(events, outcome, end),
        saves=[Mark(Sign.SAVE, e.at, str(e.data.get("path", ""))) for e in events if e.kind is Kind.FILE_SETTLED],
        uploads=[
            Mark(Sign.UPLOAD if e.kind is Kind.UPLOAD_FINISHED else Sign.LOST, e.at, str(e.data.get("path", "")))
            for e in events
            if e.kind in (Kind.UPLOAD_FINISHED, Kind.UPLOAD_FAILED, Kind.UPLOAD_ABANDONED)
        ],
        transfers=_transfers(events, end),
    )


def _spans(events: Sequence[Event], start: float, end: float) -> list[Span]:
    """The phases begin where their event is; one whose event is missing is left out, and one ends where the next
    begins."""
    exited = _first(events, Kind.PROCESS_EXITED) or _first(events, Kind.KILLED)
    starts = [(start, Phase.STARTING)]
    for phase, event in (
        (Phase.RESTORING, _status(events, "Downloading") or _first(events, Kind.RESTORE_STARTED)),
        (Phase.TRAINING, _status(events, "Training") or _first(events, Kind.PROCESS_STARTED)),
        (Phase.NOTICE, _first(events, Kind.NOTICE_GIVEN)),
        (Phase.GRACE, _sigterm(events)),
        (Phase.FINISHING, exited),
    ):
        if event is not None and (exited is None or event.at <= exited.at):
            starts.append((min(event.at, end), phase))
    starts.sort(key=lambda item: item[0])
    ends = [at for at, _ in starts[1:]] + [end]
    return [Span(phase, at, until) for (at, phase), until in zip(starts, ends, strict=True) if until > at]


def _signals(events: Sequence[Event], outcome: str | None, end: float) -> list[Mark]:
    marks = []
    for sign, event in (
        (Sign.NOTICE, _first(events, Kind.NOTICE_GIVEN)),
        (Sign.SIGTERM, _sigterm(events)),
        (Sign.SIGKILL, next((e for e in events if e.kind is Kind.KILLED and e.data.get("observed")), None)),
    ):
        if event is not None:
            marks.append(Mark(sign, event.at))
    if outcome in _ENDS:
        marks.append(Mark(_ENDS[outcome], end))
    return marks


def _transfers(events: Sequence[Event], end: float) -> list[tuple[float, float]]:
    under_way: dict[str, float] = {}
    done = []
    for event in events:
        path = str(event.data.get("path", ""))
        if event.kind is Kind.UPLOAD_STARTED:
            under_way[path] = event.at
        elif event.kind in (Kind.UPLOAD_FINISHED, Kind.UPLOAD_FAILED, Kind.UPLOAD_ABANDONED) and path in under_way:
            done.append((under_way.pop(path), event.at))
    return done + [(at, end) for at in under_way.values()]


def _first(events: Iterable[Event], kind: Kind) -> Event | None:
    return next((event for event in events if event.kind is kind), None)


def _status(events: Iterable[Event], name: str) -> Event | None:
    return next((e for e in events if e.kind is Kind.SECONDARY_STATUS and e.data.get("status") == name), None)


def _sigterm(events: Iterable[Event]) -> Event | None:
    return next(
        (
            event
            for event in events
            if event.kind is Kind.SIGNAL_SENT
            and event.data.get("signal") == "SIGTERM"
            and event.data.get("delivered", True)
        ),
        None,
    )
