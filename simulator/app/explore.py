"""`spot-simulator explore`: a search put together from its parts, its decisive trial shown like any other run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from simulator.app.runtimes import fit_job
from simulator.app.settings import RuntimeChoice, Settings, load_settings
from simulator.app.simulate import exit_code_of, plan_and_job, sync_options, why_partial
from simulator.core.errors import ExitCode, SimulatorError, UsageError
from simulator.core.plan import PROFILES, Plan, Profile, gives_notice, profile_named
from simulator.core.timeline import Timeline
from simulator.engine.clock import SystemClock
from simulator.engine.interrupts import UserInterrupt, orderly_interrupts, shielded
from simulator.engine.job_run import EngineOptions
from simulator.explore.laboratory import Laboratory, LabSpec, Start, StoreKind, TrialRun, make_runtime, read_timeline
from simulator.explore.points import Points, points_of
from simulator.explore.pool import Backend, Run, open_pool
from simulator.explore.schedules import extent, schedules
from simulator.explore.search import Budget, Searched, Searcher, Stopped, Tries, numbered
from simulator.explore.session import SEARCH_FILE, Session
from simulator.explore.shrink import shrink
from simulator.explore.trial import Outcome, Schedule, Search, Trial, TrialResult
from simulator.reports.folder import TIMELINE, RunFolder
from simulator.reports.record import RunRecord
from simulator.runtimes.ownership import sweep_scratch
from simulator.runtimes.port import RuntimeName
from simulator.verdict import judge

WARNING_SECONDS = 1.0
GRACE_SECONDS = 3.0
"""A search's notice and grace, unless the user says otherwise: with the real two minutes each, one trial would last
longer than the training of most scripts that are searched. Named in docs/assumptions.md, and told at the start."""
CONFIRMED_WITHIN = 2  # runs of the true path: what depends on a race need not come at once
KEPT = frozenset({SEARCH_FILE, "trials.jsonl", "baseline-1", "baseline-2"})
MOST_SCHEDULES = 100_000
KINDS_SHRUNK = 3  # of failures, by the rules that they show


@dataclass(frozen=True)
class ExploreOptions:
    """What a search takes besides the job's settings. `start` None: zygote where that was shown to change nothing.
    `profiles` empty: all of them. `resume`: go on with the search whose folder `out` is."""

    search: Search
    budget: Budget
    jobs: int
    backend: Backend = Backend.LOKY
    cluster: str | None = None
    until_failure: bool = False
    start: Start | None = None
    profiles: tuple[str, ...] = ()
    resume: bool = False


def explore(settings: Settings, options: ExploreOptions) -> ExitCode:
    """Search, confirm, report. Raises UsageError before anything has started; EnvironmentFailure and UserInterrupt
    after the partial report was written and everything that was started is gone."""
    with orderly_interrupts(), ExitStack() as stack:
        return _Exploration(settings, options, stack).carry_out()


@dataclass(frozen=True)
class _Decisive:
    """The trial that the report is about, run on the true path: with a cold start, and moto. `shrunk_from` is what had
    failed first, `tried` how many schedules that took."""

    run: TrialRun
    shrunk_from: TrialResult | None = None
    tried: int = 0


class _Exploration:
    """One command's search."""

    def __init__(self, settings: Settings, options: ExploreOptions, stack: ExitStack) -> None:
        self._settings, self._options, self._stack = settings, options, stack
        plan, job = plan_and_job(settings)
        self._profiles = profiles_of(settings, options.profiles)
        self._view = stack.enter_context(open_explore_view(settings.view))
        for line in sweep_scratch():
            self._view.say(f"removed what an earlier run had left: {line}")
        stack.callback(sweep_scratch)  # of workers that were cut off
        name = RuntimeName.LOCAL_MODE if settings.runtime is RuntimeChoice.LOCAL_MODE else RuntimeName.PROCESS
        runtime = make_runtime(name, Start.COLD)
        stack.callback(runtime.close)
        self._runtime = runtime
        self._spec = LabSpec(
            job=fit_job(job, runtime, self._view.say),
            profiles=self._profiles,
            runtime=name,
            start=Start.COLD,
            store=StoreKind.MOTO,
            restart_delay_seconds=plan.restart_delay_seconds,
            exit_after_sigterm=plan.exit_after_sigterm,
            seed=settings.seed,
            options=EngineOptions(sync_options(settings), settings.flush_after_exit, read_states=settings.baseline),
        )
        runtime.prepare(self._spec.job)
        self._identity = identity(options.search, self._spec)
        out = settings.out or Path("runs") / f"explore-{job.TrainingJobName}"
        self._earlier = resumed(out, self._identity) if options.resume else None
        self._known = read_trials(out) if options.resume else {}
        self._folder = RunFolder.create(out, self._view.say, KEPT if options.resume else frozenset())
        stack.callback(self._folder.close)
        self._clock = SystemClock()
        self._true: Laboratory | None = None
        self._searched: Searched | None = None
        self._total: int | None = None

    def carry_out(self) -> ExitCode:
        """Record, search, confirm, report; what cuts it short is raised after the partial report was written."""
        decisive: _Decisive | None = None
        try:
            self._say_what_is_assumed()
            spec, points = self._recorded()
            trials, self._total = self._trials(points)
            with open_pool(spec, self._options.backend, self._options.jobs, self._options.cluster) as run:
                self._searched = self._searcher(run).search(trials)
                if self._searched.stopped is Stopped.USER:
                    raise UserInterrupt
                decisive = self._decisive(run, points)
        except (SimulatorError, UserInterrupt) as error:
            with shielded():
                self._conclude(decisive, error)
            raise
        return self._conclude(decisive, None)

    # The uninterrupted runs

    def _recorded(self) -> tuple[LabSpec, Points]:
        """Run the job uninterrupted, and settle with what that shows how trials are run; or take both from the search
        that is gone on with."""
        if self._earlier is not None:
            start, first = self._earlier.start, read_timeline(self._baseline_file(1))
        else:
            start, first = self._record()
            Session(self._identity, start).write(self._folder.path)
        self._spec = replace(self._spec, baselines=tuple(self._baseline_file(number) for number in (1, 2)))
        return replace(self._spec, store=StoreKind.FOLDER, start=start), points_of(first)

    def _record(self) -> tuple[Start, Timeline]:
        first = self._uninterrupted(1, Start.COLD)
        if self._spec.runtime is not RuntimeName.PROCESS or self._options.start is Start.COLD:
            self._uninterrupted(2, Start.COLD)
            return Start.COLD, first
        proof = prove(first, self._uninterrupted(2, Start.ZYGOTE), lambda: self._uninterrupted(2, Start.COLD))
        self._view.say(f"starts: {proof.sentence}")
        return Start.ZYGOTE if proof.holds or self._options.start is Start.ZYGOTE else Start.COLD, first

    def _uninterrupted(self, number: int, start: Start) -> Timeline:
        """One uninterrupted run, kept in baseline-N. Raises UsageError where the job does not complete by itself."""
        self._view.say(f"the uninterrupted run, {number} of 2 ({start.value} start)")
        folder = RunFolder.create(self._baseline_file(number).parent, self._view.say)
        spec = replace(self._spec, start=start, store=StoreKind.FOLDER)
        try:
            with closing(Laboratory(spec)) as laboratory:
                recording = laboratory.record(
                    self._left_alone, self._recording_folder(number), [folder.on_event], [folder.on_log]
                )
        finally:
            folder.close()
        verdict = judge(recording.timeline)
        if not verdict.completed:
            raise UsageError(
                "the job does not complete when it is left alone, so that there is nothing to search",
                verdict.reason.why,
                f"read {folder.log_file(1)}, and mend that first",
            )
        return recording.timeline

    @property
    def _left_alone(self) -> Plan:
        return self._spec.plan(Schedule((), next(iter(self._profiles))))

    def _baseline_file(self, number: int) -> Path:
        return self._folder.path / f"baseline-{number}" / TIMELINE

    # The search

    def _trials(self, points: Points) -> tuple[Iterator[Trial], int | None]:
        """What is tried, in its order, and of how many in all."""
        profiles = tuple(self._profiles)
        drawn = schedules(points, profiles, self._settings.seed, MOST_SCHEDULES)
        return numbered(drawn), min(extent(points, profiles).total, MOST_SCHEDULES)

    def _searcher(self, run: Run) -> Searcher:
        return Searcher(run, self._options.budget, self._options.until_failure, self._known, self._view.on_result)

    # What the report is about

    def _decisive(self, run: Run, points: Points) -> _Decisive | None:
        """The simplest failure that the true path confirms; without one, a trial that stands for the others."""
        assert self._searched is not None
        tries = Tries(run, len(self._searched.results) + 1)
        for failure in _one_of_each_kind(self._searched.failures)[:KINDS_SHRUNK]:
            self._view.say(f"found: {failure.trial.label}: {failure.evidence}")
            smallest = shrink(failure.trial.schedule, points, tuple(self._profiles), tries)
            confirmed = self._confirmed(replace(failure.trial, schedule=smallest, label=str(smallest)), Outcome.FAILED)
            if confirmed is not None:
                return _Decisive(confirmed, failure, tries.count)
            self._view.say(f"not confirmed with a cold start and moto: {smallest}")
        others = [r for r in self._searched.results if r.outcome is not Outcome.FAILED]
        for outcome in (Outcome.UNPROVED, Outcome.SURVIVED, Outcome.RESTARTED, Outcome.MISSED):
            standing = next((result for result in others if result.outcome is outcome), None)
            if standing is not None:
                return _Decisive(self._on_the_true_path(standing.trial))
        return None

    def _confirmed(self, trial: Trial, outcome: Outcome) -> TrialRun | None:
        for _ in range(CONFIRMED_WITHIN):
            run = self._on_the_true_path(trial)
            if run.result.outcome is outcome:
                return run
        return None

    def _on_the_true_path(self, trial: Trial) -> TrialRun:
        """The trial as `run` would run it: started cold, with moto."""
        if self._true is None:
            self._true = self._stack.enter_context(closing(Laboratory(self._spec)))
        return self._true.run(trial)

    def _conclude(self, decisive: _Decisive | None, error: BaseException | None) -> ExitCode:
        """Write the report: of the decisive trial, with what was searched."""
        ran = decisive.run if decisive is not None else None
        timeline = ran.timeline if ran is not None else Timeline()
        verdict = ran.verdict if ran is not None else None
        record = RunRecord(
            job=self._spec.job,
            plan=ran.plan if ran is not None else self._left_alone,
            timeline=timeline,
            started_at=(ran.clock if ran is not None else self._clock).started_at,
            verdict=verdict or judge(timeline),
            runtime=self._runtime.name.value,
            fidelity_lost=self._runtime.fidelity_lost,
            options=self._spec.options,
            partial=None if error is None else why_partial(error),
            partial_exit_code=exit_code_of(error),
        )
        for event in timeline:
            self._folder.on_event(event)
        for attempt, line in ran.log if ran is not None else ():
            self._folder.on_log(attempt, line)
        self._folder.write_report(record)
        return record.exit_code

    def _say_what_is_assumed(self) -> None:
        for sentence in self._runtime.fidelity_lost:
            self._view.say(f"  unlike SageMaker: {sentence}")
        notice = next((p.warning_seconds for p in self._profiles.values() if p.warning_seconds is not None), None)
        grace = max(profile.grace_seconds for profile in self._profiles.values())
        told = f"a notice of {notice:g} s, " if notice is not None else ""
        self._view.say(f"  unlike SageMaker: {told}a grace of {grace:g} s (--warning and --grace set them)")


def explore_settings(config: Path | None, overrides: Mapping[str, Any]) -> Settings:
    """The settings of a search: those of `run`, compared with the uninterrupted runs. Raises UsageError."""
    return load_settings(config, {**overrides, "baseline": True})


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


def _one_of_each_kind(failures: Sequence[TrialResult]) -> list[TrialResult]:
    """The first failure with each set of rules: what is shrunk and confirmed."""
    kinds: dict[tuple[str, ...], TrialResult] = {}
    for failure in sorted(failures, key=lambda result: (len(result.trial.schedule.interruptions), result.trial.number)):
        kinds.setdefault(failure.rules, failure)
    return list(kinds.values())
