"""A runtime whose "container" is a Python function in a thread: a whole run in milliseconds."""

from __future__ import annotations

import queue
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from simulator.core.job import TrainingJob
from simulator.runtimes.port import AttemptSpec, InstancePaths, ProcessInfo, RuntimeName, WrittenPath

SECONDS = 20.0  # no test takes as long; what waits for longer is broken


@dataclass
class Container:
    """What a fake script has to work with."""

    checkpoints: Path
    model: Path
    attempt: int
    host: str = "algo-1"
    terminating: threading.Event = field(default_factory=threading.Event)
    killed: threading.Event = field(default_factory=threading.Event)
    _lines: queue.SimpleQueue[bytes | None] = field(default_factory=queue.SimpleQueue)

    def say(self, line: str) -> None:
        self._lines.put(line.encode())

    def until_signalled(self) -> None:
        """Train on until SIGTERM or SIGKILL comes."""
        while not (self.terminating.wait(0.002) or self.killed.is_set()):
            pass

    def save(self, step: int, name: str = "state") -> None:
        aside = self.checkpoints / ".aside"
        aside.write_text(str(step))
        aside.rename(self.checkpoints / name)

    @property
    def saved_step(self) -> int:
        state = self.checkpoints / "state"
        return int(state.read_text()) if state.exists() else 0


Script = Callable[[Container], int]


class FakeAttempt:
    """A RunningAttempt whose process is a thread."""

    def __init__(self, spec: AttemptSpec, script: Script) -> None:
        root = spec.instance_dir
        self.paths = InstancePaths(spec.checkpoints, root / "model", root / "output", root / "config")
        for folder in (self.paths.model, self.paths.output, self.paths.input_config):
            folder.mkdir()
        self.identity = f"fake {spec.attempt}"
        self._root = root
        self._exit_code: int | None = None
        self._ended = threading.Event()
        self.container = Container(spec.checkpoints, self.paths.model, spec.attempt, spec.host)
        threading.Thread(target=self._run, args=(script,), daemon=True).start()

    def _run(self, script: Script) -> None:
        code = script(self.container)
        self._exit_code = 137 if self.container.killed.is_set() else code
        self.container._lines.put(None)
        self._ended.set()

    def log_lines(self) -> Iterator[bytes]:
        while (line := self.container._lines.get(timeout=SECONDS)) is not None:
            yield line

    def wait(self, timeout_seconds: float | None) -> int | None:
        self._ended.wait(SECONDS if timeout_seconds is None else timeout_seconds)
        return self._exit_code

    def signal(self, signum: signal.Signals) -> bool:
        if self._ended.is_set():
            return False
        self.container.terminating.set()
        return True

    def kill(self) -> bool:
        if self._ended.is_set():
            return False
        self.container.killed.set()
        return self._ended.wait(SECONDS)

    def processes(self) -> Sequence[ProcessInfo]:
        return [ProcessInfo(1, 0, "fake", catches_sigterm=True, ignores_sigterm=False, blocks_sigterm=False)]

    def written_paths(self) -> Sequence[WrittenPath]:
        return []

    def grant_access(self) -> None:
        return

    def wipe(self) -> list[str]:
        self.container.killed.set()
        self._ended.wait(SECONDS)
        shutil.rmtree(self._root, ignore_errors=True)
        return []


class FakeRuntime:
    """Runs one script for every attempt."""

    name = RuntimeName.PROCESS
    fidelity_lost = ("everything",)

    def __init__(self, script: Script) -> None:
        self._script = script
        self.started: list[FakeAttempt] = []

    def prepare(self, job: TrainingJob) -> None:
        return

    def start(self, specs: Sequence[AttemptSpec]) -> Sequence[FakeAttempt]:
        running = [FakeAttempt(spec, self._script) for spec in specs]
        self.started += running
        return running

    def sweep(self) -> list[str]:
        return []

    def close(self) -> None:
        return
