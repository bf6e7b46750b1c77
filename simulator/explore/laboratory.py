"""Runs one trial on this machine and judges it: what a search does again and again, in as many processes as it has."""

from __future__ import annotations

import secrets
import shutil
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from simulator.checkpoints.folder_store import FolderStore
from simulator.checkpoints.store import ObjectStore
from simulator.checks.evidence import Evidence
from simulator.core.errors import EnvironmentFailure
from simulator.core.job import TrainingJob
from simulator.core.plan import ExitAfterSigterm, Plan, Profile, parse_when
from simulator.core.timeline import Listener, Timeline, from_jsonl
from simulator.engine.clock import SystemClock
from simulator.engine.equipment import EngineOptions
from simulator.engine.job_run import JobRun
from simulator.engine.recorder import LogListener, Recorder
from simulator.explore.fault_verdict import judge_fault
from simulator.explore.faults import Faults
from simulator.explore.harm import harmed
from simulator.explore.recording import Recording, RunRecording
from simulator.explore.splice import spliced
from simulator.explore.state_verdict import judge_state
from simulator.explore.states import CrashState
from simulator.explore.trial import Outcome, Schedule, Trial, TrialResult, result_of
from simulator.runtimes.ownership import make_scratch
from simulator.runtimes.port import Runtime, RuntimeName
from simulator.runtimes.process import ProcessRuntime
from simulator.services.s3 import S3Kind, S3Service, open_s3
from simulator.verdict import Baseline, Verdict, judge

LOG_LINES = 100_000  # of a trial's output that are kept for its report


class Start(StrEnum):
    """How the process runtime starts attempts."""

    ZYGOTE = "zygote"  # forked from a process that has imported what the script imports
    COLD = "cold"


class StoreKind(StrEnum):
    """What stands for S3."""

    FOLDER = "folder"  # the same port, without a server: for the many trials of a search
    MOTO = "moto"  # moto, as `run` has it: for the run that confirms what a search has found


@dataclass(frozen=True)
class LabSpec:
    """All that trials of one search have in common; it travels to workers. `baselines`: timeline.jsonl of the
    uninterrupted runs; `recording`: the folder of the recorded run that crash states come from."""

    job: TrainingJob
    profiles: Mapping[str, Profile]
    runtime: RuntimeName = RuntimeName.PROCESS
    start: Start = Start.ZYGOTE
    store: StoreKind = StoreKind.FOLDER
    restart_delay_seconds: float = 0.0
    exit_after_sigterm: ExitAfterSigterm = ExitAfterSigterm.INTERRUPTION
    seed: int = 0
    options: EngineOptions = field(default_factory=EngineOptions)
    baselines: tuple[Path, ...] = ()
    recording: Path | None = None

    def plan(self, schedule: Schedule) -> Plan:
        """The plan of a schedule. Raises UsageError for a WHEN that is not understood."""
        return Plan(
            interruptions=tuple(parse_when(text) for text in schedule.interruptions),
            profile=self.profiles[schedule.profile],
            restart_delay_seconds=self.restart_delay_seconds,
            exit_after_sigterm=self.exit_after_sigterm,
            seed=self.seed,
        )


@dataclass(frozen=True)
class TrialRun:
    """A trial that was carried out: what is told of it, and what that rests on. `verdict` is None where the machine
    failed; `log` is the output, `(attempt, line)`, its last lines where there is very much of it."""

    result: TrialResult
    plan: Plan
    clock: SystemClock
    timeline: Timeline
    verdict: Verdict | None
    log: Collection[tuple[int, bytes]] = ()


