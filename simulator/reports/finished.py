"""A run read from its folder again, also where the simulator was killed before it wrote the report."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.core.errors import UsageError
from simulator.core.hosts import as_judged, hosts_of, log_to_read
from simulator.core.timeline import Timeline, from_jsonl
from simulator.explore.trials_file import TRIALS
from simulator.reports.json_report import SCHEMA_VERSION, build_report
from simulator.reports.salvage import record_of
from simulator.reports.wording import clean

REPORT = "report.json"
TIMELINE = "timeline.jsonl"
LOGS = "logs"
LOG_TAIL_BYTES = 1 << 16


@dataclass(frozen=True)
class LogTail:
    """The last lines of an attempt's log, made harmless; `left_out`: bytes of the file that come before them."""

    lines: Sequence[str]
    left_out: int


@dataclass(frozen=True)
class FinishedRun:
    """A run read from its folder, of several hosts as one story (see `as_judged`); `baselines` are the timelines of its
    uninterrupted runs."""

    folder: Path
    report: dict[str, Any]
    timeline: Timeline
    baselines: Sequence[Timeline] = ()

    def log_tail(self, attempt: int, lines: int) -> LogTail | None:
        """The end of an attempt's log, None where it wrote none."""
        try:
            name = log_to_read(attempt, hosts_of(self.timeline))
            with (self.folder / LOGS / name).open("rb") as file:
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
    told = as_judged(timeline)
    return FinishedRun(path, report, told, [found for number in (1, 2) if (found := _baseline(path, number))])


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


def _no_run(path: Path, why: str) -> UsageError:
    if (path / TRIALS).exists() and not (path / REPORT).exists():
        return UsageError(
            f"the search in {path} has no report yet",
            f"it was killed before it wrote one; {TRIALS} holds its results so far",
            f"go on with it: spot-simulator explore … --resume {path}",
        )
    return UsageError(f"{path} holds no run that can be read", why, "give the folder of a run, for example runs/NAME")
