"""Who made a container, a network or a folder, and whether that harness still lives; else what it left is swept."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from simulator.services.faulty_disk import unmount

PREFIX = "spot-simulator-"
OWNER_FILE = "owner"


def owner(pid: int | None = None) -> str:
    """A process, this one by default, as `PID:START`: the start tells it from a later process with the same pid."""
    named = os.getpid() if pid is None else pid
    return f"{named}:{_start_of(named)}"


def is_alive(owner: str) -> bool:
    """Whether the process that an owner label names still runs; an unreadable label names nobody."""
    pid, colon, start = owner.partition(":")
    return bool(colon) and pid.isdigit() and bool(start) and _start_of(int(pid)) == start


def make_scratch(run_id: str) -> Path:
    """A folder for the instances of a run, marked as this process's. Raises OSError."""
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{run_id}-"))
    (folder / OWNER_FILE).write_text(owner())
    return folder


def sweep_scratch() -> list[str]:
    """Remove the folders whose owner is gone; returns them."""
    removed = []
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            mark = (folder / OWNER_FILE).read_text()
        except OSError:
            continue  # none of ours, or being made at this moment
        if not is_alive(mark):
            for mounted in (child for child in folder.iterdir() if child.is_mount()):
                unmount(mounted)
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                removed.append(f"folder {folder.name}")
    return removed


def _start_of(pid: int) -> str:
    """When a process started, in whatever words the system has; empty for none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[19]  # field 22 of proc(5), the name of 2 taken off
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return ""
    except (OSError, IndexError):
        return ""
    done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return "".join(done.stdout.split())
