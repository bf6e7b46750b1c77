"""Attempts as processes of this machine: what the engine asks for, done with unshare, signals and /proc."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext, suppress
from pathlib import Path

from simulator.core.errors import EnvironmentFailure, UsageError
from simulator.core.job import ML_ROOT, TrainingJob, config_files, container_environment
from simulator.runtimes.lines import split_lines
from simulator.runtimes.port import IGNORED_SOURCES, AttemptSpec, InstancePaths, ProcessInfo, RuntimeName, WrittenPath
from simulator.runtimes.proc import read_group, read_namespace
from simulator.runtimes.process.entrypoints import SIGKILLED, Entrypoint, Spawned
from simulator.runtimes.process.isolation import (
    FIDELITY_LOST,
    FIDELITY_LOST_BY_SEVERAL_HOSTS,
    PYTHON,
    EnterMode,
    Isolation,
    best_isolation,
    entering,
    make_folders,
    why_plain,
)
from simulator.runtimes.process.names import MOST_HOSTS, Block, take_block
from simulator.runtimes.written import Stamps, stamps_of, written_files

CODE = f"{ML_ROOT}/input/data/code"  # where SDK v3 mounts SourceCode.source_dir
TOLD_ELSEWHERE = tuple(f"{ML_ROOT}/{name}/" for name in ("model", "input/config"))
PASSED_ON = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TZ", "TF_CPP_MIN_LOG_LEVEL")
START_SECONDS = 30.0
LAST_OUTPUT_SECONDS = 2.0  # for what a grandchild may still write where no namespace ends it

_spawner = ThreadPoolExecutor(1, "spawn")
"""The thread that starts all processes: the kernel kills them when the thread dies, so it has to live as long as we."""


class ProcessRuntime:
    """`python`: the interpreter that runs .py scripts. `isolation`: the best that works here, unless given."""

    name = RuntimeName.PROCESS

    def __init__(self, python: str = PYTHON, isolation: Isolation | None = None) -> None:
        self._python = python
        self.mode = isolation or best_isolation()
        self._saw_several_hosts = False

    @property
    def fidelity_lost(self) -> Sequence[str]:
        """What differs from SageMaker here; of several hosts once a job had them."""
        why = why_plain() if self.mode is Isolation.PLAIN else ""
        return (
            "no container: the script runs with this machine's Python, libraries and network",
            "the script itself is the entrypoint: no SDK driver script stands between it and SIGTERM",
            *FIDELITY_LOST[self.mode],
            *(FIDELITY_LOST_BY_SEVERAL_HOSTS if self._saw_several_hosts else ()),
            *([f"why there are no namespaces: {why}"] if why else []),
        )

    def prepare(self, job: TrainingJob) -> None:
        """Raises UsageError where there is no script to run, and EnvironmentFailure for hosts that would not find each
        other."""
        if not job.entrypoint and (job.source_dir is None or job.entry_script is None):
            raise UsageError(
                "the process runtime has no script to run",
                "it cannot run an image, only a script of a folder",
                "add --source-dir DIR --entry-script FILE, or start Docker and use --runtime local-mode",
            )
        if job.source_dir is not None and not (job.source_dir / (job.entry_script or "")).exists():
            raise UsageError(
                f"there is no {job.source_dir / (job.entry_script or '')}",
                "--entry-script is looked for in --source-dir",
                "name an existing script",
            )
        for name, path in job.channels.items():
            if not path.exists():
                raise UsageError(f"the channel {name!r} names {path}, which is not there", "", "name an existing path")
        self._check_hosts(len(job.hosts))

    def _check_hosts(self, number: int) -> None:
        if number == 1:
            return
        if self.mode is Isolation.PLAIN:
            raise EnvironmentFailure(
                f"the job's {number} hosts cannot be started as processes of this machine",
                f"they would not find each other by name without namespaces: {why_plain() or 'those were not wanted'}",
                "start Docker and use --runtime local-mode, or ask for one instance; see spot-simulator doctor",
            )
        if number > MOST_HOSTS:
            raise UsageError(
                f"the process runtime cannot start a job's {number} hosts",
                f"it has addresses for {MOST_HOSTS}",
                "ask for fewer instances",
            )
        self._saw_several_hosts = True

    def start(self, specs: Sequence[AttemptSpec]) -> Sequence[ProcessAttempt]:
        """Start the script as PID 1 of each instance. Raises EnvironmentFailure."""
        started: list[ProcessAttempt] = []
        try:
            with nullcontext() if self.mode is Isolation.PLAIN else closing(take_block()) as block:
                for spec in specs:
                    started.append(self._start(spec, block))
        except BaseException:
            for running in started:
                running.wipe()
            raise
        return started

    def _start(self, spec: AttemptSpec, block: Block | None) -> ProcessAttempt:
        """Start one instance, its hosts' names being in the block. Raises EnvironmentFailure."""
        own = block and block.share()
        try:
            lay_out(spec)
            if own is not None:
                own.name_hosts(spec.job.hosts, spec.instance_dir / "hosts")
            laid_out = stamps_of({ML_ROOT: spec.instance_dir / "ml"})
            return ProcessAttempt(spec, self._enter(spec), self.mode, laid_out, own)
        except BaseException as error:
            if own is not None:
                own.close()
            remove_instance(spec.instance_dir)
            if not isinstance(error, OSError):
                raise
            raise EnvironmentFailure(
                "the instance's folders could not be made", str(error), "look for room on the disk: df -h"
            ) from error

    def _enter(self, spec: AttemptSpec) -> Entrypoint:
        """Start the script in an instance that is laid out. Raises EnvironmentFailure and OSError."""
        return spawn(spec, self.mode, self._python)

    def sweep(self) -> list[str]:
        """Nothing: the kernel kills an instance with its harness, and folders are swept with the scratch."""
        return []

    def close(self) -> None:
        """Nothing is held."""


