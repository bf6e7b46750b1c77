"""One attempt, carried out: restore, train, sync, reclaim, wipe; what the machine commands is done and observed."""

from __future__ import annotations

import queue
import shutil
import signal
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from simulator.checkpoints.folder import Found, look
from simulator.checkpoints.none import NoSync
from simulator.checkpoints.restore import restore
from simulator.checkpoints.store import Manifest, ObjectStore, TransferAbandoned
from simulator.checkpoints.sync import CheckpointSync, SyncOptions
from simulator.checkpoints.writers import WriterWatch
from simulator.core.attempt import Act, AttemptMachine, Command, Outcome
from simulator.core.job import TrainingJob
from simulator.core.lifecycle import SecondaryStatus
from simulator.core.metrics import MetricReader
from simulator.core.reaction import LinesToKeep
from simulator.core.timeline import Event, Kind
from simulator.engine.checkpoint_talk import CheckpointTalk
from simulator.engine.clock import SystemClock
from simulator.engine.contents import folder_contents
from simulator.engine.interrupts import shielded
from simulator.engine.looks import Looks, take_look
from simulator.engine.recorder import Recorder
from simulator.engine.samples import SampleRecorder
from simulator.engine.state_watch import StateWatch
from simulator.engine.surroundings import InputsFailed, Surroundings
from simulator.notices.file import give_notice
from simulator.runtimes.port import AttemptSpec, RunningAttempt, Runtime

TICK_SECONDS = 0.25  # how often people are shown the time while nothing happens
LOG_DRAIN_SECONDS = 10.0  # how long the last lines may take to arrive after the process has ended
LOG_TAIL_LINES = 20
LOG_LINE_CHARACTERS = 500  # of a line on the timeline; the logs hold all of it
FAILURE_REASON_CHARACTERS = 1024  # "How Amazon SageMaker signals algorithm failure": the first 1024 of output/failure


@dataclass(frozen=True)
class Exited:
    """The entrypoint ended, and all that it printed was read."""

    exit_code: int


@dataclass(frozen=True)
class Broken:
    """A helper thread met an error that ends the run."""

    error: BaseException


@dataclass(frozen=True)
class Ended:
    """An attempt's end: what it means for the job, and why it failed where it did."""

    outcome: Outcome
    exit_code: int | None
    failure_reason: str = ""


