"""What `explore` and `replay` share: a laboratory as the settings ask for it, and a trial reported like any run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from simulator.app.settings import RuntimeChoice, Settings
from simulator.app.simulate import Result, exit_code_of, sync_options, why_partial
from simulator.core.job import TrainingJob
from simulator.core.plan import PROFILES, Plan, Profile, gives_notice, profile_named
from simulator.engine.equipment import EngineOptions
from simulator.explore.coverage import Explored
from simulator.explore.laboratory import LabSpec, Start, StoreKind, TrialRun
from simulator.reports.folder import RunFolder
from simulator.reports.record import RunRecord
from simulator.runtimes.port import Runtime, RuntimeName
from simulator.verdict import judge

WARNING_SECONDS = 1.0
GRACE_SECONDS = 3.0
"""A search's notice and grace, unless the user says otherwise: with the real two minutes each, one trial would last
longer than the training of most scripts that are searched. Named in docs/assumptions.md, and told at the start."""


def runtime_of(settings: Settings) -> RuntimeName:
    """Where trials run: in containers only where that was asked for, as processes start in a tenth of the time."""
    return RuntimeName.LOCAL_MODE if settings.runtime is RuntimeChoice.LOCAL_MODE else RuntimeName.PROCESS


def lab_spec(settings: Settings, plan: Plan, job: TrainingJob, profiles: Mapping[str, Profile]) -> LabSpec:
    """The true path: every attempt started cold, with moto."""
    return LabSpec(
        job=job,
        profiles=profiles,
        runtime=runtime_of(settings),
        start=Start.COLD,
        store=StoreKind.MOTO,
        restart_delay_seconds=plan.restart_delay_seconds,
        exit_after_sigterm=plan.exit_after_sigterm,
        seed=settings.seed,
        options=EngineOptions(sync_options(settings), settings.flush_after_exit, read_states=settings.baseline),
    )


def write_report(
    folder: RunFolder,
    spec: LabSpec,
    runtime: Runtime,
    ran: TrialRun,
    error: BaseException | None = None,
    explored: Explored | None = None,
) -> Result:
    """Put a trial into a run's folder, with all reports. Raises EnvironmentFailure where the disk fails."""
    for event in ran.timeline:
        folder.on_event(event)
    for attempt, line in ran.log:
        folder.on_log(attempt, line)
    record = RunRecord(
        job=spec.job,
        plan=ran.plan,
        timeline=ran.timeline,
        started_at=ran.clock.started_at,
        verdict=ran.verdict if ran.verdict is not None else judge(ran.timeline),
        runtime=runtime.name.value,
        fidelity_lost=runtime.fidelity_lost,
        options=spec.options,
        partial=None if error is None else why_partial(error),
        partial_exit_code=exit_code_of(error),
        explored=explored,
    )
    return Result(record, folder.write_report(record), folder.path)


def profiles_of(settings: Settings, names: Sequence[str]) -> dict[str, Profile]:
    """The profiles of a search, with its short notice and grace in place of theirs. Raises UsageError."""
    return {
        name: profile_named(
            name,
            _or(settings.warning, WARNING_SECONDS) if gives_notice(name) else None,
            _or(settings.grace, GRACE_SECONDS) if name not in PROFILES or PROFILES[name].sigterm else None,
        )
        for name in (names or PROFILES)
    }


def _or(given: float | None, default: float) -> float:
    return default if given is None else given