class ProcessAttempt:
    """One running script."""

    def __init__(
        self, spec: AttemptSpec, entrypoint: Entrypoint, mode: Isolation, laid_out: Stamps, block: Block | None
    ) -> None:
        self._spec, self._entrypoint, self._mode, self._laid_out = spec, entrypoint, mode, laid_out
        self._block = block
        ml = spec.instance_dir / "ml"
        self.paths = InstancePaths(spec.checkpoints, ml / "model", ml / "output", ml / "input/config")

    @property
    def identity(self) -> str:
        """The host's pid of the script."""
        return f"pid {self._entrypoint.pid or '?'}"

    def log_lines(self) -> Iterator[bytes]:
        """Output by lines, until all who could write are gone."""
        return split_lines(self._chunks())

    def _chunks(self) -> Iterator[bytes]:
        if self._mode is Isolation.PLAIN:  # a grandchild may hold the pipe open for ever
            threading.Thread(target=self._end_group_after_exit, daemon=True).start()
        if self._entrypoint.said_before:
            yield self._entrypoint.said_before
        while chunk := os.read(self._entrypoint.output, 1 << 16):
            yield chunk

    def _end_group_after_exit(self) -> None:
        self.wait(None)
        self._kill_group()

    def wait(self, timeout_seconds: float | None) -> int | None:
        """The exit code, 128+N for a signal."""
        return self._entrypoint.wait(timeout_seconds)

    def signal(self, signum: signal.Signals) -> bool:
        """Signal the script, as PID 1 of its namespace."""
        return self._entrypoint.signal(signum)

    def kill(self) -> bool:
        """SIGKILL; the kernel takes the whole namespace with its PID 1."""
        killed = self.signal(signal.SIGKILL)
        self._kill_group()
        return self.wait(None) == SIGKILLED and killed

    def _kill_group(self) -> None:
        if self._mode is Isolation.PLAIN and self._entrypoint.pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._entrypoint.pid, signal.SIGKILL)

    def processes(self) -> Sequence[ProcessInfo]:
        """From /proc of this machine, translated to the namespace's pids."""
        pid = self._entrypoint.pid
        if pid is None or self._entrypoint.wait(0) is not None:
            return []
        return read_group(pid) if self._mode is Isolation.PLAIN else read_namespace(pid)

    def written_paths(self) -> Sequence[WrittenPath]:
        """What landed in the overlay's upper layer, in new folders of /, in /tmp, and beside the code and the outputs
        under /opt/ml."""
        if self._mode is Isolation.PLAIN:
            return []
        instance = self._spec.instance_dir
        layers = {"/": instance / "upper", "/tmp": instance / "tmp", ML_ROOT: instance / "ml"}
        return written_files(layers, TOLD_ELSEWHERE, self._laid_out)

    def grant_access(self) -> None:
        """The files are this user's."""

    def wipe(self) -> list[str]:
        """Everything: the processes, with them their mounts, then the folders."""
        self._entrypoint.end()
        self._kill_group()
        if self._block is not None:
            self._block.close()
        return remove_instance(self._spec.instance_dir)


def remove_instance(folder: Path) -> list[str]:
    """Remove an instance's folder, whose mounts are gone; returns what could not be removed."""
    remove_view(folder)
    shutil.rmtree(folder, ignore_errors=True)
    return [str(folder)] if folder.exists() else []


