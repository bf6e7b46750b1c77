"""The folder of a run: its timeline and logs as they happen, its reports at the end.

A run that is cut short leaves a readable folder too: every event is on disk as soon as it happened, the report is
written aside and renamed, and room for it is set aside at the start, so that a disk that fills up does not take it.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from simulator.core.errors import EnvironmentFailure, UsageError
from simulator.core.hosts import log_name
from simulator.core.timeline import Event
from simulator.explore.pytest_case import CASE
from simulator.explore.recording import RECORDING
from simulator.explore.replay import REPLAY
from simulator.explore.trials_file import SEARCH, TRIALS
from simulator.reports.finished import LOGS, REPORT, TIMELINE, FinishedRun, read_run
from simulator.reports.json_report import build_report
from simulator.reports.record import RunRecord
from simulator.reports.render import RENDERED, render, replace_file

__all__ = ["LOGS", "REPORT", "TIMELINE", "FinishedRun", "RunFolder", "read_run"]

RESERVE = ".reserve"
OF_A_SEARCH = frozenset({TRIALS, SEARCH, REPLAY, CASE, RECORDING})
OURS = frozenset(
    {REPORT, TIMELINE, LOGS, RESERVE, "baseline-1", "baseline-2", *RENDERED, *OF_A_SEARCH}
    | {f".{name}.part" for name in (REPORT, TIMELINE, *RENDERED)}
)
RESERVED_BYTES = 1 << 20

Warn = Callable[[str], None]


class RunFolder:
    """Takes a run down. Make it with `create`; it is a listener of events and log lines; then `write_report`, `close`.

    No listener ever raises: what could not be written is told once; `write_report` makes the timeline good, and raises
    for what stays lost.
    """

    def __init__(self, path: Path, timeline: BinaryIO, warn: Warn) -> None:
        self.path = path
        self._timeline, self._warn = timeline, warn
        self._logs: dict[Path, BinaryIO] = {}
        self._log_failure: OSError | None = None
        self._timeline_is_whole = True
        self._told = False

    @classmethod
    def create(cls, path: Path, warn: Warn = lambda message: None, keep: Collection[str] = frozenset()) -> RunFolder:
        """Make the folder, or take an earlier run's over, of which nothing is left but what is in `keep` (the results
        of a search that goes on). Raises UsageError for a folder that is not a run's or that a living run is writing,
        and EnvironmentFailure where the disk does not let us."""
        try:
            path.mkdir(parents=True, exist_ok=True)
            names = {entry.name for entry in path.iterdir()}
            if names - OURS or (names and not names & {REPORT, TIMELINE}):
                raise _not_ours(path, sorted(names - OURS) or sorted(names))
            timeline = (path / TIMELINE).open("ab", buffering=0)
            _lock(timeline, path)
            for name in names - {TIMELINE, *keep}:
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

    def on_log(self, attempt: int, line: bytes | str, host: str = "") -> None:
        """Append a line of the script's output to its log file, byte for byte."""
        raw = line if isinstance(line, bytes) else line.encode("utf-8", "surrogateescape")
        try:
            path = self.log_file(attempt, host)
            if path not in self._logs:
                self._logs[path] = path.open("ab", buffering=0)
            _append(self._logs[path], raw + b"\n")
        except OSError as error:
            if self._log_failure is None:
                self._log_failure = error
                self._tell(error)

    def log_file(self, attempt: int, host: str = "") -> Path:
        """Where the output of an attempt goes, or of one of its hosts: logs/attempt-N.log, logs/attempt-N.HOST.log."""
        return self.path / LOGS / log_name(attempt, host)

    def write_report(self, record: RunRecord) -> dict[str, Any]:
        """Write report.json, whole or not at all, the timeline again if some of it could not be written, and then the
        reports that are made from these. Returns the report. Raises EnvironmentFailure, after writing what could be,
        when anything is missing in the end; a report for people that fails is only a warning."""
        with suppress(OSError):
            (self.path / RESERVE).unlink(missing_ok=True)
        lost = None if self._log_failure is None else _disk(self.path, self._log_failure)
        if lost is not None and record.partial is None:
            record = replace(record, partial=lost.what, partial_exit_code=lost.exit_code)
        report = build_report(record)
        try:
            self._put(report)
            if not self._timeline_is_whole or not (self.path / TIMELINE).exists():
                replace_file(
                    self.path / TIMELINE, b"".join(event.to_json().encode() + b"\n" for event in record.timeline)
                )
            self._render(report)
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

    def _put(self, report: dict[str, Any]) -> None:
        replace_file(self.path / REPORT, (json.dumps(report, indent=2, allow_nan=False) + "\n").encode())

    def _render(self, report: dict[str, Any]) -> None:
        """The reports for people. report.json is safe by now, and what fails here is one more of its warnings."""
        try:
            failed = render(read_run(self.path))
        except Exception as error:  # noqa: BLE001 - what cannot be read back must not take the verdict with it
            failed = [f"no report for people could be made: {type(error).__name__}: {error}"]
        if failed:
            report["warnings"] += failed
            with suppress(OSError):
                self._put(report)
            for line in failed:
                self._warn(line)

    def _tell(self, error: OSError) -> None:
        if not self._told:
            self._told = True
            self._warn(f"{self.path} cannot be written: {error.strerror or error}; the run goes on without")


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


def _disk(path: Path, error: OSError) -> EnvironmentFailure:
    next_step = f"make room: df -h {path}" if error.errno in (errno.ENOSPC, errno.EDQUOT) else f"see ls -ld {path}"
    return EnvironmentFailure(
        f"the run's folder {path} cannot be written, or not all of it",
        f"{error.strerror or error}" + (f" ({error.filename})" if error.filename else ""),
        f"{next_step}; or give another folder to --out",
    )
