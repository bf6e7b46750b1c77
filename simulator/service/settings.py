"""What `spot-simulator serve` is told: where it listens, where jobs run, and how they are interrupted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulator.app.settings import RuntimeChoice
from simulator.core.errors import UsageError
from simulator.service.plans import JobPlan, Plans, read_plans

DEFAULT_PORT = 5055
ResolveImage = Callable[[str], str]
"""From the TrainingImage of a request to an image of this machine; raises UsageError where there is none."""


def the_same_image(uri: str) -> str:
    """The image as it is named: an image of this machine, or one that its registry gives; nothing comes from AWS."""
    return uri


@dataclass(frozen=True)
class ServeSettings:
    """`port` 0 takes a free one. `runs` is the folder of the jobs' run folders; with `state_dir` (and no `runs`) it is
    below that. `resolve_image` is asked in containers only: the process runtime runs no image. At most `max_instances`
    run at a time, of all jobs together."""

    port: int = DEFAULT_PORT
    runtime: RuntimeChoice = RuntimeChoice.AUTO
    default_plan: JobPlan = field(default_factory=JobPlan)
    plan_file: Path | None = None
    state_dir: Path | None = None
    runs: Path | None = None
    resolve_image: ResolveImage = the_same_image
    max_instances: int = 100

    def plans(self) -> Plans:
        """Raises UsageError."""
        if self.plan_file is None:
            return Plans(self.default_plan)
        return read_plans(self.plan_file, self.default_plan)

    @property
    def runs_folder(self) -> Path:
        """Where run folders go."""
        if self.runs is not None:
            return self.runs
        return self.state_dir / "runs" if self.state_dir is not None else Path("runs")


def default_plan(
    interrupt: tuple[str, ...],
    profile: str | None,
    warning: float | None,
    grace: float | None,
    restart_delay: float | None,
) -> JobPlan:
    """The plan of the command's options. Raises UsageError."""
    given: dict[str, Any] = {
        "interrupt": interrupt,
        "profile": profile,
        "warning": warning,
        "grace": grace,
        "restart_delay": restart_delay,
    }
    try:
        plan = JobPlan(**{name: value for name, value in given.items() if value is not None})
    except ValueError as error:
        raise UsageError("an option is wrong", str(error), "see spot-simulator serve --help") from error
    plan.plan()
    return plan
