"""What a run assumed where AWS documents nothing: each by its name, its value in this run and the option it has."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.checks.grace_budget import ASSUMED_UPLOAD_BYTES_PER_SECOND
from simulator.core.plan import Plan
from simulator.engine.equipment import EngineOptions


@dataclass(frozen=True)
class Assumption:
    """One assumption; docs/assumptions.md says more of each. `option` is empty where nothing can be set."""

    name: str
    value: object
    option: str
    meaning: str


def assumptions(plan: Plan, options: EngineOptions) -> list[Assumption]:
    """The assumptions that a run was made under."""
    profile, sync = plan.profile, options.sync
    return [
        Assumption("profile", profile.name, "--profile", f"how an instance goes: {profile.source}"),
        Assumption("notice", profile.warning_seconds, "--warning", "seconds from the notice until the instance goes"),
        Assumption("sigterm", profile.sigterm, "--profile", "whether a reclaim sends SIGTERM to PID 1"),
        Assumption("grace", profile.grace_seconds, "--grace", "seconds from SIGTERM to SIGKILL"),
        Assumption(
            "exit-after-sigterm",
            plan.exit_after_sigterm.value,
            "--exit-after-sigterm",
            "what an exit between SIGTERM and SIGKILL means for the job",
        ),
        Assumption(
            "flush-after-exit",
            options.flush_after_exit,
            "--flush-after-exit",
            "whether uploads go on between an exit on SIGTERM and SIGKILL",
        ),
        Assumption(
            "restart-delay", plan.restart_delay_seconds, "--restart-delay", "seconds until the next instance comes"
        ),
        Assumption("settle", sync.settle_seconds, "--settle", "seconds a file rests before it goes up"),
        Assumption("growing", sync.growing_seconds, "", "seconds after which a file that never rests goes up as it is"),
        Assumption(
            "uploader-markers",
            sync.uploader_markers,
            "--uploader-markers",
            "whether *.sagemaker-uploading and -uploaded appear beside checkpoint files",
        ),
        Assumption("upload-workers", sync.workers, "", "files that go up at a time"),
        Assumption(
            "s3-patience",
            sync.patience_seconds,
            "",
            "seconds that an S3 which refuses for now is asked again, until the run ends for it",
        ),
        Assumption(
            "upload-bandwidth",
            ASSUMED_UPLOAD_BYTES_PER_SECOND,
            "",
            "bytes a second to S3, for the grace budget's word on how large a checkpoint would fit",
        ),
        Assumption(
            "interrupted-attempts-are-billed",
            True,
            "",
            "an attempt that is interrupted is billed until its instance goes",
        ),
        Assumption(
            "training-time-includes-waiting",
            True,
            "",
            "TrainingTimeInSeconds runs from the first download to the end, the waiting for instances included",
        ),
    ]
