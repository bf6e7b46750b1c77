"""`spot-simulator explore`: a search put together from its parts, its decisive trial shown like any other run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from simulator.app.laboratory import GRACE_SECONDS, WARNING_SECONDS, lab_spec, profiles_of, runtime_of, write_report
from simulator.app.runtimes import fit_job
from simulator.app.settings import Settings, load_settings
from simulator.app.simulate import Result, plan_and_job
from simulator.core.errors import EnvironmentFailure, SimulatorError, UsageError
from simulator.core.plan import Plan
from simulator.core.timeline import Timeline
from simulator.engine.clock import SystemClock
from simulator.engine.interrupts import UserInterrupt, orderly_interrupts, shielded
from simulator.explore.coverage import Explored, Smallest, Stop, tried_on
from simulator.explore.fault_catalogue import CATALOGUE
from simulator.explore.fault_schedules import fault_schedules
from simulator.explore.faults import fault_trials, not_tried
from simulator.explore.identity import identity
from simulator.explore.laboratory import LOG_LINES, Laboratory, LabSpec, Start, StoreKind, TrialRun, make_runtime
from simulator.explore.points import Points, points_of
from simulator.explore.pool import Backend, Run, open_pool
from simulator.explore.pytest_case import CASE, pytest_case
from simulator.explore.recording import RECORDING, Recording
from simulator.explore.replay import REPLAY, ReplayFile
from simulator.explore.schedules import extent, schedules
from simulator.explore.search import Budget, Searched, Searcher, Tries, numbered
from simulator.explore.shrink import shrink
from simulator.explore.strip import Strip
from simulator.explore.trial import Outcome, Schedule, Search, Trial, TrialResult
from simulator.explore.trials_file import SEARCH, TRIALS, SavedSearch, TrialsFile, checked_against, read_search
from simulator.explore.zygote_proof import prove
from simulator.reports.explore_progress import open_explore_view, told
from simulator.reports.folder import LOGS, TIMELINE, RunFolder
from simulator.reports.summary import print_summary
from simulator.reports.wording import count
from simulator.runtimes.ownership import sweep_scratch
from simulator.runtimes.port import RuntimeName
from simulator.services.faulty_disk import why_no_mounts
from simulator.verdict import Answer, Reason, judge

CONFIRMED_WITHIN = 2  # runs of the true path: what depends on a race need not come at once
KINDS_SHRUNK = 3  # of failures, by the rules that they show
MOST_SCHEDULES = 100_000
MOST_STATES = 5_000
MOST_FAULTS = 3 * len(CATALOGUE)  # each once, again at another place, and in company
KEPT = frozenset({SEARCH, TRIALS, "baseline-1", "baseline-2", RECORDING})
"""What a search that is gone on with finds in its folder."""


@dataclass(frozen=True)
class ExploreOptions:
    """What a search takes besides the job's settings. `start` None: zygote where that was shown to change nothing.
    `profiles` empty: all of them. `resume`: the folder of the search to go on with."""

    search: Search
    budget: Budget
    jobs: int
    backend: Backend = Backend.LOKY
    cluster: str | None = None
    until_failure: bool = False
    start: Start | None = None
    profiles: tuple[str, ...] = ()
    resume: Path | None = None


def explore_settings(config: Path | None, overrides: Mapping[str, Any]) -> Settings:
    """The settings of a search: those of `run`, with a short notice and grace, and compared with the uninterrupted
    runs. Raises UsageError."""
    settings = load_settings(config, {**overrides, "baseline": True})
    if settings.instance_count > 1:
        raise UsageError(
            f"a search cannot be made of a job on {settings.instance_count} instances",
            "it records one instance's checkpoint folder, and tries what of it may be in S3",
            "set instance_count = 1, or try single interruptions: spot-simulator run --instance-count "
            f"{settings.instance_count} --interrupt WHEN",
        )
    short = {
        "warning": WARNING_SECONDS if settings.warning is None else settings.warning,
        "grace": GRACE_SECONDS if settings.grace is None else settings.grace,
    }
    return settings.model_copy(update=short)


def explore(settings: Settings, options: ExploreOptions) -> Result:
    """Search, confirm, report. Raises UsageError before anything has started; EnvironmentFailure and UserInterrupt
    after the partial report was written and everything that was started is gone."""
    with orderly_interrupts():
        with ExitStack() as stack:
            result = _Exploration(settings, options, stack).carry_out()
        if settings.view != "quiet":
            print_summary(result.report, result.folder)
        return result


@dataclass(frozen=True)
class _Decisive:
    """The trial that the report is about, run on the true path: with a cold start, and moto."""

    run: TrialRun
    found_as: int = 0


class _Exploration:
    """One command's search."""

    def __init__(self, settings: Settings, options: ExploreOptions, stack: ExitStack) -> None:
        self._settings, self._options, self._stack = settings, options, stack
        plan, job = plan_and_job(settings)
        self._profiles = profiles_of(settings, options.profiles)
        self._view = stack.enter_context(open_explore_view(settings.view, None, options.budget.seconds))
        for line in sweep_scratch():
            self._view.say(f"removed what an earlier run had left: {line}")
        stack.callback(sweep_scratch)  # of workers that were cut off
        self._runtime = make_runtime(runtime_of(settings), Start.COLD)
        stack.callback(self._runtime.close)
        self._spec = lab_spec(settings, plan, fit_job(job, self._runtime, self._view.say), self._profiles)
        self._runtime.prepare(self._spec.job)
        self._identity = identity(options.search, self._spec)
        out = options.resume or settings.out or Path("runs") / f"explore-{job.TrainingJobName}"
        self._earlier = self._saved(out) if options.resume else None
        self._folder = RunFolder.create(out, self._view.say, KEPT if options.resume else frozenset())
        stack.callback(self._folder.close)
        self._clock = SystemClock()
        self._start, self._about_the_start = Start.COLD, ""
        self._notes: list[str] = []
        self._true: Laboratory | None = None
        self._recorded: Recording | None = None
        self._searched: Searched | None = None
        self._total: int | None = None
        self._left_at: dict[str, float] = {}  # of a search over states: when the instance went, by the state's name

    def _saved(self, folder: Path) -> SavedSearch:
        saved = read_search(folder)
        return checked_against(saved, {**self._identity, "start": saved.facts.get("start")}, folder)

    def carry_out(self) -> Result:
        """Record, search, confirm, report; what cuts it short is raised after the partial report was written."""
        decisive: _Decisive | None = None
        try:
            self._say_what_is_assumed()
            spec = self._record()
            assert self._recorded is not None
            points = points_of(self._recorded.timeline, self._log_left_alone())
            trials, self._total = self._trials(points)
            self._view.expect(self._options.budget.of(self._total))
            with open_pool(spec, self._options.backend, self._options.jobs, self._options.cluster) as run:
                self._searched = self._search(run, trials)
                if self._searched.stopped is Stop.INTERRUPTED:
                    raise UserInterrupt
                decisive = self._decide(run, points)
        except (SimulatorError, UserInterrupt) as error:
            with shielded():
                self._conclude(decisive, error)
            if self._searched is not None:
                line, folder = self._searched_line(), self._folder.path
                self._view.say(f"{line}; what was found is in {folder}, and goes on with --resume {folder}")
            raise
        return self._conclude(decisive, None)

    # The uninterrupted runs

    def _record(self) -> LabSpec:
        """Run the job uninterrupted, and settle with what that shows how trials are run; or take both from the search
        that is gone on with."""
        if self._earlier is not None:
            self._start = Start(self._earlier.facts["start"])
            self._about_the_start = f"{self._start.value}, as before"
            self._recorded = Recording.read(self._folder.path / RECORDING)
            self._view.say(f"going on with {len(self._earlier.results)} results of {self._folder.path}")
        else:
            self._start, self._about_the_start = self._how_to_start(self._uninterrupted(1, Start.COLD))
            self._view.say(f"starts: {self._about_the_start}")
        baselines = tuple(self._baseline_file(number) for number in (1, 2))
        self._spec = replace(self._spec, baselines=baselines, recording=self._folder.path / RECORDING)
        if self._options.search is Search.FAULTS:
            return self._spec
        return replace(self._spec, store=StoreKind.FOLDER, start=self._start)

    def _how_to_start(self, first: Timeline) -> tuple[Start, str]:
        """How attempts are started, and why: from a zygote only where a run from one is like a cold one."""
        if self._spec.runtime is not RuntimeName.PROCESS or self._options.start is Start.COLD:
            self._uninterrupted(2, Start.COLD)
            return Start.COLD, "cold, each attempt by itself"
        if self._options.search is Search.FAULTS:
            self._uninterrupted(2, Start.COLD)
            return Start.COLD, "cold, each attempt by itself: a zygote does not see a disk that is mounted after it"
        proof = prove(first, self._uninterrupted(2, Start.ZYGOTE), lambda: self._uninterrupted(2, Start.COLD))
        return (Start.ZYGOTE if proof.holds or self._options.start is Start.ZYGOTE else Start.COLD), proof.sentence

    def _uninterrupted(self, number: int, start: Start) -> Timeline:
        """One uninterrupted run, kept in baseline-N; the first is recorded. Raises UsageError where the job does not
        complete by itself."""
        self._view.say(f"the uninterrupted run, {number} of 2 ({start.value} start)")
        folder = RunFolder.create(self._baseline_file(number).parent, self._view.say)
        spec = replace(self._spec, start=start, store=StoreKind.FOLDER)
        try:
            with closing(Laboratory(spec)) as laboratory:
                listeners = [folder.on_event], [folder.on_log]
                if number == 1:
                    kept = self._folder.path / RECORDING
                    self._recorded = laboratory.record(self._left_alone, kept, *listeners)
                    timeline = self._recorded.timeline
                else:
                    timeline = laboratory.run_alone(self._left_alone, *listeners)
        finally:
            folder.close()
        verdict = judge(timeline)
        if not verdict.completed:
            raise UsageError(
                "the job does not complete when it is left alone, so that there is nothing to search",
                verdict.reason.why,
                f"read {folder.log_file(1)}, and mend that first",
            )
        return timeline

    def _log_left_alone(self) -> list[str]:
        """What the script printed when it was left alone: it may announce what no metric tells."""
        try:
            with (self._baseline_file(1).parent / LOGS / "attempt-1.log").open(errors="replace") as log:
                return list(islice(log, LOG_LINES))
        except OSError:
            return []  # the script printed nothing

    @property
    def _left_alone(self) -> Plan:
        return self._spec.plan(Schedule((), next(iter(self._profiles))))

    def _baseline_file(self, number: int) -> Path:
        return self._folder.path / f"baseline-{number}" / TIMELINE

    # The search

    def _trials(self, points: Points) -> tuple[Iterator[Trial], int | None]:
        """What is tried, in its order, and of how many in all."""
        assert self._recorded is not None
        names = tuple(self._profiles)
        match self._options.search:
            case Search.STATES:
                states = self._recorded.states(MOST_STATES)
                alone = Schedule((), "sudden")
                self._left_at = {state.name: state.at_seconds for state in states}
                trials = [Trial(number, alone, state.how, state.name) for number, state in enumerate(states, 1)]
                return iter(trials), len(trials)
            case Search.FAULTS:
                within = self._spec.runtime is RuntimeName.PROCESS
                why = why_no_mounts() if within else "needs --runtime process"
                self._notes += not_tried(why)
                under = fault_schedules(points, names)
                trials = list(fault_trials(under, self._settings.seed, MOST_FAULTS, why))
                return iter(trials), len(trials)
            case Search.SCHEDULES:
                drawn = schedules(points, names, self._settings.seed, MOST_SCHEDULES)
                return numbered(drawn), extent(points, names).total

    def _search(self, run: Run, trials: Iterator[Trial]) -> Searched:
        facts = {**self._identity, "start": self._start.value}
        opened = (
            TrialsFile.begin(self._folder.path, facts)
            if self._earlier is None
            else TrialsFile.resume(self._folder.path)
        )
        known = {result.trial.number: result for result in self._earlier_results}
        with opened as file:

            def on_result(result: TrialResult) -> None:
                file.on_result(result)
                self._view.on_result(result)

            return Searcher(run, self._options.budget, self._options.until_failure, known, on_result).search(trials)

    @property
    def _earlier_results(self) -> Sequence[TrialResult]:
        """Those of the search that is gone on with."""
        return self._earlier.results if self._earlier is not None else ()

    # What the report is about

    def _decide(self, run: Run, points: Points) -> _Decisive | None:
        """The simplest failure that the true path confirms; without one, a trial that stands for the others."""
        assert self._searched is not None
        for failure in _one_of_each_kind(self._searched.failures)[:KINDS_SHRUNK]:
            trial = _without_faults(failure.trial)
            if trial.schedule.interruptions:
                self._view.say(f"making it smaller: {told(failure)}")
                tries = Tries(run, len(self._searched.results) + 1, failure.rules)
                smallest = shrink(trial.schedule, points, tuple(self._profiles), tries)
                trial = replace(trial, schedule=smallest, label=str(smallest))
            self._view.say(f"confirming it with a cold start and moto: {trial.label}")
            confirmed = self._confirmed(trial)
            if confirmed is not None:
                return _Decisive(confirmed, failure.trial.number)
            self._notes.append(f"not confirmed with a cold start and moto: {trial.label}, {failure.evidence}")
            self._view.say(self._notes[-1])
        others = [r for r in self._searched.results if r.outcome is not Outcome.FAILED]
        if others and all(result.outcome is Outcome.BROKEN for result in others):
            raise EnvironmentFailure("no trial could be carried out here", others[0].evidence, "spot-simulator doctor")
        for outcome in (Outcome.UNPROVED, Outcome.SURVIVED, Outcome.RESTARTED, Outcome.MISSED):
            standing = next((result for result in others if result.outcome is outcome), None)
            if standing is not None:
                return _Decisive(self._in_doubt(self._on_the_true_path(_without_faults(standing.trial))))
        return None

    def _in_doubt(self, run: TrialRun) -> TrialRun:
        """A trial that stands for all: it proves nothing where others failed, though none of those was confirmed."""
        assert self._searched is not None
        failures = self._searched.failures
        if not failures or run.verdict is None or run.result.outcome is Outcome.FAILED:
            return run
        reason = Reason(
            f"{count(len(failures), 'trial')} failed, and none of them again when it was run as `run` does",
            f"{failures[0].trial.label}: {failures[0].evidence}",
            "search again when the machine is less busy, or with --start cold",
        )
        return replace(run, verdict=replace(run.verdict, verdict=Answer.ERROR, reason=reason, tier=None))

    def _confirmed(self, trial: Trial) -> TrialRun | None:
        for _ in range(CONFIRMED_WITHIN):
            run = self._on_the_true_path(trial)
            if run.result.outcome is Outcome.FAILED:
                return run
        return None

    def _on_the_true_path(self, trial: Trial) -> TrialRun:
        """The trial as `run` would run it: started cold, with moto."""
        if self._true is None:
            self._true = self._stack.enter_context(closing(Laboratory(self._spec)))
        return self._true.run(trial)

    def _conclude(self, decisive: _Decisive | None, error: BaseException | None) -> Result:
        """Write the report: of the decisive trial, with what was searched."""
        ran = decisive.run if decisive is not None else None
        return write_report(
            self._folder, self._spec, self._runtime, ran or self._nothing_ran(), error, self._explored(decisive)
        )

    def _nothing_ran(self) -> TrialRun:
        trial = Trial(0, Schedule((), next(iter(self._profiles))), "")
        return TrialRun(TrialResult(trial, Outcome.BROKEN, ""), self._left_alone, self._clock, Timeline(), None)

    def _explored(self, decisive: _Decisive | None) -> Explored | None:
        if self._searched is None:
            return None
        strip = None if self._recorded is None else Strip(self._recorded.timeline)
        return Explored(
            search=self._options.search,
            seed=self._settings.seed,
            tried=tried_on(strip, self._searched.results, self._left_at),
            total=self._total,
            stopped=self._searched.stopped,
            seconds=self._searched.seconds,
            jobs=self._options.jobs,
            backend=self._options.backend.value,
            start=self._about_the_start,
            budget_seconds=self._options.budget.seconds,
            smallest=self._smallest(decisive),
            landmarks=() if strip is None else strip.landmarks(),
            recorded_seconds=0.0 if strip is None else strip.seconds,
            notes=tuple(self._notes),
            earlier=len(self._earlier_results),
        )

    def _searched_line(self) -> str:
        explored = self._explored(None)
        return explored.line() if explored is not None else ""

    def _smallest(self, decisive: _Decisive | None) -> Smallest | None:
        """The confirmed failure, with its replay file and pytest case written."""
        if decisive is None or decisive.run.result.outcome is not Outcome.FAILED:
            return None
        result = decisive.run.result
        replay = ReplayFile.of(
            {**self._settings.model_dump(mode="json", exclude_defaults=True), "runtime": self._runtime.name.value},
            result,
            self._options.search,
            warning_seconds=next(
                (p.warning_seconds for p in self._profiles.values() if p.warning_seconds is not None), None
            ),
            grace_seconds=next((p.grace_seconds for p in self._profiles.values() if p.sigterm), None),
            seed=self._settings.seed,
            recording=self._folder.path / RECORDING if result.trial.state else None,
        )
        file = self._folder.path / REPLAY
        replay.write(file)
        (self._folder.path / CASE).write_text(pytest_case(replay, Path.cwd(), file))
        return Smallest(
            schedule=result.trial.schedule,
            label=result.trial.label,
            evidence=result.evidence,
            rules=result.rules,
            state=result.trial.state,
            faults=result.trial.faults,
            found_as=decisive.found_as,
            replay=REPLAY,
            pytest=CASE,
        )

    def _say_what_is_assumed(self) -> None:
        for sentence in self._runtime.fidelity_lost:
            self._view.say(f"  unlike SageMaker: {sentence}")
        notice = next((p.warning_seconds for p in self._profiles.values() if p.warning_seconds is not None), None)
        grace = next((p.grace_seconds for p in self._profiles.values() if p.sigterm), None)
        told = [f"a notice of {notice:g} s" if notice is not None else "", f"a grace of {grace:g} s" if grace else ""]
        if any(told):
            self._notes.append(f"unlike SageMaker: {' and '.join(filter(None, told))} (--warning, --grace)")
            self._view.say(f"  {self._notes[-1]}")


def _without_faults(trial: Trial) -> Trial:
    """What the report is about: a script that fails under a fault, and not only by its doing, fails without it too."""
    return replace(trial, faults={}, label=str(trial.schedule)) if trial.faults else trial


def _one_of_each_kind(failures: Sequence[TrialResult]) -> list[TrialResult]:
    """The first failure with each set of rules: what is shrunk and confirmed."""
    kinds: dict[tuple[str, ...], TrialResult] = {}
    for failure in sorted(failures, key=lambda result: (len(result.trial.schedule.interruptions), result.trial.number)):
        kinds.setdefault(failure.rules, failure)
    return list(kinds.values())
