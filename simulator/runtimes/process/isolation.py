"""How far a script can be shut in here: found out by doing it once, never by asking for versions."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
from enum import StrEnum
from functools import cache
from pathlib import Path

ENTER = Path(__file__).with_name("enter.sh")
UNSHARE = Path(__file__).with_name("unshare.py")
PROBE_SECONDS = 20.0
PYTHON = os.path.normpath(sys.executable)  # one started as ../bin/python is not found from within


class Isolation(StrEnum):
    """What the script is shut in with."""

    NAMESPACES = "namespaces"
    USER_NAMESPACES = "user-namespaces"
    PLAIN = "plain"


class EnterMode(StrEnum):
    """What enter.sh does once the instance's view of the machine stands: see there."""

    BECOME = "become"
    KEEP = "keep"
    BUILD = "build"


FIDELITY_LOST = {
    Isolation.NAMESPACES: (),
    Isolation.USER_NAMESPACES: ("the script is root only in its own eyes: it has this user's rights on the machine",),
    Isolation.PLAIN: (
        "namespaces are not allowed here, so the script shares this machine's files, /tmp and processes",
        "/opt/ml is another folder, named by SM_ML_ROOT, SM_* and checkpointconfig.json: other scripts need Docker",
        "the script is not PID 1: without a handler SIGTERM ends it, in a container it would be ignored",
    ),
}

FIDELITY_LOST_BY_SEVERAL_HOSTS = (
    "several hosts share this machine's network: a port bound on 0.0.0.0 or localhost is taken for all of them",
    "so servers have to bind to their host's name; TensorFlow's do not: give each worker a port, or use local-mode",
    "a connection from another host comes from 127.0.0.1, and one to a host that is gone is refused at once",
    "network_interface_name says eth0: here that is this machine's, if it has one, and no host's address is on it",
)


def entering(
    isolation: Isolation,
    instance: Path,
    local_path: str,
    workdir: str,
    host: str,
    command: list[str],
    mode: EnterMode = EnterMode.BECOME,
) -> list[str]:
    """The command that runs `command` as PID 1 of fresh namespaces, killed when the harness's spawning thread dies."""
    user = ["--user"] if isolation is Isolation.USER_NAMESPACES else []
    return [
        *(PYTHON, "-I", "-S", str(UNSHARE), *user),
        *(*building(instance, local_path, workdir, host, mode), "--"),
        *command,
    ]


def building(instance: Path, local_path: str, workdir: str, host: str, mode: EnterMode = EnterMode.BUILD) -> list[str]:
    """The command that builds an instance's view of the machine in the namespaces that it is run in."""
    return ["/bin/sh", str(ENTER), mode.value, str(instance), local_path, workdir, host, _kept_folders()]


def best_isolation() -> Isolation:
    """The best that works on this machine, tried with a command that does nothing."""
    return next((isolation for isolation in _candidates() if not problem_with(isolation)), Isolation.PLAIN)


def why_plain() -> str:
    """What keeps scripts from being shut in here, in one line; empty where nothing does."""
    problems = [problem_with(isolation) for isolation in _candidates()]
    if not problems:
        return f"namespaces are Linux's, and this is {platform.system()}"
    return "" if "" in problems else problems[-1]


def _candidates() -> list[Isolation]:
    if sys.platform != "linux":
        return []
    return [*([Isolation.NAMESPACES] if os.geteuid() == 0 else []), Isolation.USER_NAMESPACES]


def make_folders(instance: Path) -> None:
    """The folders that enter.sh expects in an instance."""
    for name in ("ml", "tmp", "tmp/home", "checkpoints"):
        (instance / name).mkdir(parents=True, exist_ok=True)
    (instance / "tmp").chmod(0o1777)


@cache
def problem_with(isolation: Isolation) -> str:
    """Why a script cannot be shut in that way here, in one line; empty where it can."""
    with tempfile.TemporaryDirectory(prefix="spot-simulator-probe-", ignore_cleanup_errors=True) as folder:
        instance = Path(folder)
        make_folders(instance)
        command = entering(isolation, instance, "/opt/ml/checkpoints", "/", "algo-1", [PYTHON, "-c", ""])
        try:
            ready = ["/bin/sh", "-c", 'exec "$@" <&1', "sh", *command]  # what it says of itself goes to the output
            done = subprocess.run(ready, capture_output=True, timeout=PROBE_SECONDS, check=False)
        except (OSError, subprocess.SubprocessError) as error:
            return str(error)
    if done.returncode == 0 and done.stdout.strip() == b"ready":
        return ""
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return said[-1] if said else f"a command that does nothing ended with {done.returncode} in it"


def _kept_folders() -> str:
    """Folders that hold this Python and that the instance's view would hide: mounts below the top level, which an
    overlay of the top-level folder does not show, and what is below /tmp, which is the instance's own."""
    needed = {Path(os.path.normpath(prefix)) for prefix in (sys.prefix, sys.base_prefix)}
    needed |= {path.resolve() for path in needed}
    kept = {parent for path in needed for parent in (path, *path.parents) if parent.is_mount()}
    kept |= {path for path in needed if path.is_relative_to("/tmp")}
    return ":".join(str(folder) for folder in sorted(kept) if len(folder.parts) > 2)
