"""The folder of a run: its timeline and logs as they happen, its report at the end, and how they are read again.

A run that is cut short leaves a readable folder too: every event is on disk as soon as it happened, the report is
written aside and renamed, and room for it is set aside at the start, so that a disk that fills up does not take it.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from simulator.core.errors import EnvironmentFailure, UsageError
from simulator.core.timeline import Event, Timeline, from_jsonl
from simulator.reports.json_report import SCHEMA_VERSION, build_report
from simulator.reports.record import RunRecord
from simulator.reports.salvage import record_of
from simulator.reports.wording import clean

REPORT = "report.json"
TIMELINE = "timeline.jsonl"
LOGS = "logs"
RESERVE = ".reserve"
RENDERED = ("report.html", "junit.xml", "summary.md", "badge.svg")
OURS = frozenset(
    {REPORT, TIMELINE, LOGS, RESERVE, "baseline-1", "baseline-2", *RENDERED}
    | {f".{name}.part" for name in (REPORT, TIMELINE, *RENDERED)}
)
RESERVED_BYTES = 1 << 20
LOG_TAIL_BYTES = 1 << 16

Warn = Callable[[str], None]


class RunFolder:
    """Takes a run down. Make it with `create`; it is a listener of events and log lines; then `write_report`, `close`.

    No listener ever raises: what could not be written is told once; `write_report` makes the timeline good, and raises
    for what stays lost.
    """

    def __init__(self, path: Path, timeline: BinaryIO, warn: Warn) -> None:
        self.path = path
        self._timeline, self._warn = timeline, warn
        self._logs: dict[int, BinaryIO] = {}
        self._log_failure: OSError | None = None
        self._timeline_is_whole = True
        self._told = False

    @classmethod
    def create(cls, path: Path, warn: Warn = lambda message: None) -> RunFolder:
        """Make the folder, or take an earlier run's over. Raises UsageError for a folder that is not a run's or that
        a living run is writing, and EnvironmentFailure where the disk does not let us."""
        try:
            path.mkdir(parents=True, exist_ok=True)
            names = {entry.name for entry in path.iterdir()}
            if names - OURS or (names and not names & {REPORT, TIMELINE}):
                raise _not_ours(path, sorted(names - OURS) or sorted(names))
            timeline = (path / TIMELINE).open("ab", buffering=0)
            _lock(timeline, path)
            for name in names - {TIMELINE}:
                _remove(path / name)
            timeline.truncate(0)
            (path / LOGS).mkdir()
            _reserve(path / RESERVE)
        except (FileExistsError, NotADirectoryError) as error:
            raise UsageError(
                f"{path} cannot hold a run", f"{error.filename or path} is a file", "give another folder to --out"
            ) from error
        except OSError as error:
            raise _disk(path, error) from error
        return cls(path, timeline, warn)

    def on_event(self, event: Event) -> None:
        """Append an event to timeline.jsonl; it is in the kernel's hands when this returns."""
        if not self._timeline_is_whole:
            return
        try:
            _append(self._timeline, event.to_json().encode() + b"\n")
        except OSError as error:
            self._timeline_is_whole = False
            self._tell(error)

    def on_log(self, attempt: int, line: bytes | str) -> None:
        """Append a line of the script's output to logs/attempt-N.log, byte for byte."""
        raw = line if isinstance(line, bytes) else line.encode("utf-8", "surrogateescape")
        try:
            if attempt not in self._logs:
                self._logs[attempt] = self.log_file(attempt).open("ab", buffering=0)
            _append(self._logs[attempt], raw + b"\n")
        except OSError as error:
            if self._log_failure is None:
                self._log_failure = error
                self._tell(error)

    def log_file(self, attempt: int) -> Path:
        """Where the output of an attempt goes."""
        return self.path / LOGS / f"attempt-{attempt}.log"

    def write_report(self, record: RunRecord) -> dict[str, Any]:
        """Write report.json, whole or not at all, and the timeline again if some of it could not be written. Returns
        the report. Raises EnvironmentFailure, after writing what could be, when anything is missing in the end."""
        with suppress(OSError):
            (self.path / RESERVE).unlink(missing_ok=True)
        lost = None if self._log_failure is None else _disk(self.path, self._log_failure)
        if lost is not None and record.partial is None:
            record = replace(record, partial=lost.what, partial_exit_code=lost.exit_code)
        report = build_report(record)
        try:
            _replace(self.path / REPORT, (json.dumps(report, indent=2, allow_nan=False) + "\n").encode())
            if not self._timeline_is_whole or not (self.path / TIMELINE).exists():
                _replace(self.path / TIMELINE, b"".join(event.to_json().encode() + b"\n" for event in record.timeline))
        except OSError as error:
            raise _disk(self.path, error) from error
        finally:
            self.close()
        if lost is not None:
            raise lost from self._log_failure
        return report

    def close(self) -> None:
        """Let go of the files. Safe to call again."""
        for file in [self._timeline, *self._logs.values()]:
            with suppress(OSError):
                file.close()
        with suppress(OSError):
            (self.path / RESERVE).unlink(missing_ok=True)

    def _tell(self, error: OSError) -> None:
        if not self._told:
            self._told = True
            self._warn(f"{self.path} cannot be written: {error.strerror or error}; the run goes on without")


