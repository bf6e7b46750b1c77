"""Attempts as processes of this machine: what the engine asks for, done with unshare, signals and /proc."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from simulator.core.errors import EnvironmentFailure, UsageError
from simulator.core.job import ML_ROOT, TrainingJob, config_files, container_environment
from simulator.runtimes.lines import split_lines
from simulator.runtimes.port import IGNORED_SOURCES, AttemptSpec, InstancePaths, ProcessInfo, RuntimeName, WrittenPath
from simulator.runtimes.proc import read_group, read_namespace
from simulator.runtimes.process.isolation import (
    FIDELITY_LOST,
    PYTHON,
    Isolation,
    best_isolation,
    entering,
    make_folders,
    why_plain,
)
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

    @property
    def fidelity_lost(self) -> Sequence[str]:
        """What differs from SageMaker here."""
        why = why_plain() if self.mode is Isolation.PLAIN else ""
        return (
            "no container: the script runs with this machine's Python, libraries and network",
            "the script itself is the entrypoint: no SDK driver script stands between it and SIGTERM",
            *FIDELITY_LOST[self.mode],
            *([f"why there are no namespaces: {why}"] if why else []),
        )

    def prepare(self, job: TrainingJob) -> None:
        """Raises UsageError where there is no script to run."""
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

    def start(self, spec: AttemptSpec) -> ProcessAttempt:
        """Start the script as PID 1 of the instance. Raises EnvironmentFailure."""
        try:
            _lay_out(spec)
            return _spawner.submit(self._spawn, spec).result()
        except OSError as error:
            shutil.rmtree(spec.instance_dir, ignore_errors=True)
            raise EnvironmentFailure(
                "the instance's folders could not be made", str(error), "look for room on the disk: df -h"
            ) from error

    def _spawn(self, spec: AttemptSpec) -> ProcessAttempt:
        instance, job = spec.instance_dir, spec.job
        laid_out = stamps_of({ML_ROOT: instance / "ml"})
        shut_in = self.mode is not Isolation.PLAIN
        code = CODE if shut_in else str(instance / "ml/input/data/code")
        command = self._command(job, code)
        ready, ready_fd = os.pipe()
        try:
            if shut_in:
                local_path = job.CheckpointConfig.LocalPath
                command = entering(self.mode, instance, local_path, code, spec.host, command)
            process = subprocess.Popen(
                command,
                env=_environment(spec, None if shut_in else instance / "ml"),
                cwd="/" if shut_in else code,
                stdin=ready_fd if shut_in else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
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
        return ProcessAttempt(spec, process, self.mode, laid_out)

    def _command(self, job: TrainingJob, code: str) -> list[str]:
        """What becomes PID 1: the job's own entrypoint, with this machine's interpreter for a bare `python`, or the
        script."""
        if job.entrypoint:
            program, *rest = job.entrypoint
            return [self._python if program in ("python", "python3") else program, *rest, *job.arguments]
        script = job.entry_script or ""
        interpreter = ["/bin/bash"] if script.endswith(".sh") else [self._python]
        return [*interpreter, f"{code}/{script}", *job.arguments]

    def sweep(self) -> list[str]:
        """Nothing: the kernel kills an instance with its harness, and folders are swept with the scratch."""
        return []

    def close(self) -> None:
        """Nothing is held."""


class ProcessAttempt:
    """One running script."""

    def __init__(self, spec: AttemptSpec, process: subprocess.Popen[bytes], mode: Isolation, laid_out: Stamps) -> None:
        self._spec, self._process, self._mode, self._laid_out = spec, process, mode, laid_out
        self._waiting = threading.Lock()
        self._init = process.pid if mode is Isolation.PLAIN else _child_of(process.pid)
        ml = spec.instance_dir / "ml"
        self.paths = InstancePaths(spec.checkpoints, ml / "model", ml / "output", ml / "input/config")

    @property
    def identity(self) -> str:
        """The host's pid of the script."""
        return f"pid {self._init or self._process.pid}"

    def log_lines(self) -> Iterator[bytes]:
        """Output by lines, until all who could write are gone."""
        assert self._process.stdout is not None
        return split_lines(self._chunks(self._process.stdout.fileno()))

    def _chunks(self, descriptor: int) -> Iterator[bytes]:
        if self._mode is Isolation.PLAIN:  # a grandchild may hold the pipe open for ever
            threading.Thread(target=self._end_group_after_exit, daemon=True).start()
        while chunk := os.read(descriptor, 1 << 16):
            yield chunk

    def _end_group_after_exit(self) -> None:
        self.wait(None)
        self._kill_group()

    def wait(self, timeout_seconds: float | None) -> int | None:
        """The exit code, 128+N for a signal."""
        try:
            code = self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            return None
        return code if code >= 0 else 128 - code

    def signal(self, signum: signal.Signals) -> bool:
        """Signal the script, as PID 1 of its namespace."""
        with self._waiting:
            if self._process.poll() is not None or self._init is None:
                return False
            try:
                os.kill(self._init, signum)
            except ProcessLookupError:
                return False
            return True

    def kill(self) -> bool:
        """SIGKILL; the kernel takes the whole namespace with its PID 1."""
        killed = self.signal(signal.SIGKILL)
        self._kill_group()
        return self.wait(None) == 128 + signal.SIGKILL and killed

    def _kill_group(self) -> None:
        if self._mode is Isolation.PLAIN:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def processes(self) -> Sequence[ProcessInfo]:
        """From /proc of this machine, translated to the namespace's pids."""
        if self._init is None or self._process.poll() is not None:
            return []
        if self._mode is Isolation.PLAIN:
            return read_group(self._process.pid)
        return read_namespace(self._init)

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
        if self._process.poll() is None:
            self.signal(signal.SIGKILL)
            self._process.kill()
        self._kill_group()
        self._process.wait()
        folder = self._spec.instance_dir
        for work in folder.glob("work/**/work"):  # the overlay leaves folders without any right
            with suppress(OSError):
                work.chmod(0o700)
        shutil.rmtree(folder, ignore_errors=True)
        return [str(folder)] if folder.exists() else []


def _lay_out(spec: AttemptSpec) -> None:
    """The instance's /opt/ml, as SageMaker lays it out."""
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
    for channel, path in job.channels.items():
        _copy(path, ml / "input/data" / channel)


def _copy(source: Path, target: Path) -> None:
    """The instance's own copy: what a script writes beside itself is lost with the instance, as in a container."""
    if source.is_file():
        target.mkdir(parents=True)
        shutil.copy(source, target)
    else:
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(*IGNORED_SOURCES), symlinks=True)


def _environment(spec: AttemptSpec, moved_ml: Path | None) -> dict[str, str]:
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


def _child_of(pid: int) -> int | None:
    """The one child of unshare.py: the namespace's PID 1, by the pid it has here."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError, IndexError):
            if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                return int(entry.name)
    return None