class Instance:
    """One attempt's life. Make it, call `live()` once; nothing of it is left afterwards."""

    def __init__(
        self,
        number: int,
        job: TrainingJob,
        machine: AttemptMachine,
        runtime: Runtime,
        store: ObjectStore,
        recorder: Recorder,
        clock: SystemClock,
        scratch: Path,
        run_id: str,
        sync_options: SyncOptions,
        flush_after_exit: bool,
        set_status: Callable[[SecondaryStatus], None],
        tick: Callable[[float], None],
        read_states: bool = False,
        surroundings: Surroundings | None = None,
    ) -> None:
        self._number, self._job, self._machine = number, job, machine
        self._runtime, self._store, self._recorder, self._clock = runtime, store, recorder, clock
        self._directory, self._run_id = scratch / f"attempt-{number}", run_id
        self._sync_options, self._flush_after_exit = sync_options, flush_after_exit
        self._set_status, self._tick = set_status, tick
        self._surroundings = surroundings or Surroundings()
        self._aborted: BaseException | None = None
        self._has_exited = False
        self._lock = threading.RLock()  # the machine's: events reach it from several threads
        self._kept: LinesToKeep | None = None  # which lines go on the timeline, once the script was told
        self._looks: Looks | None = None
        self._inbox: queue.SimpleQueue[Exited | Broken | None] = queue.SimpleQueue()
        self._metrics = MetricReader(job.MetricDefinitions)
        self._log_tail: deque[str] = deque(maxlen=LOG_TAIL_LINES)
        self._talk = CheckpointTalk()
        self._samples = SampleRecorder(self._emit)
        self._read_states = read_states
        self._states: StateWatch | None = None

    def interrupt(self) -> bool:
        """Take the instance away from outside; thread-safe. False where its end is on its way already."""
        with self._lock:
            begun = not self._has_exited and self._machine.interrupt(self._clock.now())
        self._inbox.put(None)
        return begun

    def stop(self) -> None:
        """StopTrainingJob; thread-safe, and of no effect where the instance's end is on its way already."""
        with self._lock:
            self._machine.stop(self._clock.now())
        self._inbox.put(None)

    def abort(self, error: BaseException) -> None:
        """End the attempt at once with an error, as the harness itself ends; thread-safe."""
        self._aborted = error
        self._inbox.put(Broken(error))

    def live(self) -> Ended:
        """Run the attempt to its end. Raises EnvironmentFailure; whatever happens, the instance is wiped."""
        self._emit(Kind.ATTEMPT_STARTED, {"host": self._job.hosts[0]})
        self._set_status(SecondaryStatus.STARTING)
        checkpoints = self._directory / "checkpoints"
        checkpoints.mkdir(parents=True)
        running: RunningAttempt | None = None
        try:
            self._set_status(SecondaryStatus.DOWNLOADING)
            try:
                self._job = self._surroundings.inputs(
                    self._job, self._job.hosts[0], self._directory / "inputs", self._is_ending
                )
            except InputsFailed as error:
                return self._ended(Ended(Outcome.FAILED, None, str(error)))
            except TransferAbandoned:
                return self._gone_while_downloading()
            if self._is_ending() or not self._restore(checkpoints):
                return self._gone_while_downloading()
            spec = AttemptSpec(
                job=self._job,
                run_id=self._run_id,
                attempt=self._number,
                host=self._job.hosts[0],
                instance_dir=self._directory,
                checkpoints=checkpoints,
            )
            restored = look(checkpoints, self._job.CheckpointConfig.LocalPath).files
            self._talk = CheckpointTalk(restored)
            with shielded():
                (running,) = self._runtime.start([spec])
            self._set_status(SecondaryStatus.TRAINING)
            return self._train(running, restored)
        finally:
            with shielded():
                self._wipe(running)

    def _restore(self, checkpoints: Path) -> bool:
        """Fill the folder from S3 and only from there; False when the instance went meanwhile, or right after."""
        self._record_manifest("before-restore", self._store.digests())
        try:
            restored = restore(self._store, checkpoints, self._emit, self._is_ending)
        except TransferAbandoned:
            return False
        self._record_manifest("restored", restored)
        return not self._is_ending()

    def _is_ending(self) -> bool:
        return self._machine.reclaim is not None or self._machine.stopping is not None or self._aborted is not None

    def _gone_while_downloading(self) -> Ended:
        """A reclaim or a stop while data comes, or right after (the triggers `download` and `restored`, or from
        outside): no process is there to be warned, so the instance goes at once."""
        if self._aborted is not None:
            raise self._aborted
        if self._machine.stopping is not None:
            self._set_status(SecondaryStatus.STOPPING)
            self._record_manifest("end", self._store.digests())
            return self._ended(Ended(Outcome.STOPPED, None))
        for command in self._machine.due(self._clock.now()):
            if command.act is Act.TRIGGERED:
                self._do_triggered(command)
        self._emit(Kind.KILLED, {"scheduled_at": self._clock.now(), "observed": True, "process": False})
        self._record_manifest("kill", self._store.digests())
        self._set_status(SecondaryStatus.INTERRUPTED)
        return self._ended(Ended(Outcome.RECLAIMED, None))

    def _train(self, running: RunningAttempt, restored: Mapping[str, Found]) -> Ended:
        writers = WriterWatch(running.paths.checkpoints, self._job.CheckpointConfig.LocalPath, self._clock.now)

        def emit(kind: Kind, data: Mapping[str, Any]) -> None:
            self._emit(kind, data)
            if kind is Kind.FILE_CHANGED:
                writers.also_below(data["path"])

        syncs = CheckpointSync if self._job.has_checkpoints else NoSync
        sync = syncs(
            running.paths.checkpoints,
            self._store,
            self._clock,
            emit,
            self._sync_options,
            running.grant_access,
        )
        if self._read_states:
            self._states = StateWatch(running.paths.checkpoints, self._emit)
        try:
            writers.start()
            sync.start(restored)
            self._emit(Kind.PROCESS_STARTED, {"identity": running.identity})
            self._watch(running)
            try:
                exit_code = self._until_exit(running, sync)
            finally:
                if self._looks is not None:
                    self._looks.stop()
            with self._lock:
                self._has_exited = True
                outcome = self._machine.outcome(exit_code)
            self._emit(
                Kind.PROCESS_EXITED,
                {
                    "exit_code": exit_code,
                    "after_sigterm": self._machine.sigterm_sent,
                    "log_tail": list(self._log_tail),
                    "log_about_checkpoints": self._talk.lines,
                },
            )
            self._tell_writers(writers)
            self._last_uploads(sync, outcome)
        finally:
            writers.stop()
            sync.stop_at_once()
            if self._states is not None:
                self._states.stop()
        if sync.failure is not None:
            raise sync.failure
        self._record_manifest("kill" if outcome is Outcome.RECLAIMED else "end", self._store.digests())
        if outcome is not Outcome.RECLAIMED:
            running.grant_access()
            self._surroundings.outputs(outcome, {self._job.hosts[0]: running.paths})
        self._emit(Kind.MODEL_FILES, {"files": folder_contents(running.paths.model)})
        self._samples.take_sidecar(running.paths.output)
        if self._states is not None and outcome is Outcome.COMPLETED:
            self._states.read_end(running.paths.model)
        self._emit(Kind.WRITTEN_PATHS, {"paths": [asdict(path) for path in running.written_paths()]})
        if outcome is Outcome.RECLAIMED:
            self._set_status(SecondaryStatus.INTERRUPTED)
        return self._ended(Ended(outcome, exit_code, _failure_reason(running.paths.output)))

    def _tell_writers(self, writers: WriterWatch) -> None:
        told = writers.stop()
        if told is not None:
            self._emit(Kind.FILE_WRITERS, asdict(told))

    def _until_exit(self, running: RunningAttempt, sync: CheckpointSync) -> int:
        """Do what the machine commands, when it commands it, until the entrypoint has ended."""
        while True:
            with self._lock:
                commands = self._machine.due(self._clock.now())
            for command in commands:
                self._do(command, running, sync)
            if sync.failure is not None:
                raise sync.failure
            message = self._next_message()
            match message:
                case Exited(exit_code):
                    return exit_code
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

    def _do(self, command: Command, running: RunningAttempt, sync: CheckpointSync) -> None:
        match command.act:
            case Act.TRIGGERED:
                self._do_triggered(command)
            case Act.GIVE_NOTICE:
                give_notice(running.paths.input_config, self._clock.wall_at(command.terminate_at))
                self._kept = LinesToKeep()
                self._emit(
                    Kind.NOTICE_GIVEN, {"scheduled_at": command.scheduled_at, "terminate_at": command.terminate_at}
                )
            case Act.LOOK_AT_PROCESSES:
                take_look(running, "before-sigterm", self._clock, self._emit)
            case Act.SIGTERM:
                if self._machine.stopping is not None:
                    self._set_status(SecondaryStatus.STOPPING)
                tail, self._kept, sending_at = list(self._log_tail.copy()), LinesToKeep(), self._clock.now()
                delivered = running.signal(signal.SIGTERM)
                if delivered:
                    self._machine.delivered(command.act)
                sent = self._emit(
                    Kind.SIGNAL_SENT,
                    {
                        "signal": "SIGTERM",
                        "scheduled_at": command.scheduled_at,
                        "sending_at": sending_at,
                        "delivered": delivered,
                        "log_tail": tail,
                    },
                )
                ends_at = self._machine.grace_ends_at
                if delivered and ends_at is not None:
                    self._looks = Looks(running, self._clock, self._emit, sent.at, ends_at)
            case Act.SIGKILL:
                sync.freeze()  # at this instant the instance is gone: what is still on its way is lost
                observed = running.kill()
                if observed:
                    self._machine.delivered(command.act)
                self._emit(Kind.KILLED, {"scheduled_at": command.scheduled_at, "observed": observed, "process": True})

    def _do_triggered(self, command: Command) -> None:
        self._emit(Kind.TRIGGER_FIRED, {"interruption": self._number, "observed_at": command.scheduled_at})

    def _last_uploads(self, sync: CheckpointSync, outcome: Outcome) -> None:
        """The uploads that the instance still has time for: all of them when the job ended by itself; after an exit
        on SIGTERM as many as fit before SIGKILL (AWS documents nothing: a named assumption); none after SIGKILL."""
        if outcome is not Outcome.RECLAIMED:
            if outcome is Outcome.COMPLETED:
                self._set_status(SecondaryStatus.UPLOADING)
            sync.flush(None)
        elif not self._machine.sigkill_sent and self._flush_after_exit:
            ends_at = self._machine.grace_ends_at
            sync.flush(None if ends_at is None else max(0.0, ends_at - self._clock.now()))

    def _watch(self, running: RunningAttempt) -> None:
        """Read the log and wait for the exit, each in a thread of its own, so that neither holds up the reclaim."""
        reader = threading.Thread(target=self._read_log, args=(running,), name="log", daemon=True)
        waiter = threading.Thread(target=self._await_exit, args=(running, reader), name="exit", daemon=True)
        reader.start()
        waiter.start()

    def _read_log(self, running: RunningAttempt) -> None:
        try:
            for line in running.log_lines():
                self._take_line(line)
        except Exception as error:  # noqa: BLE001 - whatever it is, the run must end with it and not hang
            self._inbox.put(Broken(error))

    def _take_line(self, raw: bytes) -> None:
        self._recorder.log(self._number, raw)
        line = raw.decode("utf-8", "replace")
        self._log_tail.append(line[:LOG_LINE_CHARACTERS])
        self._talk.hear(line)
        self._samples.take_line(line)
        for reading in self._metrics.read(line):
            self._emit(Kind.METRIC, {"name": reading.name, "value": reading.value, "line": line[:LOG_LINE_CHARACTERS]})
        if self._kept is not None and self._kept.keeps(line[:LOG_LINE_CHARACTERS], bool(self._metrics.read(line))):
            self._emit(Kind.LOG_LINE, {"line": line[:LOG_LINE_CHARACTERS]})
        with self._lock:
            matched = self._machine.on_line(line, self._clock.now())
        if matched:
            self._emit(Kind.LOG_MATCHED, {"line": line[:LOG_LINE_CHARACTERS]})
            self._inbox.put(None)

    def _await_exit(self, running: RunningAttempt, reader: threading.Thread) -> None:
        try:
            exit_code = running.wait(None)
            reader.join(LOG_DRAIN_SECONDS)
            self._inbox.put(Exited(exit_code if exit_code is not None else 0))
        except Exception as error:  # noqa: BLE001 - as above
            self._inbox.put(Broken(error))

    def _emit(self, kind: Kind, data: Mapping[str, Any]) -> Event:
        """Record an event of this attempt, and let the machine see it at once."""
        event = self._recorder.record(kind, self._number, data)
        with self._lock:
            before = self._machine.reclaim
            self._machine.on_event(event)
            if before is None and self._machine.reclaim is not None:
                self._inbox.put(None)  # wake the loop: the reclaim has begun
        if kind is Kind.FILE_SETTLED and self._states is not None:
            self._states.settled(str(event.data["path"]))
        return event

    def _record_manifest(self, when: str, manifest: Manifest) -> None:
        files = {path: asdict(version) for path, version in sorted(manifest.items())}
        self._emit(Kind.MANIFEST, {"when": when, "files": files})

    def _ended(self, ended: Ended) -> Ended:
        self._emit(
            Kind.ATTEMPT_ENDED,
            {"outcome": ended.outcome, "exit_code": ended.exit_code, "failure_reason": ended.failure_reason},
        )
        return ended

    def _wipe(self, running: RunningAttempt | None) -> None:
        left = running.wipe() if running is not None else _remove(self._directory)
        self._emit(Kind.INSTANCE_WIPED, {"left": left})


def _remove(directory: Path) -> list[str]:
    shutil.rmtree(directory, ignore_errors=True)
    return [str(directory)] if directory.exists() else []


def _failure_reason(output: Path) -> str:
    try:
        with (output / "failure").open("rb") as file:
            return file.read(4 * FAILURE_REASON_CHARACTERS).decode("utf-8", "replace")[:FAILURE_REASON_CHARACTERS]
    except OSError:
        return ""