@dataclass(frozen=True)
class LogTail:
    """The last lines of an attempt's log, made harmless; `left_out`: bytes of the file that come before them."""

    lines: Sequence[str]
    left_out: int


@dataclass(frozen=True)
class FinishedRun:
    """A run read from its folder; `baselines` are the timelines of its uninterrupted runs."""

    folder: Path
    report: dict[str, Any]
    timeline: Timeline
    baselines: Sequence[Timeline] = ()

    def log_tail(self, attempt: int, lines: int) -> LogTail | None:
        """The end of an attempt's log, None where it wrote none."""
        try:
            with (self.folder / LOGS / f"attempt-{attempt}.log").open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                start = file.seek(max(0, size - LOG_TAIL_BYTES))
                tail = file.read(LOG_TAIL_BYTES).split(b"\n")
        except OSError:
            return None
        ended = tail[:-1] if tail[-1] == b"" else tail
        shown = ended[-lines:]
        before = start + sum(len(line) + 1 for line in ended[: len(ended) - len(shown)])
        return LogTail([clean(line) for line in shown], before)


def read_run(path: Path) -> FinishedRun:
    """Read a run's folder. Where the report is missing, as the simulator itself was killed, it is made from the
    timeline. Raises UsageError for a folder that holds no run."""
    try:
        with (path / TIMELINE).open(encoding="utf-8", errors="replace") as lines:
            timeline = from_jsonl(lines)
        written = (path / REPORT).read_text() if (path / REPORT).exists() else None
        modified_at = (path / TIMELINE).stat().st_mtime
    except OSError as error:
        raise _no_run(path, error.strerror or str(error)) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _no_run(path, f"its {TIMELINE} cannot be read: {error}") from error
    try:
        report = (
            _checked(json.loads(written)) if written is not None else build_report(record_of(timeline, modified_at))
        )
    except (ValueError, KeyError, TypeError) as error:
        raise _no_run(path, f"its {REPORT if written is not None else TIMELINE} cannot be read: {error}") from error
    return FinishedRun(path, report, timeline, [found for number in (1, 2) if (found := _baseline(path, number))])


def _baseline(path: Path, number: int) -> Timeline | None:
    """An uninterrupted run's timeline; None where there is none that can be read, as nothing rests on it alone."""
    try:
        with (path / f"baseline-{number}" / TIMELINE).open(encoding="utf-8", errors="replace") as lines:
            return from_jsonl(lines)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _checked(report: Any) -> dict[str, Any]:
    if not isinstance(report, dict) or str(report["schema_version"]).split(".")[0] != SCHEMA_VERSION.split(".")[0]:
        raise ValueError("it is of another version of the simulator")
    return report


def _append(file: BinaryIO, content: bytes) -> None:
    """Write all of it, or take back what was written: a line is never left half."""
    before = file.seek(0, os.SEEK_END)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[file.write(rest) :]
    except OSError:
        with suppress(OSError):
            file.truncate(before)
        raise


def _replace(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.part")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(target)
    except OSError:
        aside.unlink(missing_ok=True)
        raise


def _reserve(path: Path) -> None:
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, RESERVED_BYTES)
        else:
            file.write(bytes(RESERVED_BYTES))


def _lock(timeline: BinaryIO, path: Path) -> None:
    try:
        fcntl.flock(timeline, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            return  # a file system without locks
        timeline.close()
        raise UsageError(
            f"another run is writing {path}", "its timeline is locked", "wait for it, or give another folder to --out"
        ) from error


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _not_ours(path: Path, names: list[str]) -> UsageError:
    shown = ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
    return UsageError(
        f"{path} is not empty and not a run's folder",
        f"it holds {shown}, and a run replaces only what an earlier run wrote",
        "give a new or empty folder to --out",
    )


def _no_run(path: Path, why: str) -> UsageError:
    return UsageError(f"{path} holds no run that can be read", why, "give the folder of a run, for example runs/NAME")


def _disk(path: Path, error: OSError) -> EnvironmentFailure:
    next_step = f"make room: df -h {path}" if error.errno in (errno.ENOSPC, errno.EDQUOT) else f"see ls -ld {path}"
    return EnvironmentFailure(
        f"the run's folder {path} cannot be written, or not all of it",
        f"{error.strerror or error}" + (f" ({error.filename})" if error.filename else ""),
        f"{next_step}; or give another folder to --out",
    )
