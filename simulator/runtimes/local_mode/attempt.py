"""One instance as a container: signals, output, processes and traces, all asked of Docker and not of the SDK."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from simulator.core.errors import EnvironmentFailure
from simulator.runtimes.docker_engine import ContainerGone, DockerEngine, harness_is_root, local_proc_of
from simulator.runtimes.lines import split_lines
from simulator.runtimes.local_mode.order import LABEL_FOLDER, LABEL_INSTANCE
from simulator.runtimes.port import InstancePaths, ProcessInfo, WrittenPath
from simulator.runtimes.proc import DUMP_SCRIPT, parse_dump, read_namespace
from simulator.runtimes.written import MOST, Stamps, is_noise, largest, written_files

LABEL_PROJECT = "com.docker.compose.project"  # Compose's own, on the hosts only: what we run as root has none
KILLED = 128 + signal.SIGKILL
KILL_SECONDS = 60.0
END_SECONDS = 10.0  # between the end of the log and the engine's word that the container has ended


class LocalModeAttempt:
    """A container that was started, and everything of its instance."""

    def __init__(
        self,
        engine: DockerEngine,
        container: str,
        remains: Remains,
        paths: InstancePaths,
        mounted: Mapping[str, Path],
        before: Stamps,
    ) -> None:
        self._engine, self._container, self._remains = engine, container, remains
        self.paths = paths
        self._mounted, self._before = mounted, before
        self._exit_code: int | None = None
        self._failure: EnvironmentFailure | None = None
        self._ended = threading.Event()
        self._wiping = False
        threading.Thread(target=self._await_end, name=f"wait {self.identity}", daemon=True).start()

    @property
    def identity(self) -> str:
        """The short container id."""
        return self._container[:12]

    def log_lines(self) -> Iterator[bytes]:
        """Its output by lines, from the first on. Raises EnvironmentFailure where the engine ceased to give it."""
        with suppress(ContainerGone):
            yield from split_lines(self._engine.output(self._container))
        if self.wait(END_SECONDS) is None:
            raise EnvironmentFailure(
                "the Docker engine ended the log while the container ran",
                f"{self.identity} still runs {END_SECONDS:.0f} s after the last line",
                "docker info",
            )

    def wait(self, timeout_seconds: float | None) -> int | None:
        """The exit code as Docker has it: 128+N for a signal."""
        if not self._ended.wait(timeout_seconds):
            return None
        if self._failure is not None:
            raise self._failure
        return self._exit_code

    def signal(self, signum: signal.Signals) -> bool:
        """Through the engine to PID 1, whatever that is: no init stands before the image's own entrypoint."""
        try:
            return not self._ended.is_set() and self._engine.signal(self._container, signum)
        except ContainerGone:
            return False

    def kill(self) -> bool:
        """SIGKILL to PID 1: the kernel ends its PID namespace with it."""
        if not self.signal(signal.SIGKILL):
            return False
        exit_code = self.wait(KILL_SECONDS)
        if exit_code is None:
            raise EnvironmentFailure(
                f"the container {self.identity} outlives SIGKILL",
                f"the engine has not seen its end within {KILL_SECONDS:.0f} s",
                f"docker inspect {self.identity}; dmesg",
            )
        return exit_code == KILLED

    def processes(self) -> Sequence[ProcessInfo]:
        """Read by a shell beside the processes, so that it works where the engine is in a virtual machine; an image
        without a shell is read from outside, where /proc is this machine's."""
        if self._ended.is_set():
            return []
        said = self._run_inside(["/bin/sh", "-c", DUMP_SCRIPT])
        if said is not None:
            return parse_dump(said.decode("utf-8", "replace"))
        with suppress(ContainerGone):
            pid = self._engine.inspect(self._container).pid
            if local_proc_of(self._container, pid):
                return read_namespace(pid)
        return []

    def written_paths(self) -> Sequence[WrittenPath]:
        """From the container's own layer where it is a folder of this machine that we may read; otherwise the engine
        is asked what changed, and then for each file; besides, what is new beside the code and the outputs. Anonymous
        volumes of an image are not looked into."""
        return largest([*self._written_inside(), *written_files(self._mounted, before=self._before)])

    def _written_inside(self) -> Sequence[WrittenPath]:
        with suppress(ContainerGone):
            layer = self._engine.inspect(self._container).upper_dir
            if layer is not None and _is_readable(layer):
                return written_files({"/": layer})
            changed = [path for path in self._engine.changed_paths(self._container) if not is_noise(path)]
            folders = {str(parent) for path in changed for parent in PurePosixPath(path).parents}
            leaves = [path for path in changed if path not in folders][:MOST]
            sizes = ((path, self._engine.file_size(self._container, path)) for path in leaves)
            return largest(WrittenPath(path, size) for path, size in sizes if size is not None)
        return []

    def grant_access(self) -> None:
        """Open the checkpoint folder to a harness that is not root; as long as the container runs from inside."""
        if harness_is_root():
            return
        opening = ["chmod", "-R", "a+rwX"]
        if self._ended.is_set() or self._run_inside([*opening, self._remains.checkpoint_path]) is None:
            self._remains.run_as_root(self._engine, self.paths.checkpoints, [*opening, "/folder"])

    def wipe(self) -> list[str]:
        """Container, folders and, with the attempt's last host, the network; the SDK's process has no part in it."""
        self._wiping = True
        return self._remains.remove(self._engine)

    def _run_inside(self, command: Sequence[str]) -> bytes | None:
        with suppress(ContainerGone):
            return self._engine.run_inside(self._container, command)
        return None

    def _await_end(self) -> None:
        try:
            self._exit_code = self._engine.wait(self._container)
        except EnvironmentFailure as failure:
            self._failure = failure
        except ContainerGone as gone:
            self._exit_code = KILLED  # a running container that is removed is killed
            if self._wiping:
                return
            self._failure = EnvironmentFailure(
                f"the container {self.identity} was removed while the attempt ran",
                f"by someone else: the engine says {gone}",
                "leave containers labelled spot-simulator to the simulator; run again",
            )
        finally:
            self._ended.set()