class Laboratory:
    """Trials of one search, one after another. Close it at the end."""

    def __init__(self, spec: LabSpec) -> None:
        self.spec = spec
        self._closing = ExitStack()
        self._runtime: Runtime | None = None
        self._s3: S3Service | None = None
        self._baseline: Baseline | None = None
        self._last_progress: float | None = None
        self._controls: dict[Schedule, TrialResult] = {}

    def run(self, trial: Trial) -> TrialRun:
        """Carry a trial out and judge it. Raises UserInterrupt; a machine that fails makes the trial `broken`."""
        began = time.monotonic()
        plan = self.spec.plan(trial.schedule)
        clock = SystemClock()
        log: deque[tuple[int, bytes]] = deque(maxlen=LOG_LINES)
        recorder = Recorder(clock, log_listeners=[lambda attempt, line, host: log.append((attempt, line))])
        timeline, verdict = recorder.timeline, None
        try:
            if trial.faults:
                result, verdict = self._under_faults(trial, plan, recorder, clock)
            else:
                verdict, timeline = self._judged(trial, plan, recorder, clock)
                result = result_of(trial, verdict, time.monotonic() - began, self.last_progress)
        except EnvironmentFailure as failure:
            result = TrialResult(
                trial, Outcome.BROKEN, f"{failure.what}: {failure.why}", seconds=time.monotonic() - began
            )
        # An attempt at a recorded state is the second: the first is the recorded one, whose instance went.
        told = [(attempt + 1, line) for attempt, line in log] if trial.state else log
        return TrialRun(result, plan, clock, timeline, verdict, told)

    def _under_faults(
        self, trial: Trial, plan: Plan, recorder: Recorder, clock: SystemClock
    ) -> tuple[TrialResult, Verdict | None]:
        """A trial with faults on the way: always with moto, and judged with an eye on whose doing it is."""
        began = time.monotonic()
        faults, bucket = Faults.from_dict(trial.faults), self.spec.job.CheckpointConfig.bucket
        ended: Verdict | EnvironmentFailure
        with self._place() as (scratch, run_id):
            prefix = self._own_prefix(run_id)
            with harmed(self._moto, bucket, prefix, scratch, faults) as bench:
                recorder.listen(bench.on_event)
                options = faults.options(self.spec.options)
                try:
                    self._job_run(plan, recorder, clock, bench.store, bench.scratch, run_id, options).run()
                    ended = judge(recorder.timeline, baseline=self.baseline)
                except EnvironmentFailure as failure:
                    ended = failure
                evidence = bench.evidence()
        seconds = time.monotonic() - began
        result = judge_fault(trial, ended, evidence, seconds, lambda: self._control(trial.schedule), self.last_progress)
        return result, ended if isinstance(ended, Verdict) else None

    def _control(self, schedule: Schedule) -> TrialResult:
        """What comes of a schedule without faults."""
        if schedule not in self._controls:
            self._controls[schedule] = self.run(Trial(0, schedule, str(schedule))).result
        return self._controls[schedule]

    def _judged(self, trial: Trial, plan: Plan, recorder: Recorder, clock: SystemClock) -> tuple[Verdict, Timeline]:
        if not trial.state:
            self._carry_out(plan, recorder, clock)
            return judge(recorder.timeline, baseline=self.baseline), recorder.timeline
        recording, state = self.recording, self._states[trial.state]
        self._carry_out(plan, recorder, clock, lambda store: recording.fill(store, state))
        verdict = judge_state(recording, state, recorder.timeline, self.baseline.runs if self.baseline else ())
        return verdict, spliced(recording, state, recorder.timeline)

    def _carry_out(
        self,
        plan: Plan,
        recorder: Recorder,
        clock: SystemClock,
        prepare: Callable[[ObjectStore], None] = lambda store: None,
    ) -> None:
        """Run the job under a plan, its events going to the recorder; `prepare` may fill the empty store. Raises
        EnvironmentFailure and UserInterrupt; nothing is left of the run then either."""
        with self._place() as (scratch, run_id):
            store = self._store(scratch, run_id)
            prepare(store)
            self._job_run(plan, recorder, clock, store, scratch, run_id).run()

    def run_alone(self, plan: Plan, listeners: Sequence[Listener], log_listeners: Sequence[LogListener]) -> Timeline:
        """Run the job under a plan, and keep nothing but its timeline. Raises EnvironmentFailure and UserInterrupt."""
        clock = SystemClock()
        recorder = Recorder(clock, listeners, log_listeners)
        self._carry_out(plan, recorder, clock)
        return recorder.timeline

    def record(
        self, plan: Plan, folder: Path, listeners: Sequence[Listener], log_listeners: Sequence[LogListener]
    ) -> Recording:
        """Run the job under a plan without interruptions, and keep what it did to its checkpoint folder in `folder`.
        Raises EnvironmentFailure, UserInterrupt, and OSError where the folder cannot be written."""
        clock = SystemClock()
        with self._place() as (scratch, run_id):
            recording = RunRecording(folder, scratch)
            recorder = Recorder(clock, [*listeners, recording.on_event], log_listeners)
            store = recording.around(self._store(scratch, run_id))
            return recording.finish(self._job_run(plan, recorder, clock, store, scratch, run_id).run())

    @contextmanager
    def _place(self) -> Iterator[tuple[Path, str]]:
        """A folder for the instances of one run, and the run's id."""
        run_id = secrets.token_hex(4)
        scratch = make_scratch(run_id)
        try:
            yield scratch, run_id
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _job_run(
        self,
        plan: Plan,
        recorder: Recorder,
        clock: SystemClock,
        store: ObjectStore,
        scratch: Path,
        run_id: str,
        options: EngineOptions | None = None,
    ) -> JobRun:
        return JobRun(
            job=self.spec.job,
            plan=plan,
            runtime=self.runtime,
            store=store,
            recorder=recorder,
            clock=clock,
            scratch=scratch,
            run_id=run_id,
            options=options or self.spec.options,
        )

    @cached_property
    def recording(self) -> Recording:
        """The recorded run. Raises UsageError where there is none."""
        assert self.spec.recording is not None
        return Recording.read(self.spec.recording)

    @cached_property
    def _states(self) -> Mapping[str, CrashState]:
        return {state.name: state for state in self.recording.states()}

    @property
    def runtime(self) -> Runtime:
        """Where attempts run; made when first wanted."""
        if self._runtime is None:
            self._runtime = make_runtime(self.spec.runtime, self.spec.start)
            self._closing.callback(self._runtime.close)
            self._runtime.prepare(self.spec.job)
        return self._runtime

    @property
    def baseline(self) -> Baseline | None:
        """The uninterrupted runs that all trials are compared with."""
        if self._baseline is None and self.spec.baselines:
            self._baseline = Baseline([read_timeline(path) for path in self.spec.baselines])
        return self._baseline

    @property
    def last_progress(self) -> float | None:
        """The progress that the uninterrupted run ended with, where its log tells."""
        if self._last_progress is None and self.baseline is not None:
            evidence = Evidence(self.baseline.runs[0])
            walk = evidence.walk(evidence.attempts[-1]) if evidence.attempts else None
            self._last_progress = walk.last.value if walk is not None else None
        return self._last_progress

    def _store(self, scratch: Path, run_id: str) -> ObjectStore:
        """An empty store for one trial."""
        if self.spec.store is StoreKind.FOLDER:
            return FolderStore(scratch / "s3")
        return self._moto.store(self.spec.job.CheckpointConfig.bucket, self._own_prefix(run_id))

    @property
    def _moto(self) -> S3Service:
        if self._s3 is None:
            self._s3 = self._closing.enter_context(open_s3(S3Kind.EMBEDDED))
        return self._s3

    def _own_prefix(self, run_id: str) -> str:
        return f"{self.spec.job.CheckpointConfig.prefix.rstrip('/')}/{run_id}/"

    def close(self) -> None:
        """End what was started. Safe to call again."""
        self._closing.close()
        self._runtime = self._s3 = None


def make_runtime(name: RuntimeName, start: Start) -> Runtime:
    """The runtime of a search."""
    if name is RuntimeName.LOCAL_MODE:
        from simulator.runtimes.local_mode import LocalModeRuntime  # it takes a second to import

        return LocalModeRuntime()
    if start is Start.COLD:
        return ProcessRuntime()
    from simulator.runtimes.process.zygote import ZygoteRuntime

    return ZygoteRuntime()


def read_timeline(path: Path) -> Timeline:
    """A timeline.jsonl. Raises OSError."""
    with path.open(encoding="utf-8") as lines:
        return from_jsonl(lines)
