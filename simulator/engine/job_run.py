"""A job under a plan: attempt after attempt, until it ends as SageMaker would end it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from simulator.checkpoints.store import ObjectStore
from simulator.core.attempt import AttemptMachine, Outcome, Stop
from simulator.core.errors import EnvironmentFailure
from simulator.core.job import TrainingJob
from simulator.core.lifecycle import MESSAGES, SecondaryStatus, may_follow
from simulator.core.plan import Plan
from simulator.core.timeline import Kind, Timeline
from simulator.engine.attempt_run import AttemptRun, Ended
from simulator.engine.clock import SystemClock
from simulator.engine.disk_errors import disk_errors
from simulator.engine.equipment import EngineOptions, Equipment
from simulator.engine.recorder import Recorder
from simulator.engine.surroundings import Surroundings
from simulator.runtimes.port import Runtime


def asked_for(job: TrainingJob, plan: Plan, runtime: str, fidelity_lost: Sequence[str]) -> dict[str, Any]:
    """What RUN_STARTED tells: the job, the plan and where it runs."""
    return {
        "job": job.TrainingJobName,
        "CheckpointConfig": asdict(job.CheckpointConfig) if job.has_checkpoints else None,
        "StoppingCondition": asdict(job.StoppingCondition),
        "EnableManagedSpotTraining": job.spot,
        "interruptions": [trigger.text for trigger in plan.interruptions],
        "profile": asdict(plan.profile),
        "restart_delay_seconds": plan.restart_delay_seconds,
        "seed": plan.seed,
        "runtime": runtime,
        "fidelity_lost": list(fidelity_lost),
    }


class JobRun:
    """One run of a job. `scratch` is an existing folder of this run's own, on the engine's machine."""

    def __init__(
        self,
        job: TrainingJob,
        plan: Plan,
        runtime: Runtime,
        store: ObjectStore,
        recorder: Recorder,
        clock: SystemClock,
        scratch: Path,
        run_id: str,
        options: EngineOptions,
        tick: Callable[[float], None] = lambda now: None,
        surroundings: Surroundings | None = None,
        retries: int = 0,
    ) -> None:
        self._job, self._plan, self._runtime = job, plan, runtime
        self._recorder, self._clock, self._tick, self._retries = recorder, clock, tick, retries
        self._equipment = Equipment(
            runtime, store, recorder, clock, scratch, run_id, options, surroundings or Surroundings()
        )
        self._control = threading.Lock()
        self._running: AttemptRun | None = None
        self._stop_asked = False
        self._aborted: BaseException | None = None
        self._status: SecondaryStatus | None = None
        self._ran_seconds = 0.0

    def run(self) -> Timeline:
        """Carry the job through to its end. Raises EnvironmentFailure where the machine fails and UserInterrupt;
        the recorder's timeline holds what happened until then."""
        started_at = self._clock.now()
        asked = asked_for(self._job, self._plan, self._runtime.name.value, self._runtime.fidelity_lost)
        self._recorder.record(Kind.RUN_STARTED, data=asked)
        attempt, ended = 1, Ended(Outcome.STOPPED, None)
        while self._wait_for_an_instance(attempt, started_at):
            try:
                with disk_errors():
                    ended = self._attempt(attempt, started_at)
            except EnvironmentFailure as error:
                if not self._may_retry(attempt, error):
                    raise
            else:
                if ended.outcome is not Outcome.RECLAIMED:
                    break
            attempt += 1
        self._finish(ended)
        return self._recorder.timeline

    def interrupt(self) -> bool:
        """Take the running instances away now, by the plan's profile; thread-safe. False where there is none, or the
        end is on its way."""
        with self._control:
            return self._running is not None and self._running.interrupt()

    def stop(self) -> None:
        """StopTrainingJob: SIGTERM, SIGKILL 120 s later, and no further attempt; thread-safe."""
        with self._control:
            self._stop_asked = True
            if self._running is not None:
                self._running.stop()

    def abort(self, error: BaseException) -> None:
        """End the run at once: `run` raises the error when the instance is gone; thread-safe."""
        with self._control:
            self._aborted = error
            if self._running is not None:
                self._running.abort(error)

    def _may_retry(self, attempt: int, error: EnvironmentFailure) -> bool:
        """RetryStrategy: an InternalServerError, which is what a failing machine is, begins another attempt."""
        if self._retries <= 0 or self._aborted is not None or self._stop_asked:
            return False
        self._retries -= 1
        self._recorder.record(Kind.WARNING, attempt, {"message": f"InternalServerError: {error.what}: {error.why}"})
        self._set_status(SecondaryStatus.RESTARTING, attempt)
        return True

    def _attempt(self, number: int, started_at: float) -> Ended:
        began_at = self._clock.now()
        stop_at, reason = self._stop_instant(began_at, started_at)
        machine = AttemptMachine(
            self._plan.trigger_of(number), self._plan.profile, self._plan.exit_after_sigterm, stop_at, reason
        )
        attempt = AttemptRun(
            number=number,
            job=self._job,
            machine=machine,
            equipment=self._equipment,
            set_status=lambda status: self._set_status(status, number),
            tick=self._tick,
        )
        self._enter(attempt)
        try:
            ended = attempt.live()
        finally:
            with self._control:
                self._running = None
            self._ran_seconds += self._clock.now() - began_at
        if ended.outcome is Outcome.STOPPED and machine.stopping is not None:
            self._set_status(SecondaryStatus(machine.stopping.value), number)
        return ended

    def _enter(self, attempt: AttemptRun) -> None:
        """From now on calls from outside reach this attempt; those that came before it are handed on."""
        with self._control:
            self._running = attempt
            if self._stop_asked:
                attempt.stop()
            if self._aborted is not None:
                raise self._aborted

    def _stop_instant(self, now: float, started_at: float) -> tuple[float, Stop]:
        """When StoppingCondition ends this attempt: the instances' own time counts for MaxRuntimeInSeconds, waiting
        too for MaxWaitTimeInSeconds (CreateTrainingJob's reference)."""
        condition = self._job.StoppingCondition
        by_runtime = now + max(0.0, condition.MaxRuntimeInSeconds - self._ran_seconds)
        if condition.MaxWaitTimeInSeconds is not None:
            by_wait = started_at + condition.MaxWaitTimeInSeconds
            if by_wait < by_runtime:
                return by_wait, Stop.MAX_WAIT
        return by_runtime, Stop.MAX_RUNTIME

    def _wait_for_an_instance(self, attempt: int, started_at: float) -> bool:
        """Let the time without capacity pass; False when MaxWaitTimeInSeconds ends or a stop comes before the instance.
        A job whose first instance has to be waited for is Starting meanwhile."""
        until = self._clock.now() + self._plan.wait_before(attempt)
        if attempt == 1 and until > self._clock.now():
            self._set_status(SecondaryStatus.STARTING)
        wait = self._job.StoppingCondition.MaxWaitTimeInSeconds
        gives_up_at = None if wait is None else started_at + wait
        while (now := self._clock.now()) < until:
            if self._aborted is not None:
                raise self._aborted
            if self._stop_asked or (gives_up_at is not None and now >= gives_up_at):
                break
            self._tick(now)
            self._clock.sleep(min(0.25, until - now))
        if self._stop_asked:
            ends_as = SecondaryStatus.STOPPED
        elif gives_up_at is not None and self._clock.now() >= gives_up_at:
            ends_as = SecondaryStatus.MAX_WAIT_TIME_EXCEEDED
        else:
            return True
        if self._status is None:
            self._set_status(SecondaryStatus.STARTING)
        self._set_status(SecondaryStatus.STOPPING)
        self._set_status(ends_as)
        return False

    def _finish(self, ended: Ended) -> None:
        match ended.outcome:
            case Outcome.COMPLETED:
                self._set_status(SecondaryStatus.COMPLETED)
            case Outcome.FAILED:
                self._set_status(SecondaryStatus.FAILED)
        self._recorder.record(
            Kind.RUN_FINISHED,
            data={
                "status": self._status.value if self._status else "",
                "exit_code": ended.exit_code,
                "failure_reason": ended.failure_reason,
            },
        )

    def _set_status(self, status: SecondaryStatus, attempt: int = 0) -> None:
        if status is self._status is SecondaryStatus.STARTING:
            return  # it has been Starting while its first instance was waited for
        if not may_follow(self._status, status):
            raise AssertionError(f"a training job does not go from {self._status} to {status}")
        self._status = status
        self._recorder.record(
            Kind.SECONDARY_STATUS, attempt, {"status": status.value, "message": MESSAGES.get(status, "")}
        )
