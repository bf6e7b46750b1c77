"""--state-dir: every job's record on disk, so that a server that starts again knows the jobs of the one before."""

from __future__ import annotations

import fcntl
import json
import threading
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from simulator.core.errors import EnvironmentFailure, UsageError
from simulator.core.lifecycle import MESSAGES, SecondaryStatus
from simulator.core.plan import ExitAfterSigterm, Plan, Profile, parse_when
from simulator.core.timeline import Event, Kind, from_jsonl
from simulator.reports.finished import TIMELINE
from simulator.reports.render import replace_file
from simulator.service.jobs import JobEntry
from simulator.service.request_job import job_of_request, safe_name

LOST = "InternalServerError: spot-simulator serve ended without notice while the job ran, and started again"
JOBS = "jobs"
LOCK = ".lock"


class StateFolder:
    """One server's folder. Raises UsageError where another server has it, EnvironmentFailure where it cannot be
    written."""

    def __init__(self, path: Path) -> None:
        self._jobs = path / JOBS
        self._writing = threading.Lock()
        try:
            self._jobs.mkdir(parents=True, exist_ok=True)
            self._lock: BinaryIO = (path / LOCK).open("ab")
        except OSError as error:
            raise EnvironmentFailure(
                f"the state folder {path} cannot be written", str(error), "give another folder to --state-dir"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise UsageError(
                f"another server has the state folder {path}", "it is locked", "end that server, or give another folder"
            ) from error

    def keep(self, entry: JobEntry, is_known: bool = True) -> None:
        """Write a job's record, whole or not at all; remove it where the job is forgotten. A disk that does not take it
        costs the record, and not the job."""
        with self._writing, suppress(OSError):
            if is_known:
                replace_file(self._file(entry), json.dumps(_record(entry), default=str).encode())
            else:
                self._file(entry).unlink(missing_ok=True)

    def load(self) -> list[JobEntry]:
        """The jobs of earlier servers; one that ran when its server ended is Failed, and says why."""
        entries = []
        for file in sorted(self._jobs.glob("*.json")):
            try:
                entry = _entry(json.loads(file.read_text()))
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise UsageError(
                    f"{file} is no record of a job", f"{type(error).__name__}: {error}", f"remove it: rm {file}"
                ) from error
            entries.append(entry)
            self.keep(entry)
        return entries

    def close(self) -> None:
        """Let go of the folder."""
        self._lock.close()

    def _file(self, entry: JobEntry) -> Path:
        return self._jobs / f"{entry.region}.{safe_name(entry.name)}.json"


def _record(entry: JobEntry) -> dict[str, Any]:
    return {
        "request": entry.request,
        "region": entry.region,
        "tags": entry.tags,
        "created_at": entry.created_at.isoformat(),
        "started_at": entry.started_at.isoformat(),
        "folder": str(entry.folder) if entry.folder is not None else None,
        "failure_reason": entry.failure_reason,
        "verdict": entry.verdict,
        "verdict_told": entry.verdict_told,
        "is_over": entry.is_over,
        "plan": asdict(entry.plan) | {"interruptions": [trigger.text for trigger in entry.plan.interruptions]},
    }


def _entry(record: dict[str, Any]) -> JobEntry:
    told = record["plan"]
    plan = Plan(
        tuple(parse_when(text) for text in told["interruptions"]),
        Profile(**told["profile"]),
        told["restart_delay_seconds"],
        tuple(told["capacity_gaps_seconds"]),
        ExitAfterSigterm(told["exit_after_sigterm"]),
        told["seed"],
    )
    entry = JobEntry(
        request=record["request"],
        region=record["region"],
        job=job_of_request(record["request"], record["region"]),
        plan=plan,
        tags=record["tags"],
        created_at=datetime.fromisoformat(record["created_at"]),
        started_at=datetime.fromisoformat(record["started_at"]),
        folder=Path(record["folder"]) if record["folder"] else None,
        failure_reason=record["failure_reason"],
        verdict=record["verdict"],
        verdict_told=record.get("verdict_told"),
    )
    if entry.folder is not None:
        with suppress(OSError):
            entry.timeline = from_jsonl((entry.folder / TIMELINE).read_text().splitlines())
    for event in entry.timeline:
        entry.take(event)
    if not entry.is_over:
        _end(entry)
    entry.reported.set()
    return entry


def _end(entry: JobEntry) -> None:
    """The job ran when its server ended without a word."""
    entry.failure_reason = entry.failure_reason or LOST
    failed = {"status": SecondaryStatus.FAILED.value, "message": MESSAGES[SecondaryStatus.FAILED]}
    at = max(0.0, (datetime.now(UTC) - entry.started_at).total_seconds())
    event = Event(at, Kind.SECONDARY_STATUS, 0, failed)
    entry.timeline.append(event)
    entry.take(event)
    if entry.folder is not None:
        with suppress(OSError), (entry.folder / TIMELINE).open("a") as file:
            file.write(event.to_json() + "\n")
