"""What we ask of a Docker engine: the only module that knows the Docker SDK and its errors.

The engine is the one the `docker` command uses: DOCKER_HOST, the current context, or the default socket. Everything
made here carries labels, so that what a killed harness left can be found; see `owned_leftovers`.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from urllib3.exceptions import HTTPError

from simulator.core.errors import EnvironmentFailure
from simulator.runtimes.ownership import is_alive
from simulator.runtimes.port import LABEL_OWNER

LABEL_MACHINE = "spot-simulator.machine"  # an owner's PID means something only there; see `this_machine`
ANSWER_SECONDS = 60.0
PING_SECONDS = 10.0
RETRY_SECONDS = 0.5
LOG_PIECE_BYTES = 16 * 1024
START_DOCKER = "start it (sudo systemctl start docker, or Docker Desktop), or run without one: --runtime process"

_NOT_A_FILE = 0x8F280000  # os.ModeType of Go, in which the engine tells a file's mode


@dataclass(frozen=True)
class EngineStatus:
    """What this machine has for containers. `compose` is empty where the SageMaker SDK would find none."""

    answers: bool
    engine_line: str
    compose: str = ""
    version: str = ""
    architecture: str = ""
    rootless: bool = False


@dataclass(frozen=True)
class ContainerState:
    """A container as inspected. `pid` is that of PID 1 on the engine's machine, 0 when it has ended."""

    status: str
    exit_code: int
    pid: int
    upper_dir: Path | None

    @property
    def has_ended(self) -> bool:
        """Whether its PID 1 has run and is gone."""
        return self.status in ("exited", "dead")


@dataclass(frozen=True)
class Leftover:
    """A container or a network that lost its harness."""

    kind: str
    identity: str
    name: str
    labels: Mapping[str, str]


class ContainerGone(Exception):
    """There is no such container (any more)."""


