"""A record made from nothing but a timeline: for runs whose harness was killed before it could write a report."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from simulator.core.job import CheckpointConfig, TrainingJob
from simulator.core.plan import PROFILES, Plan, Profile, parse_when
from simulator.core.timeline import Kind, Timeline
from simulator.reports.record import RunRecord
from simulator.verdict import judge

KILLED = "the simulator itself was killed before it wrote its report; this one is made from the timeline"


def record_of(timeline: Timeline, last_written_at: float) -> RunRecord:
    """What a timeline tells of its run. `last_written_at`: when its last event was written (seconds since the epoch).

    Raises ValueError for a timeline without its first event.
    """
    started = timeline.first(Kind.RUN_STARTED)
    if started is None:
        raise ValueError("there is no run-started event")
    data = started.data
    last_at = max(event.at for event in timeline)
    profile = data.get("profile")
    return RunRecord(
        job=TrainingJob(str(data["job"]), CheckpointConfig(**(data["CheckpointConfig"] or {"S3Uri": ""}))),
        plan=Plan(
            interruptions=tuple(parse_when(text) for text in data.get("interruptions", ())),
            profile=Profile(**profile) if profile else PROFILES["two-minute"],
            seed=int(data.get("seed", 0)),
        ),
        timeline=timeline,
        started_at=datetime.fromtimestamp(last_written_at, UTC) - timedelta(seconds=last_at),
        verdict=judge(timeline),
        runtime=str(data.get("runtime", "")),
        fidelity_lost=tuple(data.get("fidelity_lost", ())),
        partial=None if timeline.first(Kind.RUN_FINISHED) else KILLED,
    )
