"""One attempt, carried out: restore, train, sync, reclaim, wipe; what the machine commands is done and observed.

Where the job has several hosts, an attempt is one life of all its instances: they begin together, are interrupted
together, and the first that fails ends the others (a named assumption: AWS documents nothing).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from simulator.checkpoints.store import Manifest, TransferAbandoned
from simulator.core.attempt import Act, AttemptMachine, Command, Outcome
from simulator.core.job import TrainingJob
from simulator.core.lifecycle import SecondaryStatus
from simulator.core.timeline import Event, Kind
from simulator.engine.equipment import Equipment
from simulator.engine.instance import Broken, Exited, Instance
from simulator.engine.interrupts import shielded
from simulator.engine.surroundings import InputsFailed

TICK_SECONDS = 0.25  # how often people are shown the time while nothing happens


@dataclass(frozen=True)
class Ended:
    """An attempt's end: what it means for the job, and why it failed where it did."""

    outcome: Outcome
    exit_code: int | None
    failure_reason: str = ""


class AttemptRun:
    """One attempt's life. Make it, call `live()` once; nothing of its instances is left afterwards."""

    def __init__(
        self,
        number: int,
        job: TrainingJob,
        machine: AttemptMachine,
        equipment: Equipment,
        set_status: Callable[[SecondaryStatus], None],
        tick: Callable[[float], None],
    ) -> None:
        self.number = number
        self._job, self._machine, self._equipment = job, machine, equipment
        self._clock, self._store = equipment.clock, equipment.store
        self._set_status, self._tick = set_status, tick
        self._aborted: BaseException | None = None
        self._have_exited = False
        self._first_failed: Instance | None = None
        self._lock = threading.RLock()  # the machine's: events reach it from several threads
        self._inbox: queue.SimpleQueue[Exited | Broken | None] = queue.SimpleQueue()
        self._instances = [self._instance(host) for host in job.hosts]

    def _instance(self, host: str) -> Instance:
        name = f"attempt-{self.number}-{host}" if self._is_several else f"attempt-{self.number}"
        return Instance(host, self._job, self, self._equipment, self._equipment.scratch / name)

    @property
    def _is_several(self) -> bool:
        return len(self._job.hosts) > 1

    # From outside

    def interrupt(self) -> bool:
        """Take the instances away from outside; thread-safe. False where their end is on its way already."""
        with self._lock:
            begun = not self._have_exited and self._machine.interrupt(self._clock.now())
        self._inbox.put(None)
        return begun

    def stop(self) -> None:
        """StopTrainingJob; thread-safe, and of no effect where the instances' end is on its way already."""
        with self._lock:
            self._machine.stop(self._clock.now())
        self._inbox.put(None)

    def abort(self, error: BaseException) -> None:
        """End the attempt at once with an error, as the harness itself ends; thread-safe."""
        self._aborted = error
        self._inbox.put(Broken(error))

    # From the instances

    def is_ending(self) -> bool:
        """See Attempt."""
        return self._machine.reclaim is not None or self._machine.stopping is not None or self._aborted is not None

    def record(self, kind: Kind, data: Mapping[str, Any], host: str = "") -> Event:
        """Record an event, of this attempt or of one of several instances, and let the machine see it at once."""
        told = {**data, "host": host} if host and self._is_several else data
        event = self._equipment.recorder.record(kind, self.number, told)
        with self._lock:
            before = self._machine.reclaim
            self._machine.on_event(event)
            if before is None and self._machine.reclaim is not None:
                self._inbox.put(None)  # wake the loop: the reclaim has begun
        return event

    def log(self, line: bytes, host: str) -> None:
        """See Attempt."""
        self._equipment.recorder.log(self.number, line, host if self._is_several else "")

    def matches(self, line: str) -> bool:
        """See Attempt."""
        with self._lock:
            matched = self._machine.on_line(line, self._clock.now())
        if matched:
            self._inbox.put(None)
        return matched

    def delivered(self, act: Act) -> None:
        """See Attempt."""
        with self._lock:
            self._machine.delivered(act)

    def tell(self, message: Exited | Broken) -> None:
        """See Attempt."""
        self._inbox.put(message)

    # Its life

    def live(self) -> Ended:
        """Run the attempt to its end. Raises EnvironmentFailure; whatever happens, the instances are wiped."""
        hosts = {"hosts": list(self._job.hosts)} if self._is_several else {}
        self.record(Kind.ATTEMPT_STARTED, {"host": self._job.hosts[0], **hosts})
        self._set_status(SecondaryStatus.STARTING)
        try:
            for instance in self._instances:
                instance.make_folder()
            self._set_status(SecondaryStatus.DOWNLOADING)
            try:
                for instance in self._instances:
                    instance.download()
            except InputsFailed as error:
                return self._ended(Ended(Outcome.FAILED, None, str(error)))
            except TransferAbandoned:
                return self._gone_while_downloading()
            if self.is_ending() or not self._restore():
                return self._gone_while_downloading()
            with shielded():
                running = self._equipment.runtime.start([instance.spec() for instance in self._instances])
                for instance, started in zip(self._instances, running, strict=True):
                    instance.started(started)
            self._set_status(SecondaryStatus.TRAINING)
            return self._train()
        finally:
            with shielded():
                self._wipe()

    def _restore(self) -> bool:
        """Fill the folders from S3; False when the instances went meanwhile, or right after."""
        self._record_manifest("before-restore", self._store.digests())
        try:
            restored = [instance.restore() for instance in self._instances]
        except TransferAbandoned:
            return False
        self._record_manifest("restored", restored[0])
        return not self.is_ending()

    def _gone_while_downloading(self) -> Ended:
        """A reclaim or a stop while data comes, or right after (the triggers `download` and `restored`, or from
        outside): no process is there to be warned, so the instances go at once."""
        if self._aborted is not None:
            raise self._aborted
        if self._machine.stopping is not None:
            self._set_status(SecondaryStatus.STOPPING)
            self._record_manifest("end", self._store.digests())
            return self._ended(Ended(Outcome.STOPPED, None))
        for command in self._machine.due(self._clock.now()):
            if command.act is Act.TRIGGERED:
                self._do_triggered(command)
        self.record(Kind.KILLED, {"scheduled_at": self._clock.now(), "observed": True, "process": False})
        self._record_manifest("kill", self._store.digests())
        self._set_status(SecondaryStatus.INTERRUPTED)
        return self._ended(Ended(Outcome.RECLAIMED, None))

    def _train(self) -> Ended:
        try:
            for instance in self._instances:
                instance.watch()
            try:
                outcome = self._until_exit()
            finally:
                for instance in self._instances:
                    instance.stop_looking()
            self._last_uploads(outcome)
        finally:
            for instance in self._instances:
                instance.freeze()
            for instance in self._instances:
                instance.stop_watching()
        self._raise_failure()
        self._record_manifest("kill" if outcome is Outcome.RECLAIMED else "end", self._store.digests())
        if outcome is not Outcome.RECLAIMED:
            for instance in self._instances:
                instance.running.grant_access()
            paths = {instance.host: instance.running.paths for instance in self._instances}
            self._equipment.surroundings.outputs(outcome, paths)
        for instance in self._instances:
            instance.tell_what_is_left(outcome)
        if outcome is Outcome.RECLAIMED:
            self._set_status(SecondaryStatus.INTERRUPTED)
        return self._ended(Ended(outcome, self._exit_code, self._failure_reason))

    def _until_exit(self) -> Outcome:
        """Do what the machine commands, when it commands it, until every entrypoint has ended."""
        while True:
            with self._lock:
                commands = self._machine.due(self._clock.now())
            for command in commands:
                self._do(command)
            self._raise_failure()
            match self._next_message():
                case Exited(host, exit_code):
                    outcome = self._take_exit(host, exit_code)
                    if outcome is not None:
                        return outcome
                case Broken(error):
                    raise error
            self._tick(self._clock.now())

    def _next_message(self) -> Exited | Broken | None:
        with self._lock:
            deadline = self._machine.deadline
        wait_seconds = TICK_SECONDS if deadline is None else min(TICK_SECONDS, deadline - self._clock.now())
        with suppress(queue.Empty):
            return self._inbox.get(timeout=max(0.0, wait_seconds))
        return None

    def _take_exit(self, host: str, exit_code: int) -> Outcome | None:
        """Note an instance's end; what it means when it was the last one. One that fails ends the others."""
        instance = next(each for each in self._instances if each.host == host)
        outcome = None
        with self._lock:
            instance.exit_code = exit_code
            after_sigterm = self._machine.sigterm_sent
            by_itself = not (after_sigterm or self._machine.sigkill_sent)
            if exit_code != 0 and by_itself and self._first_failed is None:
                self._first_failed = instance
            if not self._still_running:
                self._have_exited = True
                outcome = self._machine.outcome(self._exit_code)
        instance.stop_looking()
        instance.tell_exit(after_sigterm)
        if outcome is None and after_sigterm and not self._equipment.options.flush_after_exit:
            instance.freeze()
        if instance is self._first_failed and self._still_running:
            message = f"{host} ended with exit code {exit_code}: the job's other instances are ended with it"
            self.record(Kind.WARNING, {"message": message})
            _at_the_same_time(self._still_running, lambda other: other.running.kill())
        return outcome

    @property
    def _still_running(self) -> list[Instance]:
        return [instance for instance in self._instances if instance.exit_code is None]

    @property
    def _exit_code(self) -> int:
        """The first failure's, or the first that is not 0 in the order of the hosts."""
        if self._first_failed is not None and self._first_failed.exit_code is not None:
            return self._first_failed.exit_code
        return next((instance.exit_code for instance in self._instances if instance.exit_code), 0)

    @property
    def _failure_reason(self) -> str:
        """What the instance that failed first says, or else the first that says anything."""
        told = ([self._first_failed] if self._first_failed is not None else []) + self._instances
        return next((reason for instance in told if (reason := instance.failure_reason)), "")

    def _raise_failure(self) -> None:
        for instance in self._instances:
            if instance.failure is not None:
                raise instance.failure

    def _do(self, command: Command) -> None:
        running = self._still_running
        match command.act:
            case Act.TRIGGERED:
                self._do_triggered(command)
            case Act.GIVE_NOTICE:
                for instance in running:
                    instance.give_notice(command)
                self.record(
                    Kind.NOTICE_GIVEN, {"scheduled_at": command.scheduled_at, "terminate_at": command.terminate_at}
                )
            case Act.LOOK_AT_PROCESSES:
                for instance in running:
                    instance.look_at_processes()
            case Act.SIGTERM:
                if self._machine.stopping is not None:
                    self._set_status(SecondaryStatus.STOPPING)
                ends_at = self._machine.grace_ends_at
                _at_the_same_time(running, lambda instance: instance.sigterm(command, ends_at))
            case Act.SIGKILL:
                for instance in self._instances:
                    instance.freeze()
                _at_the_same_time(running, lambda instance: instance.sigkill(command))

    def _do_triggered(self, command: Command) -> None:
        self.record(Kind.TRIGGER_FIRED, {"interruption": self.number, "observed_at": command.scheduled_at})

    def _last_uploads(self, outcome: Outcome) -> None:
        """The uploads that the instances still have time for: all of them when the job ended by itself; after an exit
        on SIGTERM as many as fit before SIGKILL (AWS documents nothing: a named assumption); none after SIGKILL."""
        timeout_seconds: float | None = None
        if outcome is Outcome.RECLAIMED:
            if self._machine.sigkill_sent or not self._equipment.options.flush_after_exit:
                return
            ends_at = self._machine.grace_ends_at
            timeout_seconds = None if ends_at is None else max(0.0, ends_at - self._clock.now())
        elif outcome is Outcome.COMPLETED:
            self._set_status(SecondaryStatus.UPLOADING)
        try:
            _at_the_same_time(self._instances, lambda instance: instance.flush(timeout_seconds))
        except BaseException:
            for instance in self._instances:
                instance.freeze()  # so that no flush goes on
            raise

    def _record_manifest(self, when: str, manifest: Manifest) -> None:
        files = {path: asdict(version) for path, version in sorted(manifest.items())}
        self.record(Kind.MANIFEST, {"when": when, "files": files})

    def _ended(self, ended: Ended) -> Ended:
        self.record(
            Kind.ATTEMPT_ENDED,
            {"outcome": ended.outcome, "exit_code": ended.exit_code, "failure_reason": ended.failure_reason},
        )
        return ended

    def _wipe(self) -> None:
        left = [each for instance in self._instances for each in instance.wipe()]
        self.record(Kind.INSTANCE_WIPED, {"left": left})


def _at_the_same_time(instances: Sequence[Instance], act: Callable[[Instance], object]) -> None:
    """Do it to every instance, and return when it was done to all; the first error is raised then."""
    if len(instances) == 1:
        act(instances[0])
        return
    with ThreadPoolExecutor(max(1, len(instances)), "instances") as pool:
        done = [pool.submit(act, instance) for instance in instances]
    for each in done:
        each.result()