class DockerEngine:
    """A connection to the engine; may be used from several threads.

    Every method raises EnvironmentFailure where the engine does not answer, and ContainerGone where it says so.
    """

    def __init__(self) -> None:
        with _answering():
            self._client = docker.from_env(timeout=int(ANSWER_SECONDS))
            self._api = self._client.api

    def close(self) -> None:
        """Let go of the connection."""
        with suppress(DockerException, requests.RequestException):
            self._client.close()

    # Images

    def has_image(self, image: str) -> bool:
        """Whether the engine has the image."""
        with _answering():
            try:
                self._client.images.get(image)
            except ImageNotFound:
                return False
            return True

    def pull(self, image: str, timeout_seconds: float) -> str:
        """Pull an image. Returns what went wrong, empty for nothing."""
        command = ["docker", "pull", "--quiet", image]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_seconds, check=False)
        except subprocess.TimeoutExpired:
            return f"the registry gave nothing within {timeout_seconds:.0f} s"
        except OSError as error:
            return str(error)
        return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["docker pull failed"])[-1]

    # Containers

    def find(self, labels: Mapping[str, str]) -> list[str]:
        """The ids of the containers with all these labels, running or not."""
        with _answering():
            found = self._api.containers(all=True, filters=_having(labels))
        return [str(container["Id"]) for container in found]

    def inspect(self, container: str) -> ContainerState:
        """Its state now."""
        with _answering():
            seen = self._api.inspect_container(container)
        upper = (seen.get("GraphDriver", {}).get("Data") or {}).get("UpperDir")
        return ContainerState(
            status=str(seen["State"]["Status"]),
            exit_code=int(seen["State"]["ExitCode"]),
            pid=int(seen["State"].get("Pid", 0)),
            upper_dir=Path(upper) if upper else None,
        )

    def signal(self, container: str, signum: signal.Signals) -> bool:
        """Send a signal to PID 1, as the service does; False when it does not run."""
        with _answering():
            try:
                self._api.kill(container, signal=int(signum))
            except APIError as error:
                if error.status_code in (404, 409):  # 409: "is not running"
                    return False
                raise
        return True

    def wait(self, container: str) -> int:
        """Block until its PID 1 has ended; the exit code. An engine that comes back with it is asked again."""
        while True:
            with suppress(requests.RequestException, HTTPError, ValueError):
                return self._blocking_wait(container)
            state = self.inspect(container)  # the engine stopped talking: this says whether it is gone
            if state.has_ended:
                return state.exit_code
            time.sleep(RETRY_SECONDS)

    def _blocking_wait(self, container: str) -> int:
        try:
            return int(self._api.wait(container, timeout=None)["StatusCode"])
        except NotFound as error:
            raise ContainerGone(_short(error)) from error

    def output(self, container: str) -> Iterator[bytes]:
        """Its stdout and stderr in the order they came, from the beginning until it has ended.

        The engine logs lines in pieces of at most 16 KiB, and its `local` driver, which alone keeps all bytes, forgets
        the newline after the last piece of a longer line [measured on 20.10]: a short piece without one gets it back.
        """
        with _answering():
            for piece in self._api.logs(container, stdout=True, stderr=True, stream=True, follow=True):
                yield piece
                if len(piece) < LOG_PIECE_BYTES and not piece.endswith(b"\n"):
                    yield b"\n"

    def run_inside(self, container: str, command: Sequence[str]) -> bytes | None:
        """The output of a command run as root beside the container's processes; None where it cannot be run."""
        with _answering():
            try:
                made = self._api.exec_create(container, list(command), user="0", stderr=False)
                said = self._api.exec_start(made["Id"])
                failed = self._api.exec_inspect(made["Id"])["ExitCode"]
            except APIError:
                return None  # not running, or it has no such program
        return None if failed else said

    def changed_paths(self, container: str) -> list[str]:
        """Paths added or modified in its own layer, folders among them."""
        with _answering():
            changes = self._api.diff(container) or []
        return [str(change["Path"]) for change in changes if change["Kind"] in (0, 1)]

    def file_size(self, container: str, path: str) -> int | None:
        """The size of a regular file; None for anything else."""
        with _answering():
            try:
                body, status = self._api.get_archive(container, path)
            except NotFound:
                return None
            with suppress(AttributeError):
                body.close()
        return None if int(status["mode"]) & _NOT_A_FILE else int(status["size"])

    # Cleaning up

    def remove(self, containers: Sequence[str]) -> list[str]:
        """Remove containers, running or not, with their anonymous volumes. Returns what could not be removed, with the
        reason."""
        return [problem for container in containers if (problem := self._remove_container(container))]

    def remove_networks(self, labels: Mapping[str, str]) -> list[str]:
        """Remove the networks with all these labels. Returns what could not be removed, with the reason."""
        with _answering():
            networks = self._api.networks(filters=_having(labels))
        left = [self._remove_network(found["Id"], found["Name"]) for found in networks]
        return [problem for problem in left if problem]

    def owned_leftovers(self) -> list[Leftover]:
        """Containers, then networks, whose owner was a process of this machine and is gone."""
        with _answering():
            containers = self._api.containers(all=True, filters={"label": LABEL_OWNER})
            networks = self._api.networks(filters={"label": LABEL_OWNER})
        found = [Leftover("container", c["Id"], str(c["Id"])[:12], c["Labels"]) for c in containers]
        found += [Leftover("network", n["Id"], n["Name"], n["Labels"]) for n in networks]
        return [leftover for leftover in found if _is_orphan(leftover.labels)]

    def remove_leftover(self, left: Leftover) -> str:
        """Remove one of them. Returns what went wrong, empty for nothing."""
        if left.kind == "container":
            return self._remove_container(left.identity)
        return self._remove_network(left.identity, left.name)

    def run_as_root(self, image: str, folder: Path, command: Sequence[str], labels: Mapping[str, str]) -> bool:
        """Run a program of an image on a host folder, which it sees as /folder, as the engine's root and without a
        network. For files that a container's root left to a harness that is not root. Whether it went well."""
        with _answering():
            try:
                made = self._api.create_container(
                    image,
                    entrypoint=list(command),
                    command=[],
                    user="0",
                    labels=dict(labels),
                    host_config=self._api.create_host_config(binds=[f"{folder}:/folder"], network_mode="none"),
                )
            except APIError:
                return False
            try:
                self._api.start(made["Id"])
                return int(self._api.wait(made["Id"])["StatusCode"]) == 0
            except APIError:
                return False
            finally:
                self._remove_container(made["Id"])

    def _remove_container(self, identity: str) -> str:
        try:
            with _answering():
                self._api.remove_container(identity, v=True, force=True)
        except ContainerGone:
            pass
        except EnvironmentFailure as error:
            if "already in progress" not in error.why:
                return f"container {identity[:12]}: {error.why}"
        return ""

    def _remove_network(self, identity: str, name: str) -> str:
        try:
            with _answering():
                self._api.remove_network(identity)
        except ContainerGone:
            pass
        except EnvironmentFailure as error:
            return f"network {name}: {error.why}"
        return ""


