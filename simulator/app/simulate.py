"""`spot-simulator run` and `simulator.simulate()`: a job, a plan, a verdict, and a folder that holds them."""

from __future__ import annotations

import re
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from simulator.app.bundled import DEFAULT_INTERRUPTION, bundled_job
from simulator.app.lint import is_refused, refusal
from simulator.app.runtimes import choose_runtime, fit_job, make_runtimes
from simulator.app.settings import Settings, load_settings
from simulator.checkpoints.sync import SyncOptions
from simulator.core.errors import ExitCode, SimulatorError
from simulator.core.job import CheckpointConfig, TrainingJob, host_names
from simulator.core.plan import Plan, profile_named
from simulator.core.timeline import Timeline
from simulator.engine.clock import SystemClock
from simulator.engine.disk_errors import disk_errors
from simulator.engine.equipment import EngineOptions
from simulator.engine.interrupts import UserInterrupt, orderly_interrupts, shielded
from simulator.engine.job_run import JobRun
from simulator.engine.recorder import Recorder
from simulator.reports.folder import RunFolder, read_run
from simulator.reports.github import tell_github
from simulator.reports.record import RunRecord
from simulator.reports.render import render
from simulator.reports.summary import print_summary
from simulator.reports.views import View, open_view
from simulator.runtimes.ownership import make_scratch, owner, sweep_scratch
from simulator.runtimes.port import Runtime, RuntimeName
from simulator.services.s3 import S3Kind, S3Service, open_s3
from simulator.verdict import Baseline, Verdict, judge

BUCKET = "spot-simulator"
BASELINE_RUNS = 2  # the uninterrupted run is made twice: where those two differ, the restart is not to blame
INTERRUPTED = "interrupted by the user"


@dataclass(frozen=True)
class Result:
    """What a run came to. `folder` holds report.json, timeline.jsonl and the logs."""

    record: RunRecord
    report: dict[str, Any]
    folder: Path

    @property
    def verdict(self) -> Verdict:
        """The answer, with its findings."""
        return self.record.verdict

    @property
    def exit_code(self) -> ExitCode:
        """The command's exit code."""
        return self.record.exit_code


def simulate(config: Path | None = None, **settings: Any) -> Result:
    """Run a job under interruptions and judge it: `spot-simulator run` as a function, with its options as keywords
    (`source_dir=`, `entry_script=`, `interrupt=("step=40",)`, `warning=5` …). Raises SimulatorError, UserInterrupt."""
    return run_settings(load_settings(config, {"view": "quiet", **settings}))


def run_settings(settings: Settings) -> Result:
    """Run what the settings say. Raises UsageError before anything has started; EnvironmentFailure and UserInterrupt
    after the partial report was written and everything that was started is gone."""
    concluded: list[Result] = []
    with orderly_interrupts():
        try:
            with ExitStack() as stack:
                result = _run_within(settings, stack, concluded.append)
        finally:
            if concluded and settings.view != "quiet":
                tell_github(concluded[0].report)
        if settings.view != "quiet":
            print_summary(result.report, result.folder)
        return result


def show_again(folder: Path) -> ExitCode:
    """Write a finished run's reports anew and print its summary. Raises UsageError where the folder holds none."""
    run = read_run(folder)
    for line in render(run):
        print(f"warning: {line}", file=sys.stderr)  # noqa: T201 - the command's own output
    print_summary(run.report, folder)
    return ExitCode(run.report["exit_code"])


def sweep_everything() -> list[str]:
    """Remove what killed harnesses left behind, in every runtime that answers; returns what was removed."""
    removed = sweep_scratch()
    for runtime in make_runtimes():
        removed += runtime.sweep()
        runtime.close()
    return removed


