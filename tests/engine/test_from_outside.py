"""A job that is interrupted, stopped or broken off from outside, that waits for capacity, and whose machine fails."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from simulator.checkpoints.none import NoStore
from simulator.checkpoints.store import ObjectStore
from simulator.core.attempt import Outcome
from simulator.core.errors import EnvironmentFailure
from simulator.core.job import CheckpointConfig, StoppingCondition, TrainingJob
from simulator.core.metrics import DEFAULT_METRICS
from simulator.core.plan import Plan, Profile
from simulator.core.timeline import Event, Kind, Timeline
from simulator.engine.clock import SystemClock
from simulator.engine.equipment import EngineOptions
from simulator.engine.job_run import JobRun
from simulator.engine.recorder import Recorder
from simulator.engine.surroundings import InputsFailed, Surroundings
from simulator.runtimes.port import AttemptSpec, InstancePaths
from tests.checkpoints.memory_store import MemoryStore
from tests.engine.fakes import Container, FakeAttempt, FakeRuntime, Script

QUICK = Profile("two-minute", 0.05, True, 0.3, "a test")
SECONDS = 20.0


class Outside:
    """A job run in a thread, and what happens to it, awaited."""

    def __init__(
        self,
        folder: Path,
        script: Script,
        *,
        gaps: tuple[float, ...] = (),
        stopping: StoppingCondition | None = None,
        surroundings: Surroundings | None = None,
        store: ObjectStore | None = None,
        runtime: FakeRuntime | None = None,
        retries: int = 0,
        has_checkpoints: bool = True,
    ) -> None:
        self._seen = threading.Condition()
        self.timeline = Timeline()
        self.error: BaseException | None = None
        clock = SystemClock()
        job = TrainingJob(
            "a-job",
            CheckpointConfig("s3://bucket/prefix"),
            MetricDefinitions=DEFAULT_METRICS,
            StoppingCondition=stopping or StoppingCondition(),
            has_checkpoints=has_checkpoints,
        )
        self.run = JobRun(
            job,
            Plan((), QUICK, capacity_gaps_seconds=gaps),
            runtime or FakeRuntime(script),
            store or MemoryStore(),
            Recorder(clock, [self._take]),
            clock,
            folder,
            "run",
            EngineOptions(),
            surroundings=surroundings,
            retries=retries,
        )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.run.run()
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self.error = error

    def _take(self, event: Event) -> None:
        with self._seen:
            self.timeline.append(event)
            self._seen.notify_all()

    def await_status(self, status: str, times: int = 1) -> None:
        with self._seen:
            assert self._seen.wait_for(lambda: self.statuses.count(status) >= times, SECONDS), self.statuses

    def await_event(self, kind: Kind) -> None:
        with self._seen:
            assert self._seen.wait_for(lambda: self.timeline.first(kind) is not None, SECONDS)

    def ended(self) -> list[str]:
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()
        return self.statuses

    @property
    def statuses(self) -> list[str]:
        return [event.data["status"] for event in self.timeline.of(Kind.SECONDARY_STATUS)]


def until_signalled(container: Container) -> int:
    container.until_signalled()
    return 143


def trains_until_interrupted_once(container: Container) -> int:
    if container.attempt == 1:
        container.until_signalled()
        return 143
    return 0


def at_once(container: Container) -> int:
    return 0


def test_an_interruption_from_outside_begins_another_attempt(tmp_path: Path) -> None:
    job = Outside(tmp_path, trains_until_interrupted_once)
    job.await_event(Kind.PROCESS_STARTED)
    assert job.run.interrupt()
    assert job.ended() == [
        *("Starting", "Downloading", "Training", "Interrupted"),
        *("Starting", "Downloading", "Training", "Uploading", "Completed"),
    ]
    assert job.timeline.first(Kind.NOTICE_GIVEN) is not None


def test_a_job_that_has_ended_cannot_be_interrupted(tmp_path: Path) -> None:
    job = Outside(tmp_path, at_once)
    job.ended()
    assert not job.run.interrupt()


def test_a_stopped_job_gets_sigterm_and_ends_stopped(tmp_path: Path) -> None:
    job = Outside(tmp_path, until_signalled)
    job.await_event(Kind.PROCESS_STARTED)
    job.run.stop()
    assert job.ended() == ["Starting", "Downloading", "Training", "Stopping", "Stopped"]
    assert [event.data["signal"] for event in job.timeline.of(Kind.SIGNAL_SENT)] == ["SIGTERM"]


def test_a_stop_while_no_instance_is_there_ends_the_job(tmp_path: Path) -> None:
    job = Outside(tmp_path, at_once, gaps=(60.0,))
    job.await_status("Starting")
    job.run.stop()
    assert job.ended() == ["Starting", "Stopping", "Stopped"]


def test_a_stop_while_data_comes_ends_the_job_without_training(tmp_path: Path) -> None:
    waiting = threading.Event()

    def inputs(job: TrainingJob, host: str, directory: Path, is_abandoned: Callable[[], bool]) -> TrainingJob:
        waiting.set()
        while not is_abandoned():
            pass
        return job

    job = Outside(tmp_path, at_once, surroundings=Surroundings(inputs=inputs))
    assert waiting.wait(SECONDS)
    job.run.stop()
    assert job.ended() == ["Starting", "Downloading", "Stopping", "Stopped"]


def test_a_capacity_gap_before_the_first_attempt_keeps_the_job_starting(tmp_path: Path) -> None:
    job = Outside(tmp_path, at_once, gaps=(0.05,))
    assert job.ended() == ["Starting", "Downloading", "Training", "Uploading", "Completed"]


def test_a_job_that_never_gets_an_instance_exceeds_its_wait(tmp_path: Path) -> None:
    job = Outside(tmp_path, at_once, gaps=(60.0,), stopping=StoppingCondition(0.1, 0.1))
    assert job.ended() == ["Starting", "Stopping", "MaxWaitTimeExceeded"]


def test_inputs_that_cannot_be_had_fail_the_job_with_their_reason(tmp_path: Path) -> None:
    def inputs(job: TrainingJob, host: str, directory: Path, is_abandoned: Callable[[], bool]) -> TrainingJob:
        raise InputsFailed("ClientError: no data")

    job = Outside(tmp_path, at_once, surroundings=Surroundings(inputs=inputs))
    assert job.ended() == ["Starting", "Downloading", "Failed"]
    ended = job.timeline.last(Kind.ATTEMPT_ENDED)
    assert ended is not None and ended.data["failure_reason"] == "ClientError: no data"


def test_outputs_are_taken_before_the_instance_is_wiped_and_not_from_a_reclaimed_one(tmp_path: Path) -> None:
    taken: list[tuple[Outcome, bool]] = []

    def outputs(outcome: Outcome, paths: Mapping[str, InstancePaths]) -> None:
        taken.append((outcome, paths["algo-1"].model.is_dir()))

    job = Outside(tmp_path, trains_until_interrupted_once, surroundings=Surroundings(outputs=outputs))
    job.await_event(Kind.PROCESS_STARTED)
    job.run.interrupt()
    job.ended()
    assert taken == [(Outcome.COMPLETED, True)]


def test_an_aborted_run_raises_and_wipes_the_instance(tmp_path: Path) -> None:
    job = Outside(tmp_path, until_signalled)
    job.await_event(Kind.PROCESS_STARTED)
    why = EnvironmentFailure("the server ends", "", "")
    job.run.abort(why)
    job.ended()
    assert job.error is why
    assert job.timeline.first(Kind.INSTANCE_WIPED) is not None


class FailsOnce(FakeRuntime):
    """Cannot start the first instance."""

    def start(self, specs: Sequence[AttemptSpec]) -> Sequence[FakeAttempt]:
        if specs[0].attempt == 1:
            raise EnvironmentFailure("the engine is gone", "it fell over", "start it")
        return super().start(specs)


def test_a_failing_machine_restarts_the_job_as_often_as_its_retry_strategy_says(tmp_path: Path) -> None:
    job = Outside(tmp_path, at_once, runtime=FailsOnce(at_once), retries=1)
    assert job.ended() == [
        *("Starting", "Downloading", "Restarting"),
        *("Starting", "Downloading", "Training", "Uploading", "Completed"),
    ]


def test_a_failing_machine_ends_a_job_without_retries(tmp_path: Path) -> None:
    job = Outside(tmp_path, at_once, runtime=FailsOnce(at_once))
    job.ended()
    assert isinstance(job.error, EnvironmentFailure)


def test_without_a_checkpoint_config_nothing_is_synced(tmp_path: Path) -> None:
    def saves(container: Container) -> int:
        container.save(1)
        return 0

    job = Outside(tmp_path, saves, store=NoStore(), has_checkpoints=False)
    assert job.ended()[-1] == "Completed"
    assert job.timeline.first(Kind.UPLOAD_STARTED) is None


def test_a_script_that_fails_as_its_stop_comes_has_failed(tmp_path: Path) -> None:
    leaving = threading.Event()

    class LeavesFirst(FakeAttempt):
        def signal(self, signum: signal.Signals) -> bool:
            leaving.set()
            self.wait(None)
            return super().signal(signum)

    class Runtime(FakeRuntime):
        def start(self, specs: Sequence[AttemptSpec]) -> Sequence[FakeAttempt]:
            return [LeavesFirst(spec, self._script) for spec in specs]

    def fails(container: Container) -> int:
        leaving.wait(SECONDS)
        return 7

    job = Outside(tmp_path, fails, runtime=Runtime(fails))
    job.await_event(Kind.PROCESS_STARTED)
    job.run.stop()
    assert job.ended()[-2:] == ["Stopping", "Failed"]
    assert job.error is None
