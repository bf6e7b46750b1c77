"""The events of one run as it is told to people: interrupted at step 40, resumed at step 41, completed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from simulator.core.job import CheckpointConfig, TrainingJob
from simulator.core.plan import Plan, parse_when, profile_named
from simulator.core.timeline import Event, Kind, Timeline
from simulator.reports.record import RunRecord
from simulator.verdict import judge

STARTED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PROFILE = profile_named("two-minute", 5, 20)
FIDELITY = "no container: the script sees this machine"


def story(status: str = "Completed") -> Iterator[Event]:
    """The events, in order. Training trains from 0.1 s; notice at 8.1 s, SIGTERM at 13.1 s, gone at 13.5 s."""
    yield Event(
        0,
        Kind.RUN_STARTED,
        0,
        {
            "job": "my-job",
            "CheckpointConfig": {"S3Uri": "s3://spot/my-job", "LocalPath": "/opt/ml/checkpoints"},
            "interruptions": ["step=40"],
            "profile": asdict(PROFILE),
            "seed": 7,
            "runtime": "process",
            "fidelity_lost": [FIDELITY],
        },
    )
    yield from _attempt_begins(0, 1, {})
    yield from _steps(1, 0.1, range(1, 46))
    yield from _taken_away()
    kept = {f"ck-{i}.npz": {"bytes": 1200, "digest": f"d{i}"} for i in range(1, 5)}
    yield Event(13.5, Kind.MANIFEST, 1, {"when": "kill", "files": kept})
    yield from _statuses(13.5, 1, "Interrupted")
    yield Event(13.5, Kind.ATTEMPT_ENDED, 1, {"outcome": "reclaimed", "exit_code": 0, "failure_reason": ""})
    yield Event(13.6, Kind.INSTANCE_WIPED, 1, {"left": []})
    yield from _attempt_begins(33.7, 2, kept)
    yield from _steps(2, 33.8, range(41, 61))
    failed = status == "Failed"
    code = 1 if failed else 0
    yield Event(38, Kind.PROCESS_EXITED, 2, {"exit_code": code, "after_sigterm": False, "log_tail": []})
    if not failed:
        yield from _statuses(38.1, 2, "Uploading")
    yield Event(38.2, Kind.MANIFEST, 2, {"when": "end", "files": kept})
    yield Event(38.2, Kind.MODEL_FILES, 2, {"files": {"model.npz": {"bytes": 3, "digest": "m"}}})
    yield Event(38.2, Kind.WRITTEN_PATHS, 2, {"paths": []})
    ended = {"outcome": status.lower(), "exit_code": code, "failure_reason": "out of memory" if failed else ""}
    yield Event(38.3, Kind.ATTEMPT_ENDED, 2, ended)
    yield Event(38.3, Kind.INSTANCE_WIPED, 2, {"left": []})
    yield from _statuses(38.3, 0, status)
    yield Event(38.3, Kind.RUN_FINISHED, 0, {"status": status, "exit_code": code, "failure_reason": ""})


def until(seconds: float) -> list[Event]:
    """What had happened by then."""
    return [event for event in story() if event.at <= seconds]


def record(events: Sequence[Event] | None = None, **fields: Any) -> RunRecord:
    """The record of these events, the whole story by default."""
    timeline = Timeline(story() if events is None else events)
    known: dict[str, Any] = {
        "job": TrainingJob("my-job", CheckpointConfig("s3://spot/my-job"), HyperParameters={"epochs": "6"}),
        "plan": Plan((parse_when("step=40"),), PROFILE, restart_delay_seconds=20, seed=7),
        "timeline": timeline,
        "started_at": STARTED_AT,
        "verdict": judge(timeline),
        "runtime": "process",
        "fidelity_lost": [FIDELITY],
        "versions": {"python": "3"},
    }
    return RunRecord(**(known | fields))


def _statuses(at: float, attempt: int, *names: str) -> Iterator[Event]:
    for name in names:
        yield Event(at, Kind.SECONDARY_STATUS, attempt, {"status": name, "message": f"it is {name}"})


def _attempt_begins(at: float, number: int, files: dict[str, dict[str, Any]]) -> Iterator[Event]:
    facts = {"objects": len(files), "bytes": sum(file["bytes"] for file in files.values())}
    yield Event(at, Kind.ATTEMPT_STARTED, number, {"host": "algo-1"})
    yield from _statuses(at, number, "Starting", "Downloading")
    yield Event(at, Kind.MANIFEST, number, {"when": "before-restore", "files": files})
    yield Event(at, Kind.RESTORE_STARTED, number, facts)
    yield Event(at + 0.1, Kind.RESTORE_FINISHED, number, {**facts, "seconds": 0.1})
    yield Event(at + 0.1, Kind.MANIFEST, number, {"when": "restored", "files": files})
    yield from _statuses(at + 0.1, number, "Training")
    yield Event(at + 0.1, Kind.PROCESS_STARTED, number, {"identity": "pid 77"})


def _steps(attempt: int, start: float, steps: range) -> Iterator[Event]:
    for done, step in enumerate(steps, 1):
        at = start + done * 0.2
        yield Event(at, Kind.METRIC, attempt, {"name": "step", "value": float(step), "line": f"step={step}"})
        if attempt == 1 and step % 10 == 0:
            yield from _upload(at, attempt, f"ck-{step // 10}.npz", f"d{step // 10}")
        if attempt == 1 and step == 40:
            yield Event(at, Kind.TRIGGER_FIRED, attempt, {"interruption": 1, "observed_at": at})
            yield Event(at + 0.01, Kind.NOTICE_GIVEN, attempt, {"scheduled_at": at, "terminate_at": at + 5})


def _upload(at: float, attempt: int, path: str, digest: str) -> Iterator[Event]:
    for kind in (Kind.FILE_CHANGED, Kind.FILE_SETTLED, Kind.UPLOAD_STARTED):
        yield Event(at, kind, attempt, {"path": path, "bytes": 1200})
    facts = {"path": path, "bytes": 1200, "seconds": 0.0, "lag_seconds": 0.0, "digest": digest}
    yield Event(at, Kind.UPLOAD_FINISHED, attempt, facts)


def _taken_away() -> Iterator[Event]:
    signal = {"signal": "SIGTERM", "scheduled_at": 13.1, "delivered": True}
    yield Event(13.12, Kind.SIGNAL_SENT, 1, signal)
    yield Event(13.4, Kind.PROCESS_EXITED, 1, {"exit_code": 0, "after_sigterm": True, "log_tail": []})
