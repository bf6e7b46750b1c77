"""Where every checkpoint file got to: written, on its way, in S3 when the instance went, given back. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulator.core.timeline import Event, Kind, Timeline

FILES, FILES_OF_ALL = 200, 600  # rows of one attempt and about so many of all; what is left out is counted


@dataclass(frozen=True)
class FileRow:
    """One file in one attempt. `lag_seconds`: from its last write to its last arrival in S3."""

    path: str
    bytes: int
    writes: int
    written_at: float | None
    durable_at: float | None
    lag_seconds: float | None
    state: str
    safe: bool
    given_back: bool | None


@dataclass(frozen=True)
class Custody:
    """The files of one attempt: newest first. `passing` were written and removed again, as temporary files are."""

    attempt: int
    files: Sequence[FileRow]
    left_out: int
    passing: int
    durable_files: int
    durable_bytes: int


class _File:
    def __init__(self) -> None:
        self.bytes, self.writes = 0, 0
        self.written_at: float | None = None
        self.durable_at: float | None = None
        self.lag_seconds: float | None = None
        self.deleted = self.abandoned = self.stale = False


def custody(timeline: Timeline) -> list[Custody]:
    """Every attempt's files."""
    attempts = timeline.attempts
    events: dict[int, list[Event]] = {number: [] for number in attempts}
    for event in timeline:
        if event.attempt in events:
            events[event.attempt].append(event)
    restored = {number: _manifest(events[number], "restored") for number in attempts}
    most = max(8, min(FILES, FILES_OF_ALL // max(1, len(attempts))))
    return [_custody(number, events[number], restored.get(number + 1), most) for number in attempts]


def _custody(number: int, events: Sequence[Event], back: Mapping[str, Any] | None, most: int) -> Custody:
    files: dict[str, _File] = {}
    for event in events:
        _take_in(files, event)
    kept = _manifest(events, "kill")
    kept = kept if kept is not None else _manifest(events, "end")
    rows, passing = [], 0
    for path in {*files, *(kept or {})}:
        file = files.get(path, _File())
        in_s3 = path in kept if kept is not None else file.durable_at is not None and not file.deleted
        if file.deleted and not in_s3 and file.durable_at is None:
            passing += 1
            continue
        state, safe = _state(file, in_s3, kept is not None)
        size = int(((kept or {}).get(path) or {}).get("bytes", 0)) or file.bytes
        given = path in back if back is not None and in_s3 else None
        rows.append(
            FileRow(path, size, file.writes, file.written_at, file.durable_at, file.lag_seconds, state, safe, given)
        )
    rows.sort(key=lambda row: (-(row.written_at or 0.0), row.path))
    rows.sort(key=lambda row: row.state == _DELETED)
    held = kept.values() if kept is not None else []
    return Custody(
        number,
        rows[:most],
        max(0, len(rows) - most),
        passing,
        len(held),
        sum(int((facts or {}).get("bytes", 0)) for facts in held),
    )


def _take_in(files: dict[str, _File], event: Event) -> None:
    path = str(event.data.get("path", ""))
    match event.kind:
        case Kind.FILE_CHANGED:
            file = files.setdefault(path, _File())
            file.bytes, file.written_at = int(event.data.get("bytes", 0)), event.at
            file.deleted, file.stale = False, True
        case Kind.FILE_SETTLED:
            file = files.setdefault(path, _File())
            file.bytes, file.writes = int(event.data.get("bytes", 0)), file.writes + 1
            file.deleted = False
        case Kind.FILE_DELETED:
            files.setdefault(path, _File()).deleted = True
        case Kind.UPLOAD_STARTED:
            files.setdefault(path, _File()).stale = False
        case Kind.UPLOAD_FINISHED:
            file = files.setdefault(path, _File())
            file.durable_at, file.abandoned = event.at, False
            lag = event.data.get("lag_seconds")
            file.lag_seconds = float(lag) if lag is not None else None
        case Kind.UPLOAD_ABANDONED | Kind.UPLOAD_FAILED:
            files.setdefault(path, _File()).abandoned = True


_DELETED = "removed by the script"


def _state(file: _File, in_s3: bool, known: bool) -> tuple[str, bool]:
    if in_s3 and (file.stale or file.abandoned):
        return "an older version is in S3", False
    if in_s3:
        return "in S3" if known else "uploaded", True
    if file.abandoned:
        return "cut off on its way to S3", False
    return (_DELETED, True) if file.deleted else ("not in S3", False)


def _manifest(events: Sequence[Event], when: str) -> Mapping[str, Any] | None:
    for event in events:
        if event.kind is Kind.MANIFEST and event.data.get("when") == when:
            files = event.data.get("files")
            return files if isinstance(files, Mapping) else None
    return None
