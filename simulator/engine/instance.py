"""One instance of an attempt: its folder, its container, its uploader, and what is heard and seen of it."""

from __future__ import annotations

import shutil
import signal
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from simulator.checkpoints.folder import Found, look
from simulator.checkpoints.none import NoSync
from simulator.checkpoints.restore import restore
from simulator.checkpoints.store import Manifest
from simulator.checkpoints.sync import CheckpointSync
from simulator.checkpoints.writers import WriterWatch
from simulator.core.attempt import Act, Command, Outcome
from simulator.core.job import TrainingJob
from simulator.core.metrics import MetricReader
from simulator.core.reaction import LinesToKeep
from simulator.core.timeline import Event, Kind
from simulator.engine.checkpoint_talk import CheckpointTalk
from simulator.engine.contents import folder_contents
from simulator.engine.equipment import Equipment
from simulator.engine.looks import Looks, take_look
from simulator.engine.samples import SampleRecorder
from simulator.engine.state_watch import StateWatch
from simulator.notices.file import give_notice
from simulator.runtimes.port import AttemptSpec, RunningAttempt

LOG_DRAIN_SECONDS = 10.0  # how long the last lines may take to arrive after the process has ended
LOG_TAIL_LINES = 20
LOG_LINE_CHARACTERS = 500  # of a line on the timeline; the logs hold all of it
FAILURE_REASON_CHARACTERS = 1024  # "How Amazon SageMaker signals algorithm failure": the first 1024 of output/failure


@dataclass(frozen=True)
class Exited:
    """An instance's entrypoint ended, and all that it printed was read."""

    host: str
    exit_code: int


@dataclass(frozen=True)
class Broken:
    """A helper thread met an error that ends the run."""

    error: BaseException


class Attempt(Protocol):
    """What an instance asks of, and tells, the attempt that it belongs to; from any thread."""

    number: int

    def is_ending(self) -> bool:
        """Whether the end is on its way."""
        ...

    def record(self, kind: Kind, data: Mapping[str, Any], host: str) -> Event:
        """Take in what happened on an instance."""
        ...

    def log(self, line: bytes, host: str) -> None:
        """Take in a line of the script's output."""
        ...

    def matches(self, line: str) -> bool:
        """Whether the interruption waited for this line."""
        ...

    def delivered(self, act: Act) -> None:
        """Take in that a signal arrived at an instance."""
        ...

    def tell(self, message: Exited | Broken) -> None:
        """Take in the end of an instance, or an error."""
        ...


