"""What the engine asks of the place where an attempt runs; every runtime keeps the contract tests of this port."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from simulator.core.job import TrainingJob


class RuntimeName(StrEnum):
    """The runtimes a user can ask for, besides `auto`."""

    LOCAL_MODE = "local-mode"
    PROCESS = "process"


@dataclass(frozen=True)
class InstancePaths:
    """Host folders of one attempt's instance: what the container sees under /opt/ml. All die with the instance.

    `input_config` is /opt/ml/input/config, and the notice file is written there while training runs.
    """

    checkpoints: Path
    model: Path
    output: Path
    input_config: Path


@dataclass(frozen=True)
class AttemptSpec:
    """One instance of an attempt to start: the one that is called `host`, of the job's `hosts`. `instance_dir` is an
    existing, empty folder of this machine, private to the instance: everything the runtime writes for it goes below.
    `checkpoints` (below it) exists and already holds what was restored from S3."""

    job: TrainingJob
    run_id: str
    attempt: int
    host: str
    instance_dir: Path
    checkpoints: Path


@dataclass(frozen=True)
class ProcessInfo:
    """One process of the attempt, read from /proc inside its PID namespace. The masks are SigCgt, SigIgn and SigBlk's
    bit of SIGTERM. `pid` and `ppid` are as the processes see them (the entrypoint is 1 where there is a namespace).

    `pends_sigterm`: SIGTERM was sent to it and no thread has taken it (SigPnd or ShdPnd). `state`: the main thread's
    (R, S, D, T). `wchan`: the kernel function that it waits in, empty where nobody may know. `started`: clock ticks
    since boot, which tell two processes of one pid apart; None where it could not be read."""

    pid: int
    ppid: int
    command: str
    catches_sigterm: bool
    ignores_sigterm: bool
    blocks_sigterm: bool
    pends_sigterm: bool = False
    state: str = ""
    wchan: str = ""
    started: int | None = None


@dataclass(frozen=True)
class WrittenPath:
    """A file written on the instance outside the mounts, lost with it. `bytes` is -1 where the size is not known."""

    path: str
    bytes: int


class RunningAttempt(Protocol):
    """An instance that was started. Methods may be called from several threads."""

    @property
    def identity(self) -> str:
        """The container id, or `pid N`: how a person finds it while it runs."""
        ...

    @property
    def paths(self) -> InstancePaths:
        """The host folders of this instance."""
        ...

    def log_lines(self) -> Iterator[bytes]:
        """The process's output, stdout and stderr together, a line each without its newline, as it comes; ends after
        the process has ended and all its output was given. May hold any bytes. One consumer."""
        ...

    def wait(self, timeout_seconds: float | None) -> int | None:
        """The entrypoint's exit code (128+N when a signal N ended it, 137 for SIGKILL); None when it still runs at
        the timeout. Cheap to call again. Raises EnvironmentFailure when the place itself died (engine gone)."""
        ...

    def signal(self, signum: signal.Signals) -> bool:
        """Send a signal to the entrypoint (PID 1), as the service does. False when it was not there any more."""
        ...

    def kill(self) -> bool:
        """SIGKILL everything of the attempt. False when the entrypoint had already ended. Returns once it is dead."""
        ...

    def processes(self) -> Sequence[ProcessInfo]:
        """The attempt's processes now; empty when it has ended or they cannot be read."""
        ...

    def written_paths(self) -> Sequence[WrittenPath]:
        """Files (not folders) written outside the mounts, largest first, at most 200; __pycache__, .pyc and the
        runtime's own files left out. Also works after the entrypoint ended, before `wipe`."""
        ...

    def grant_access(self) -> None:
        """Make files of the checkpoint folder readable and its folders writable for the harness's user, where the
        container's root made them otherwise. No-op where that cannot happen."""
        ...

    def wipe(self) -> list[str]:
        """Remove the instance: processes, containers, networks, mounts and `instance_dir` (root-owned files
        included). Safe to call again, and at any moment after start. Returns what could not be removed."""
        ...


class Runtime(Protocol):
    """A place where attempts run."""

    @property
    def name(self) -> RuntimeName:
        """Its name on the command line."""
        ...

    @property
    def fidelity_lost(self) -> Sequence[str]:
        """What differs from SageMaker here, a sentence each, for people."""
        ...

    def prepare(self, job: TrainingJob) -> None:
        """Check, before anything starts, that the job can run here (image there, namespaces allowed, script exists).
        Raises EnvironmentFailure or UsageError."""
        ...

    def start(self, specs: Sequence[AttemptSpec]) -> Sequence[RunningAttempt]:
        """Start the instances of one attempt, a spec for each of the job's hosts in their order, and return once their
        entrypoints run (or have run). They reach each other by their hosts' names. Raises EnvironmentFailure; whatever
        it had made by then is removed again."""
        ...

    def sweep(self) -> list[str]:
        """Remove what a harness that was killed left behind (found by labels, its process being gone); never touches
        a living harness's. Returns what was removed, a line each."""
        ...

    def close(self) -> None:
        """Let go of helpers and connections. Safe to call again."""
        ...


IGNORED_SOURCES = ("__pycache__", ".git", ".venv", "node_modules", "runs", ".mypy_cache", ".pytest_cache")
"""What of a user's source folder no runtime copies onto an instance."""

Labels = Mapping[str, str]
LABEL_RUN = "spot-simulator.run"  # the run's id
LABEL_OWNER = "spot-simulator.owner"  # "PID:START" of the harness process, PID's start time from /proc or psutil
LABEL_ATTEMPT = "spot-simulator.attempt"