def engine_status() -> EngineStatus:
    """What this machine has for containers; never raises."""
    try:
        client = docker.from_env(timeout=int(PING_SECONDS))
    except (DockerException, requests.RequestException) as error:
        return EngineStatus(False, f"none answers ({_short(error)})", find_compose())
    try:
        info = client.info()
    except (DockerException, requests.RequestException) as error:
        return EngineStatus(False, f"does not answer ({_short(error)})", find_compose())
    finally:
        client.close()
    version, architecture = str(info.get("ServerVersion", "?")), str(info.get("Architecture", "?"))
    rootless = any("rootless" in str(option) for option in info.get("SecurityOptions") or ())
    line = f"{version} on {architecture}, {info.get('Driver', '?')}{', rootless' if rootless else ''}"
    return EngineStatus(True, line, find_compose(), version, architecture, rootless)


def find_compose() -> str:
    """The Compose that SageMaker's SDK would use, in a word or two; empty for none. It wants the `docker` command in
    any case, then `docker compose` 2 or later or else a docker-compose (LocalContainer, read in 3.27)."""
    if shutil.which("docker") is None:
        return ""
    with suppress(OSError, subprocess.SubprocessError):
        command = ["docker", "compose", "version"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PING_SECONDS, check=False)
        found = re.search(r"version\s+v?(\d+)(\S*)", done.stdout)
        if done.returncode == 0 and found and int(found.group(1)) >= 2:
            return f"docker compose {found.group(1)}{found.group(2)}"
    return "docker-compose" if shutil.which("docker-compose") else ""


def this_machine() -> str:
    """Where a PID has its meaning: a host, and a PID namespace in it. A harness in a container that was handed the
    engine's socket must not take another's harness for dead because it does not see it."""
    try:
        namespace = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        namespace = "-"
    return f"{platform.node()}/{namespace}"


def local_proc_of(container: str, pid: int) -> bool:
    """Whether this pid, as the engine gave it, is that container's here: the engine may run in a virtual machine."""
    try:
        return pid > 0 and container in Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return False


def harness_is_root() -> bool:
    """Whether files of a container's root are no obstacle."""
    return not hasattr(os, "geteuid") or os.geteuid() == 0


def _having(labels: Mapping[str, str]) -> dict[str, list[str]]:
    """The engine's filter for all these labels."""
    return {"label": [f"{label}={value}" for label, value in labels.items()]}


def _is_orphan(labels: Mapping[str, str]) -> bool:
    """An empty owner is nobody's but the user's own; without a machine it is one of ours on this machine."""
    owner = labels.get(LABEL_OWNER, "")
    here = labels.get(LABEL_MACHINE, this_machine()) == this_machine()
    return bool(owner) and here and not is_alive(owner)


@contextmanager
def _answering() -> Iterator[None]:
    """Turn the SDK's errors into ours: gone, refused, hanging or dead."""
    try:
        yield
    except NotFound as error:
        raise ContainerGone(_short(error)) from error
    except APIError as error:
        raise EnvironmentFailure("the Docker engine refused", _short(error), "docker info") from error
    except requests.ReadTimeout as error:
        raise EnvironmentFailure(
            "the Docker engine hangs", f"it gave no answer within {ANSWER_SECONDS:.0f} s", "docker info"
        ) from error
    except (DockerException, requests.RequestException, HTTPError, OSError) as error:
        raise EnvironmentFailure("the Docker engine does not answer", _short(error), START_DOCKER) from error


def _short(error: BaseException) -> str:
    """An error in one line."""
    text = str(getattr(error, "explanation", None) or error)
    return " ".join(text.split())[:300] or type(error).__name__