class Remains:
    """What is there of an instance from the moment on that its start began, and how it is removed."""

    def __init__(
        self, network: SharedNetwork, labels: Mapping[str, str], folder: Path, image: str, checkpoint_path: str
    ) -> None:
        self.labels, self.checkpoint_path = labels, checkpoint_path
        self._network, self._folder, self._image = network, folder, image

    def container(self, engine: DockerEngine) -> str:
        """The container that Compose started. Raises EnvironmentFailure where there is none."""
        found = self._containers(engine)
        if not found:
            raise EnvironmentFailure(
                "the container that Compose started is not there",
                f"no container of {self._network.project} for {self._folder}",
                "docker ps --all",
            )
        return found[0]

    def run_as_root(self, engine: DockerEngine, folder: Path, command: Sequence[str]) -> bool:
        """Run a program of the job's image on a folder of the instance, which it sees as /folder."""
        return engine.run_as_root(self._image, folder, command, self.labels)

    def remove(self, engine: DockerEngine) -> list[str]:
        """Remove it, what of it there is. Returns what is left."""
        try:
            containers = self._containers(engine)
            left = engine.remove(containers) + self._network.remove(engine, containers)
        except EnvironmentFailure as failure:
            left = [f"container and network {self._network.project}: {failure.what}"]
        return left + remove_folder(engine, self._folder, self._image, self.labels)

    def _containers(self, engine: DockerEngine) -> list[str]:
        return engine.find({name: self.labels[name] for name in (LABEL_INSTANCE, LABEL_FOLDER)})


class SharedNetwork:
    """The network of an attempt's hosts, which is called as the Compose project is: it goes with the last of them."""

    def __init__(self, project: str) -> None:
        self.project = project
        self._lock = threading.Lock()  # two that go at once are not both the last

    def remove(self, engine: DockerEngine, going: Sequence[str]) -> list[str]:
        """Remove it, unless Compose's containers on it are others than those that go. Returns what is left."""
        with self._lock:
            if set(engine.find({LABEL_PROJECT: self.project})) - set(going):
                return []
            return engine.remove_networks({LABEL_INSTANCE: self.project})


def remove_folder(engine: DockerEngine, folder: Path, image: str, labels: Mapping[str, str]) -> list[str]:
    """Remove a host folder, with what a container's root left there to a harness that is not root."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists() and not harness_is_root():
        with suppress(EnvironmentFailure, ContainerGone):
            engine.run_as_root(image, folder, ["rm", "-rf", "/folder"], labels)  # all but the mount itself
        shutil.rmtree(folder, ignore_errors=True)
    return [f"folder {folder}"] if folder.exists() else []


def _is_readable(folder: Path) -> bool:
    return os.access(folder, os.R_OK | os.X_OK)
