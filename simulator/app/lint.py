"""What is refused before anything starts: a job as it was asked for, judged and reported like a run that was."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.app.settings import Settings
from simulator.core.errors import UsageError
from simulator.core.job import TrainingJob
from simulator.core.plan import Plan
from simulator.core.timeline import Kind, Listener
from simulator.engine.clock import SystemClock
from simulator.engine.job_run import asked_for
from simulator.engine.recorder import Recorder
from simulator.reports.record import RunRecord
from simulator.verdict import judge


def refusal(settings: Settings, plan: Plan, job: TrainingJob, listeners: Sequence[Listener]) -> RunRecord:
    """The record of a job without a CheckpointConfig, which is all that it ever comes to."""
    clock = SystemClock()
    recorder = Recorder(clock, listeners)
    asked = asked_for(job, plan, settings.runtime.value, ())
    recorder.record(Kind.RUN_STARTED, data={**asked, "CheckpointConfig": None})
    recorder.record(Kind.RUN_FINISHED, data={"status": "", "exit_code": None, "failure_reason": ""})
    return RunRecord(
        job=job,
        plan=plan,
        timeline=recorder.timeline,
        started_at=clock.started_at,
        verdict=judge(recorder.timeline),
        runtime=settings.runtime.value,
    )


def is_refused(settings: Settings) -> bool:
    """Whether a lint forbids to start. Raises UsageError for settings that contradict each other."""
    if settings.checkpoint_config:
        return False
    if settings.checkpoint_s3_uri is not None:
        raise UsageError(
            "--no-checkpoint-config and --checkpoint-s3-uri contradict each other",
            "the URI is a part of the CheckpointConfig",
            "leave one of them away",
        )
    return True
