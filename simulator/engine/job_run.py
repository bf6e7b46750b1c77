"""A job under a plan: attempt after attempt, until it ends as SageMaker would end it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from simulator.checkpoints.store import ObjectStore
from simulator.checkpoints.sync import SyncOptions
from simulator.core.attempt import AttemptMachine, Outcome, Stop
from simulator.core.job import TrainingJob
from simulator.core.lifecycle import MESSAGES, SecondaryStatus, may_follow
from simulator.core.plan import Plan
from simulator.core.timeline import Kind, Timeline
from simulator.engine.clock import SystemClock
from simulator.engine.disk_errors import disk_errors
from simulator.engine.instance import Ended, Instance
from simulator.engine.recorder import Recorder
from simulator.runtimes.port import Runtime


@dataclass(frozen=True)
class EngineOptions:
    """Named assumptions that the engine works with: see docs/assumptions.md. `read_states` is none: it has the content
    of checkpoints and models noted, for runs that will be compared."""

    sync: SyncOptions = field(default_factory=SyncOptions)
    flush_after_exit: bool = True
    read_states: bool = False


def asked_for(job: TrainingJob, plan: Plan, runtime: str, fidelity_lost: Sequence[str]) -> dict[str, Any]:
    """What RUN_STARTED tells: the job, the plan and where it runs."""
    return {
        "job": job.TrainingJobName,
        "CheckpointConfig": asdict(job.CheckpointConfig),
        "StoppingCondition": asdict(job.StoppingCondition),
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
    ) -> None:
        self._job, self._plan, self._runtime, self._store = job, plan, runtime, store
        self._recorder, self._clock, self._scratch, self._run_id = recorder, clock, scratch, run_id
        self._options, self._tick = options, tick
        self._status: SecondaryStatus | None = None
        self._ran_seconds = 0.0

    def run(self) -> Timeline:
        """Carry the job through to its end. Raises EnvironmentFailure where the machine fails and UserInterrupt;
        the recorder's timeline holds what happened until then."""
        started_at = self._clock.now()
        asked = asked_for(self._job, self._plan, self._runtime.name.value, self._runtime.fidelity_lost)
        self._recorder.record(Kind.RUN_STARTED, data=asked)
        attempt = 1
        with disk_errors():
            while (ended := self._attempt(attempt, started_at)).outcome is Outcome.RECLAIMED:
                if not self._wait_for_an_instance(started_at):
                    break
                attempt += 1
        self._finish(ended)
        return self._recorder.timeline

    def _attempt(self, number: int, started_at: float) -> Ended:
        began_at = self._clock.now()
        stop_at, reason = self._stop_instant(began_at, started_at)
        machine = AttemptMachine(
            self._plan.trigger_of(number), self._plan.profile, self._plan.exit_after_sigterm, stop_at, reason
        )
        instance = Instance(
            number=number,
            job=self._job,
            machine=machine,
            runtime=self._runtime,
            store=self._store,
            recorder=self._recorder,
            clock=self._clock,
            scratch=self._scratch,
            run_id=self._run_id,
            sync_options=self._options.sync,
            flush_after_exit=self._options.flush_after_exit,
            set_status=lambda status: self._set_status(status, number),
            tick=self._tick,
            read_states=self._options.read_states,
        )
        ended = instance.live()
        self._ran_seconds += self._clock.now() - began_at
        if ended.outcome is Outcome.STOPPED and machine.stopping is not None:
            self._set_status(SecondaryStatus(machine.stopping.value), number)
        return ended

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

    def _wait_for_an_instance(self, started_at: float) -> bool:
        """Let the restart delay pass; False when MaxWaitTimeInSeconds ends before a new instance comes."""
        until = self._clock.now() + self._plan.restart_delay_seconds
        wait = self._job.StoppingCondition.MaxWaitTimeInSeconds
        gives_up_at = None if wait is None else started_at + wait
        while (now := self._clock.now()) < until:
            if gives_up_at is not None and now >= gives_up_at:
                break
            self._tick(now)
            self._clock.sleep(min(0.25, until - now))
        if gives_up_at is not None and self._clock.now() >= gives_up_at:
            self._set_status(SecondaryStatus.STOPPING)
            self._set_status(SecondaryStatus.MAX_WAIT_TIME_EXCEEDED)
            return False
        return True

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
        if not may_follow(self._status, status):
            raise AssertionError(f"a training job does not go from {self._status} to {status}")
        self._status = status
        self._recorder.record(
            Kind.SECONDARY_STATUS, attempt, {"status": status.value, "message": MESSAGES.get(status, "")}
        )