def remove_view(instance: Path) -> None:
    """Remove what enter.sh made in an instance, so that it could begin anew."""
    for work in instance.glob("work/**/work"):  # the overlay leaves folders without any right
        with suppress(OSError):
            work.chmod(0o700)
    for name in ("root", "upper", "work"):
        shutil.rmtree(instance / name, ignore_errors=True)


def spawn(spec: AttemptSpec, mode: Isolation, python: str) -> Spawned:
    """Start the script of an instance that is laid out in a process of its own. Raises EnvironmentFailure, OSError."""
    return _spawner.submit(_spawn, spec, mode, python, EnterMode.BECOME, {}, ()).result()


def spawn_zygote(
    spec: AttemptSpec, mode: Isolation, python: str, environment: Mapping[str, str], descriptor: int
) -> Spawned:
    """Likewise, with more in its environment, a descriptor that it keeps, and a way back to the machine."""
    return _spawner.submit(_spawn, spec, mode, python, EnterMode.KEEP, environment, (descriptor,)).result()


def _spawn(
    spec: AttemptSpec,
    mode: Isolation,
    python: str,
    enter: EnterMode,
    more_environment: Mapping[str, str],
    descriptors: Sequence[int],
) -> Spawned:
    instance, job = spec.instance_dir, spec.job
    shut_in = mode is not Isolation.PLAIN
    code = CODE if shut_in else str(instance / "ml/input/data/code")
    command = _command(job, code, python)
    ready, ready_fd = os.pipe()
    try:
        if shut_in:
            local_path = job.CheckpointConfig.LocalPath
            command = entering(mode, instance, local_path, code, spec.host, command, enter)
        process = subprocess.Popen(
            command,
            env={**environment_of(spec, None if shut_in else instance / "ml"), **more_environment},
            cwd="/" if shut_in else code,
            stdin=ready_fd if shut_in else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=descriptors,
        )
    finally:
        os.close(ready_fd)
    with os.fdopen(ready, "rb") as answer:
        if shut_in and answer.read() != b"ready\n":
            said = process.stdout.read() if process.stdout else b""
            process.wait()
            raise EnvironmentFailure(
                "the instance's namespaces could not be set up",
                said.decode("utf-8", "replace").strip() or f"unshare ended with {process.returncode}",
                "spot-simulator doctor, or --runtime local-mode",
            )
    return Spawned(process, alone=not shut_in)


def _command(job: TrainingJob, code: str, python: str) -> list[str]:
    """What becomes PID 1: the job's own entrypoint, with this machine's interpreter for a bare `python`, or the
    script."""
    if job.entrypoint:
        program, *rest = job.entrypoint
        return [python if program in ("python", "python3") else program, *rest, *job.arguments]
    script = job.entry_script or ""
    return [*(["/bin/bash"] if script.endswith(".sh") else [python]), f"{code}/{script}", *job.arguments]


def lay_out(spec: AttemptSpec, channels: bool = True) -> None:
    """The instance's /opt/ml, as SageMaker lays it out; its channels only where they are wanted."""
    job, instance = spec.job, spec.instance_dir
    make_folders(instance)
    ml = instance / "ml"
    for name in ("model", "output/data", "input/config", "input/data", "checkpoints"):
        (ml / name).mkdir(parents=True, exist_ok=True)
    for name, content in config_files(job, spec.host).items():
        (ml / "input/config" / name).write_text(json.dumps(content))
    if job.source_dir is not None:
        _copy(job.source_dir, ml / "input/data/code")
    elif "code" not in job.channels:
        (ml / "input/data/code").mkdir(exist_ok=True)
    for channel, path in job.channels.items() if channels else ():
        _copy(path, ml / "input/data" / channel)


def _copy(source: Path, target: Path) -> None:
    """The instance's own copy: what a script writes beside itself is lost with the instance, as in a container."""
    if source.is_file():
        target.mkdir(parents=True)
        shutil.copy(source, target)
    else:
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(*IGNORED_SOURCES), symlinks=True)


def environment_of(spec: AttemptSpec, moved_ml: Path | None) -> dict[str, str]:
    """The container's environment, and of this machine's only what programs need to start; `moved_ml` is where /opt/ml
    had to be put, where it could not be mounted."""
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    environment |= {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "HOME": "/tmp/home"}
    environment |= container_environment(spec.job, spec.host)
    if moved_ml is None:
        return environment
    moved = {name: value.replace(ML_ROOT, str(moved_ml)) for name, value in environment.items()}
    config = moved_ml / "input/config/checkpointconfig.json"
    config.write_text(json.dumps({"LocalPath": str(spec.checkpoints)}))
    own = spec.instance_dir / "tmp"
    return moved | {"SM_ML_ROOT": str(moved_ml), "TMPDIR": str(own), "HOME": str(own / "home")}