def _run_within(settings: Settings, stack: ExitStack, concluded: Callable[[Result], None]) -> Result:
    plan, job = plan_and_job(settings)
    if is_refused(settings):
        result = _refused(settings, plan, job, stack)
        concluded(result)
        return result
    view = stack.enter_context(open_view(settings.view))
    runtime = choose_runtime(settings.runtime, view.say)
    stack.callback(runtime.close)
    for line in [*runtime.sweep(), *sweep_scratch()]:
        view.say(f"removed what an earlier run had left: {line}")
    job = fit_job(job, runtime, view.say)
    runtime.prepare(job)
    run_id = secrets.token_hex(4)
    with shielded():
        scratch = make_scratch(run_id)
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
    with shielded():
        s3 = stack.enter_context(_open_s3(settings, runtime, run_id, view))
    folder = _run_folder(settings, job, stack, view.say)
    return _Run(settings, plan, job, runtime, s3, scratch, run_id, folder, view, concluded).carry_out()


def _refused(settings: Settings, plan: Plan, job: TrainingJob, stack: ExitStack) -> Result:
    folder = _run_folder(settings, job, stack, lambda line: None)
    record = refusal(settings, plan, job, [folder.on_event])
    return Result(record, folder.write_report(record), folder.path)


def _run_folder(settings: Settings, job: TrainingJob, stack: ExitStack, say: Callable[[str], None]) -> RunFolder:
    folder = RunFolder.create(settings.out or Path("runs") / job.TrainingJobName, say)
    stack.callback(folder.close)
    return folder


class _Run:
    """The parts of one command's run put together: the baselines where wanted, the interrupted run, the verdict."""

    def __init__(
        self,
        settings: Settings,
        plan: Plan,
        job: TrainingJob,
        runtime: Runtime,
        s3: S3Service,
        scratch: Path,
        run_id: str,
        folder: RunFolder,
        view: View,
        concluded: Callable[[Result], None],
    ) -> None:
        self._concluded = concluded
        self._settings, self._plan, self._job, self._runtime, self._s3 = settings, plan, job, runtime, s3
        self._scratch, self._run_id, self._folder, self._view = scratch, run_id, folder, view
        self._options = EngineOptions(sync_options(settings), settings.flush_after_exit, read_states=settings.baseline)

    def carry_out(self) -> Result:
        """Run, judge, report; what cuts the run short is raised after the partial report was written."""
        baselines: list[Timeline] = []
        clock = SystemClock()
        recorder = Recorder(clock)
        try:
            with explained(self._s3):
                if self._settings.baseline:
                    baselines = [self._baseline(number) for number in range(1, BASELINE_RUNS + 1)]
                clock = SystemClock()
                recorder = Recorder(
                    clock, [self._folder.on_event, self._view.on_event], [self._folder.on_log, self._view.on_log]
                )
                self._job_run(self._job, self._plan, recorder, clock, self._scratch).run()
        except (SimulatorError, UserInterrupt) as error:
            with shielded():
                self._conclude(clock, recorder.timeline, baselines, error)
            raise
        return self._conclude(clock, recorder.timeline, baselines, None)

    def _baseline(self, number: int) -> Timeline:
        """The same job, left alone, with an S3 prefix of its own; its timeline and logs go to baseline-N/."""
        self._view.say(f"the uninterrupted run, {number} of {BASELINE_RUNS}")
        name = f"baseline-{number}"
        uri = f"s3://{BUCKET}/{self._job.TrainingJobName}/{name}/"
        job = replace(self._job, CheckpointConfig=replace(self._job.CheckpointConfig, S3Uri=uri))
        folder = RunFolder.create(self._folder.path / name, self._view.say)
        scratch = self._scratch / name
        scratch.mkdir()
        clock = SystemClock()
        recorder = Recorder(clock, [folder.on_event], [folder.on_log])
        try:
            return self._job_run(job, self._plan.without_interruptions(), recorder, clock, scratch).run()
        finally:
            folder.close()

    def _job_run(self, job: TrainingJob, plan: Plan, recorder: Recorder, clock: SystemClock, scratch: Path) -> JobRun:
        config = job.CheckpointConfig
        return JobRun(
            job=job,
            plan=plan,
            runtime=self._runtime,
            store=self._s3.store(config.bucket, config.prefix),
            recorder=recorder,
            clock=clock,
            scratch=scratch,
            run_id=self._run_id,
            options=self._options,
            tick=self._view.tick,
        )

    def _conclude(
        self, clock: SystemClock, timeline: Timeline, baselines: list[Timeline], error: BaseException | None
    ) -> Result:
        verdict = judge(timeline, baseline=Baseline(baselines) if baselines else None)
        record = RunRecord(
            job=self._job,
            plan=self._plan,
            timeline=timeline,
            started_at=clock.started_at,
            verdict=verdict,
            runtime=self._runtime.name.value,
            fidelity_lost=self._runtime.fidelity_lost,
            options=self._options,
            partial=None if error is None else why_partial(error),
            partial_exit_code=exit_code_of(error),
        )
        report = self._folder.write_report(record)
        if error is not None:
            self._view.say(f"the partial report is in {self._folder.path}")
        result = Result(record, report, self._folder.path)
        self._concluded(result)
        return result


