"""Everything that is known of a run at its end, in one value: all reports are made from it."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib.metadata import PackageNotFoundError, version

from simulator.core.errors import ExitCode
from simulator.core.job import TrainingJob
from simulator.core.plan import Plan
from simulator.core.timeline import Timeline
from simulator.engine.equipment import EngineOptions
from simulator.explore.coverage import Explored
from simulator.verdict import Verdict


def installed_versions() -> dict[str, str]:
    """What the run was made with, as far as it matters for comparing two runs."""
    names = ("spot-interruption-simulator", "moto", "boto3", "sagemaker", "docker")
    return {"python": platform.python_version(), "platform": platform.platform()} | {
        name: found for name in names if (found := _version(name))
    }


@dataclass(frozen=True)
class RunRecord:
    """A run, finished or cut short. `started_at` is the wall clock at the run's second 0.

    `partial`: why the run did not come to its end, None when it did; then `exit_code` says what the command ends with.
    `explored`: the search that this run decides, None for a run of its own.
    """

    job: TrainingJob
    plan: Plan
    timeline: Timeline
    started_at: datetime
    verdict: Verdict
    runtime: str
    fidelity_lost: Sequence[str] = ()
    options: EngineOptions = field(default_factory=EngineOptions)
    partial: str | None = None
    partial_exit_code: ExitCode = ExitCode.ENVIRONMENT
    versions: Mapping[str, str] = field(default_factory=installed_versions)
    explored: Explored | None = None

    @property
    def exit_code(self) -> ExitCode:
        """The command's exit code."""
        return self.verdict.exit_code if self.partial is None else self.partial_exit_code

    def wall(self, at: float) -> datetime:
        """The wall clock at a run second."""
        return self.started_at + timedelta(seconds=at)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