class Instance:
    """One instance's life, carried through by its attempt, which calls what is here in the order of this text."""

    def __init__(self, host: str, job: TrainingJob, attempt: Attempt, equipment: Equipment, directory: Path) -> None:
        self.host = host
        self.exit_code: int | None = None
        self._job, self._attempt, self._equipment = job, attempt, equipment
        self._directory, self._checkpoints = directory, directory / "checkpoints"
        self._clock, self._local_path = equipment.clock, job.CheckpointConfig.LocalPath
        self._restored: Mapping[str, Found] = {}
        self._running: RunningAttempt | None = None
        self._kept: LinesToKeep | None = None  # which lines go on the timeline, once the script was told
        self._looks: Looks | None = None
        self._metrics = MetricReader(job.MetricDefinitions)
        self._log_tail: deque[str] = deque(maxlen=LOG_TAIL_LINES)
        self._talk = CheckpointTalk()
        self._samples = SampleRecorder(self._emit)
        self._writers: WriterWatch | None = None
        self._sync: CheckpointSync | NoSync | None = None
        self._states: StateWatch | None = None

    # Downloading

    def make_folder(self) -> None:
        """Make the folder that all of the instance is in."""
        self._checkpoints.mkdir(parents=True)

    def download(self) -> None:
        """Fetch channels and source. Raises InputsFailed, TransferAbandoned and EnvironmentFailure."""
        fetch = self._equipment.surroundings.inputs
        self._job = fetch(self._job, self.host, self._directory / "inputs", self._attempt.is_ending)

    def restore(self) -> Manifest:
        """Fill the checkpoint folder from S3 and only from there; what came. Raises TransferAbandoned."""
        manifest = restore(self._equipment.store, self._checkpoints, self._emit, self._attempt.is_ending)
        self._restored = look(self._checkpoints, self._local_path).files
        self._talk = CheckpointTalk(self._restored)
        return manifest

    def spec(self) -> AttemptSpec:
        """What the runtime is to start."""
        return AttemptSpec(
            job=self._job,
            run_id=self._equipment.run_id,
            attempt=self._attempt.number,
            host=self.host,
            instance_dir=self._directory,
            checkpoints=self._checkpoints,
        )

    # Training

    def started(self, running: RunningAttempt) -> None:
        """Take over what the runtime has started; from now on `wipe` removes it."""
        self._running = running

    def watch(self) -> None:
        """Begin to sync the checkpoints, to read the log and to wait for the end, each in threads of its own, so that
        none holds up the reclaim."""
        running, options = self.running, self._equipment.options
        self._writers = WriterWatch(running.paths.checkpoints, self._local_path, self._clock.now)
        syncs = CheckpointSync if self._job.has_checkpoints else NoSync
        self._sync = syncs(
            running.paths.checkpoints,
            self._equipment.store,
            self._clock,
            self._emit,
            options.sync,
            running.grant_access,
        )
        if options.read_states:
            self._states = StateWatch(running.paths.checkpoints, self._emit)
        self._writers.start()
        self._sync.start(self._restored)
        self._emit(Kind.PROCESS_STARTED, {"identity": running.identity})
        reader = threading.Thread(target=self._read_log, name=f"log {self.host}", daemon=True)
        waiter = threading.Thread(target=self._await_exit, args=(reader,), name=f"exit {self.host}", daemon=True)
        reader.start()
        waiter.start()

    @property
    def running(self) -> RunningAttempt:
        """What the runtime has started."""
        assert self._running is not None
        return self._running

    @property
    def failure(self) -> BaseException | None:
        """What has ended the sync before its time."""
        return None if self._sync is None else self._sync.failure

    def give_notice(self, command: Command) -> None:
        """Put the notice where the script looks for it."""
        give_notice(self.running.paths.input_config, self._clock.wall_at(command.terminate_at))
        self._kept = LinesToKeep()

    def look_at_processes(self) -> None:
        """Note what runs, before SIGTERM comes."""
        take_look(self.running, "before-sigterm", self._clock, self._emit)

    def sigterm(self, command: Command, ends_at: float | None) -> None:
        """Send SIGTERM, and look at the processes until `ends_at`."""
        tail, self._kept, sending_at = list(self._log_tail.copy()), LinesToKeep(), self._clock.now()
        delivered = self.running.signal(signal.SIGTERM)
        if delivered:
            self._attempt.delivered(command.act)
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
        if delivered and ends_at is not None:
            self._looks = Looks(self.running, self._clock, self._emit, sent.at, ends_at)

    def freeze(self) -> None:
        """Let nothing more go up: at this instant the instance is gone, and what is still on its way is lost."""
        if self._sync is not None:
            self._sync.freeze()

    def sigkill(self, command: Command) -> None:
        """End it."""
        observed = self.running.kill()
        if observed:
            self._attempt.delivered(command.act)
        self._emit(Kind.KILLED, {"scheduled_at": command.scheduled_at, "observed": observed, "process": True})

    def tell_exit(self, after_sigterm: bool) -> None:
        """Note that its process has ended, with `exit_code`."""
        self._emit(
            Kind.PROCESS_EXITED,
            {
                "exit_code": self.exit_code,
                "after_sigterm": after_sigterm,
                "log_tail": list(self._log_tail),
                "log_about_checkpoints": self._talk.lines,
            },
        )
        told = self._writers.stop() if self._writers is not None else None
        if told is not None:
            self._emit(Kind.FILE_WRITERS, asdict(told))

    # After it

    def flush(self, timeout_seconds: float | None) -> None:
        """Upload what is still to go up."""
        if self._sync is not None:
            self._sync.flush(timeout_seconds)

    def stop_looking(self) -> None:
        """Look at no process any more. Safe to call again, and before the first look."""
        if self._looks is not None:
            self._looks.stop()

    def stop_watching(self) -> None:
        """End what `watch` has begun. Safe to call again, and before it."""
        if self._writers is not None:
            self._writers.stop()
        if self._sync is not None:
            self._sync.stop_at_once()
        if self._states is not None:
            self._states.stop()

    def tell_what_is_left(self, outcome: Outcome) -> None:
        """Note what the instance holds, before it is wiped."""
        running = self.running
        self._emit(Kind.MODEL_FILES, {"files": folder_contents(running.paths.model)})
        self._samples.take_sidecar(running.paths.output)
        if self._states is not None and outcome is Outcome.COMPLETED:
            self._states.read_end(running.paths.model)
        self._emit(Kind.WRITTEN_PATHS, {"paths": [asdict(path) for path in running.written_paths()]})

    @property
    def failure_reason(self) -> str:
        """The first characters of /opt/ml/output/failure; empty where there is none."""
        try:
            with (self.running.paths.output / "failure").open("rb") as file:
                return file.read(4 * FAILURE_REASON_CHARACTERS).decode("utf-8", "replace")[:FAILURE_REASON_CHARACTERS]
        except OSError:
            return ""

    def wipe(self) -> list[str]:
        """Remove it, what of it there is; returns what could not be removed."""
        return self._running.wipe() if self._running is not None else _remove(self._directory)

    # What is heard of it

    def _read_log(self) -> None:
        try:
            for line in self.running.log_lines():
                self._take_line(line)
        except Exception as error:  # noqa: BLE001 - whatever it is, the run must end with it and not hang
            self._attempt.tell(Broken(error))

    def _take_line(self, raw: bytes) -> None:
        self._attempt.log(raw, self.host)
        line = raw.decode("utf-8", "replace")
        shown = line[:LOG_LINE_CHARACTERS]
        self._log_tail.append(shown)
        self._talk.hear(line)
        self._samples.take_line(line)
        readings = self._metrics.read(line)
        for reading in readings:
            self._emit(Kind.METRIC, {"name": reading.name, "value": reading.value, "line": shown})
        if self._kept is not None and self._kept.keeps(shown, bool(readings)):
            self._emit(Kind.LOG_LINE, {"line": shown})
        if self._attempt.matches(line):
            self._emit(Kind.LOG_MATCHED, {"line": shown})

    def _await_exit(self, reader: threading.Thread) -> None:
        try:
            exit_code = self.running.wait(None)
            reader.join(LOG_DRAIN_SECONDS)
            self._attempt.tell(Exited(self.host, exit_code if exit_code is not None else 0))
        except Exception as error:  # noqa: BLE001 - as above
            self._attempt.tell(Broken(error))

    def _emit(self, kind: Kind, data: Mapping[str, Any]) -> Event:
        event = self._attempt.record(kind, data, self.host)
        if kind is Kind.FILE_CHANGED and self._writers is not None:
            self._writers.also_below(str(data["path"]))
        if kind is Kind.FILE_SETTLED and self._states is not None:
            self._states.settled(str(data["path"]))
        return event


def _remove(directory: Path) -> list[str]:
    shutil.rmtree(directory, ignore_errors=True)
    return [str(directory)] if directory.exists() else []
