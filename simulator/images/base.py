"""The base of an image: python:3.11-slim where a registry answers, a Debian made with debootstrap where none does."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from simulator.core.errors import EnvironmentFailure
from simulator.images.commands import Progress, run, succeeds

REGISTRY_IMAGE = "python:3.11-slim"
DEBOOTSTRAP_IMAGE = "spot-simulator-base:bookworm"
BASE_VARIABLE = "BASE_IMAGE"
PULL_SECONDS = 240.0
DEBOOTSTRAP_SECONDS = 1200.0
_LABEL = "spot-simulator.base=debootstrap"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  # as Debian names them
_INCLUDE = "--include=python3,python3-venv,python3-pip,ca-certificates"
_WASTE = ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale")


def named_base() -> str | None:
    """The base image that BASE_IMAGE in the environment asks for."""
    return os.environ.get(BASE_VARIABLE) or None


def choose_base(machine: str, progress: Progress) -> str:
    """The base image to build from, for `machine` (x86_64 | aarch64); made or pulled where it is not here.

    BASE_IMAGE in the environment decides; that one is neither looked for nor made.

    Raises EnvironmentFailure where neither a registry answers nor debootstrap can run.
    """
    if chosen := named_base():
        return chosen
    for name in (REGISTRY_IMAGE, DEBOOTSTRAP_IMAGE):
        if is_here(name):
            return name
    progress(f"pulling {REGISTRY_IMAGE} …")
    if succeeds(["docker", "pull", "--quiet", REGISTRY_IMAGE], PULL_SECONDS) is not None:
        return REGISTRY_IMAGE
    progress(f"no registry gives {REGISTRY_IMAGE}: making a base of Debian's packages with debootstrap …")
    _debootstrap(machine)
    return DEBOOTSTRAP_IMAGE


def is_here(image: str) -> bool:
    """Whether the engine has the image; False also where none answers."""
    return succeeds(["docker", "image", "inspect", "--format", "{{.Id}}", image], 30) is not None


def has_debootstrap() -> bool:
    """Whether a base can be made here without a registry."""
    path = f"{os.environ.get('PATH')}:/usr/sbin"
    return platform.system() == "Linux" and shutil.which("debootstrap", path=path) is not None


def engine_machine() -> str:
    """The engine's architecture as Python names it: x86_64 or aarch64. Raises EnvironmentFailure."""
    said = run(
        ["docker", "version", "--format", "{{.Server.Arch}}"],
        what="the Docker engine does not answer",
        next_step="start it (sudo systemctl start docker), or run without one: --runtime process",
        timeout_seconds=30,
    )
    arch = said.strip().splitlines()[-1]
    try:
        return {"amd64": "x86_64", "x86_64": "x86_64", "arm64": "aarch64", "aarch64": "aarch64"}[arch]
    except KeyError:
        raise EnvironmentFailure(
            f"there is no training image for {arch}", "TensorFlow has wheels for amd64 and arm64", "--runtime process"
        ) from None


def _debootstrap(machine: str) -> None:
    privilege = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    if not has_debootstrap():
        raise EnvironmentFailure(
            "there is no base image for the training image",
            f"{REGISTRY_IMAGE} could not be pulled, and debootstrap, which would make one, is not installed",
            "sudo apt-get install debootstrap, or name an image with Python 3.11 that is here: BASE_IMAGE=…",
        )
    # Not /tmp: that may be kept in memory, and forbid the device files that debootstrap makes.
    folder = Path(tempfile.mkdtemp(prefix="spot-simulator-base-", dir=os.environ.get("TMPDIR") or "/var/tmp"))
    try:
        mirror = [found] if (found := _debian_mirror()) else []
        run(
            [
                *privilege,
                "debootstrap",
                f"--arch={_ARCHITECTURES[machine]}",
                "--variant=minbase",
                _INCLUDE,
                "bookworm",
                str(folder),
                *mirror,
            ],
            what="debootstrap could not make a base image",
            next_step="run as root, or name an image with Python 3.11 that is here: BASE_IMAGE=…",
            timeout_seconds=DEBOOTSTRAP_SECONDS,
        )
        for waste in _WASTE:
            subprocess.run([*privilege, "rm", "-rf", str(folder / waste)], check=False)
        _import(folder, privilege)
    finally:
        _unmount_below(folder, privilege)
        subprocess.run([*privilege, "rm", "-rf", "--one-file-system", str(folder)], check=False)


def _unmount_below(folder: Path, privilege: list[str]) -> None:
    """debootstrap mounts /proc and /sys of this machine in its tree; where it was stopped they are still there."""
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in reversed(mounts):
        if mount.startswith(f"{folder}/"):
            subprocess.run([*privilege, "umount", mount], check=False, capture_output=True)


def _import(folder: Path, privilege: list[str]) -> None:
    with subprocess.Popen([*privilege, "tar", "-C", str(folder), "-c", "."], stdout=subprocess.PIPE) as tar:
        done = subprocess.run(
            ["docker", "import", "--change", 'CMD ["python3"]', "--change", f"LABEL {_LABEL}", "-", DEBOOTSTRAP_IMAGE],
            stdin=tar.stdout,
            capture_output=True,
            check=False,
        )
    if tar.returncode or done.returncode:
        succeeds(["docker", "image", "rm", DEBOOTSTRAP_IMAGE], 60)  # half a tree can be imported as well as a whole one
        raise EnvironmentFailure(
            "the base image could not be imported",
            done.stderr.decode("utf-8", "replace").strip() or f"tar ended with {tar.returncode}",
            "look for room on the disk: df -h; docker system df",
        )


def _debian_mirror() -> str | None:
    """The mirror of Debian that apt uses here, so that debootstrap works where only that is reached."""
    sources = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    for source in sources:
        try:
            text = source.read_text()
        except (OSError, UnicodeDecodeError):
            continue
        in_use = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#")) + "\n"
        if found := re.search(r"https?://\S+/debian/?(?=\s)", in_use):
            return found.group()
    return None