def plan_and_job(settings: Settings) -> tuple[Plan, TrainingJob]:
    """The plan and the job as far as they do not depend on the runtime. Raises UsageError."""
    profile = profile_named(settings.profile, settings.warning, settings.grace)
    hyperparameters, interruption = dict(settings.hyperparameters), DEFAULT_INTERRUPTION
    source_dir, entry_script = settings.source_dir, settings.entry_script
    if settings.image is None and entry_script is None:
        bundled = bundled_job(profile.warning_seconds or 0.0)
        hyperparameters, interruption = bundled.hyperparameters | hyperparameters, bundled.interruption
    elif entry_script is not None and source_dir is None:
        source_dir, entry_script = Path(entry_script).parent, Path(entry_script).name
    name = settings.job_name or _job_name(entry_script or settings.image or "bundled-trainer")
    uri = settings.checkpoint_s3_uri or f"s3://{BUCKET}/{name}/checkpoints/"
    job = TrainingJob(
        TrainingJobName=name,
        CheckpointConfig=CheckpointConfig(uri, settings.checkpoint_local_path),
        image=settings.image,
        source_dir=source_dir.resolve() if source_dir else None,
        entry_script=entry_script,
        HyperParameters=hyperparameters,
        channels={channel: path.resolve() for channel, path in settings.channels.items()},
        Environment=dict(settings.environment),
        StoppingCondition=settings.stopping_condition(),
        MetricDefinitions=settings.metric_definitions(),
        hosts=host_names(settings.instance_count),
    )
    return settings.plan(interruption), job


def _job_name(of: str) -> str:
    stem = re.sub(r"[^a-zA-Z0-9]+", "-", Path(of.rpartition("/")[2]).stem).strip("-") or "job"
    return f"{stem[:40]}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def sync_options(settings: Settings) -> SyncOptions:
    """The uploader's habits that the settings ask for."""
    options = SyncOptions(uploader_markers=settings.uploader_markers, local_path=settings.checkpoint_local_path)
    return options if settings.settle_seconds is None else replace(options, settle_seconds=settings.settle_seconds)


def _open_s3(settings: Settings, runtime: Runtime, run_id: str, view: View) -> S3Service:
    kind = S3Kind.COMPOSE if runtime.name is RuntimeName.LOCAL_MODE else S3Kind.EMBEDDED
    return open_s3(
        kind,
        endpoint=settings.s3_endpoint,
        allow_aws=settings.allow_aws,
        port=settings.moto_port,
        run_id=run_id,
        owner=owner(),
        progress=view.say,
    )


@contextmanager
def explained(s3: S3Service) -> Iterator[None]:
    """Within, a disk that fails is an EnvironmentFailure, and so is whatever fails because the S3 server has died."""
    try:
        with disk_errors():
            yield
    except SimulatorError:
        s3.check()
        raise


def why_partial(error: BaseException) -> str:
    """What a partial report says of what cut its run short."""
    return error.what if isinstance(error, SimulatorError) else INTERRUPTED


def exit_code_of(error: BaseException | None) -> ExitCode:
    """What the command ends with for what cut its run short."""
    return error.exit_code if isinstance(error, SimulatorError) else ExitCode.INTERRUPTED_BY_USER
