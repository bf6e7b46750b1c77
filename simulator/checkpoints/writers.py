"""Who writes below a folder: the kernel tells, per file that was written and closed, which process it was.

By fanotify, whose events cost nothing until a file is closed. Limits: it needs Linux, root, and the folder on this
machine (a Docker engine in a virtual machine hides its writers); a new sub-folder is watched from the first file on
that was seen in it; quick writes of one file by one process may be told as one. Where it is not to be had nothing is
told, and then nobody is accused.
"""

from __future__ import annotations

import ctypes
import os
import re
import select
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from simulator.checkpoints.folder import is_never_uploaded

MOST_FILES = 200  # told of, those with most writes
MOST_KNOWN = 20_000  # files about which anything is remembered
MOST_RUNS = 400  # of one file
SETTLES_SECONDS = 0.05  # a file written aside has its final name by then
MOST_OPEN = 64  # files held open until then
STOP_SECONDS = 2.0

_CLOEXEC, _NONBLOCK = 0x1, 0x2  # FAN_CLOEXEC, FAN_NONBLOCK; FAN_CLASS_NOTIF is 0
_ADD = 0x1  # FAN_MARK_ADD
_CLOSE_WRITE, _ON_CHILD = 0x8, 0x0800_0000  # FAN_CLOSE_WRITE, FAN_EVENT_ON_CHILD
_METADATA = struct.Struct("=IBBHQii")  # struct fanotify_event_metadata
_AT_FDCWD = -100
_ASIDE = re.compile(r"tmp|temp|part|swp|~", re.I)


@dataclass
class Run:
    """Writes of one file by one process, with none by another in between."""

    pid: int
    first_at: float
    last_at: float
    writes: int = 1
    bytes: int = 0


@dataclass(frozen=True)
class Writer:
    """A process that wrote, as it was when it was first seen; pids as the processes themselves see them."""

    pid: int
    ppid: int
    command: str


@dataclass(frozen=True)
class Told:
    """What was seen until the end: `files` holds only those that several processes wrote."""

    writes: int
    files: Mapping[str, list[Run]] = field(default_factory=dict)
    processes: Mapping[int, Writer] = field(default_factory=dict)


@dataclass
class _Closed:
    """A file that was written and closed, held open until it has its final name."""

    until: float
    at: float
    pid: int
    file: int
    first_name: str
    last_name: str


class WriterWatch:
    """Watches one attempt's folder. `start()`, `also_below()` for what is new, then `stop()`, which tells.

    `local_path`: where the script has the folder mounted. The kernel names a file as its writer sees it.
    """

    def __init__(self, folder: Path, local_path: str, now: Callable[[], float]) -> None:
        self._folder, self._now = os.fspath(folder.resolve()), now
        self._local_path = local_path.rstrip("/") + "/"
        self._group = -1
        self._marked: set[str] = set()
        self._runs: dict[str, list[Run]] = {}
        self._processes: dict[int, Writer] = {}
        self._waiting: deque[_Closed] = deque()
        self._writes = 0
        self._thread: threading.Thread | None = None
        self._ends = self._end = -1  # a pipe, whose closing wakes the thread

    def start(self) -> bool:
        """Begin; False where the kernel or our rights do not allow it."""
        if not sys.platform.startswith("linux"):
            return False
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            self._fanotify_mark = libc.fanotify_mark
            self._fanotify_mark.argtypes = (
                *(ctypes.c_int, ctypes.c_uint, ctypes.c_uint64, ctypes.c_int, ctypes.c_char_p),
            )
            self._group = libc.fanotify_init(_CLOEXEC | _NONBLOCK, os.O_RDONLY | os.O_CLOEXEC)
        except (OSError, AttributeError):  # a C library without it
            return False
        if self._group < 0 or not self._mark(self._folder):
            self._close()
            return False
        for directory, folders, _ in os.walk(self._folder):
            for name in folders[:MOST_FILES]:
                self._mark(os.path.join(directory, name))  # noqa: PTH118 - the kernel wants text
        self._ends, self._end = os.pipe()
        self._thread = threading.Thread(target=self._listen, name="writers", daemon=True)
        self._thread.start()
        return True

    def also_below(self, path: str) -> None:
        """A file was seen at this relative path: its folder is to be watched too."""
        parent = path.rpartition("/")[0]
        if parent and self._thread is not None:
            self._mark(f"{self._folder}/{parent}")

    def stop(self) -> Told | None:
        """End, and tell; None where nothing could be seen. Safe to call again."""
        if self._thread is None:
            return None
        os.close(self._end)
        self._thread.join(STOP_SECONDS)
        self._thread = None
        self._close()
        shared = {path: runs for path, runs in self._runs.items() if len({run.pid for run in runs}) > 1}
        most = sorted(shared, key=lambda path: (-sum(run.writes for run in shared[path]), path))[:MOST_FILES]
        files = {path: shared[path] for path in most}
        pids = {run.pid for runs in files.values() for run in runs}
        return Told(self._writes, files, {pid: who for pid, who in self._processes.items() if pid in pids})

    def _mark(self, folder: str) -> bool:
        if folder in self._marked:
            return True
        self._marked.add(folder)
        mask = _CLOSE_WRITE | _ON_CHILD
        return bool(self._fanotify_mark(self._group, _ADD, mask, _AT_FDCWD, os.fsencode(folder)) == 0)

    def _listen(self) -> None:
        while True:
            ready, _, _ = select.select([self._group, self._ends], [], [], SETTLES_SECONDS if self._waiting else None)
            while events := self._read():
                self._take(events)
            if self._ends in ready:
                break
            self._settle(time.monotonic())
        self._settle(float("inf"))

    def _read(self) -> bytes:
        try:
            return os.read(self._group, 1 << 16)
        except OSError:  # nothing more
            return b""

    def _take(self, events: bytes) -> None:
        at, soon = self._now(), time.monotonic() + SETTLES_SECONDS
        for closed in self._waiting:  # another may be about to take the name that it has now
            closed.last_name = _name_of(closed.file) or closed.last_name
        while len(events) >= _METADATA.size:
            length, _, _, _, _, file, pid = _METADATA.unpack_from(events)
            events = events[length:]
            if file < 0:
                continue  # the queue was full
            name = _name_of(file)
            if pid in (0, os.getpid()) or name is None or is_never_uploaded(name):
                os.close(file)
                continue
            self._meet(pid)
            self._waiting.append(_Closed(soon, at, pid, file, name, name))
        while len(self._waiting) > MOST_OPEN:
            self._settle(self._waiting[0].until)

    def _settle(self, now: float) -> None:
        """Note the writes whose files have their final names by now."""
        while self._waiting and self._waiting[0].until <= now:
            closed = self._waiting.popleft()
            try:
                final, size = _name_of(closed.file) or closed.last_name, os.fstat(closed.file).st_size
            finally:
                os.close(closed.file)
            self._writes += 1
            for path in dict.fromkeys((closed.first_name, final)):
                relative = self._relative(path)
                if relative:
                    self._note(self._without_pid(relative, closed.pid), closed.pid, closed.at, size)

    def _relative(self, path: str) -> str:
        """The path below the folder, by whichever of its names; empty for a file elsewhere."""
        if path.startswith(self._folder + "/"):
            return path.removeprefix(self._folder + "/")
        return path.partition(self._local_path)[2]

    def _without_pid(self, path: str, pid: int) -> str:
        """A name written aside that holds its writer's pid, as others' would hold theirs: state.json.tmp.PID."""
        folder, slash, name = path.rpartition("/")
        if not _ASIDE.search(name):
            return path
        return folder + slash + re.sub(rf"(?<!\d){self._processes[pid].pid}(?!\d)", "PID", name)

    def _note(self, path: str, pid: int, at: float, size: int) -> None:
        runs = self._runs.get(path)
        if runs is None:
            if len(self._runs) >= MOST_KNOWN:
                return
            runs = self._runs[path] = []
        if runs and runs[-1].pid == pid:
            runs[-1].last_at, runs[-1].writes, runs[-1].bytes = at, runs[-1].writes + 1, max(size, runs[-1].bytes)
        elif len(runs) < MOST_RUNS:
            runs.append(Run(pid, at, at, bytes=size))

    def _meet(self, pid: int) -> None:
        if pid in self._processes:
            return
        try:
            status, parent = _status(pid), 0
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
            with suppress(OSError):
                parent = _inner(_status(int(status["PPid"])), int(status["PPid"]), len(status["NSpid"].split()))
            self._processes[pid] = Writer(_inner(status, pid, 1), parent, command or status["Name"].strip())
        except (OSError, KeyError, ValueError, IndexError):
            self._processes[pid] = Writer(pid, 0, "")  # it had ended by the time it was looked at

    def _close(self) -> None:
        for descriptor in (self._group, self._ends):
            if descriptor >= 0:
                with suppress(OSError):
                    os.close(descriptor)
        self._group = self._ends = -1


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}


def _inner(status: Mapping[str, str], pid: int, depth: int) -> int:
    """The pid in the innermost namespace; 0 for a process that is outside of one that is so deep."""
    pids = status.get("NSpid", str(pid)).split()
    return int(pids[-1]) if len(pids) >= depth else 0


def _name_of(file: int) -> str | None:
    """Where an open file is now; None when it was deleted."""
    try:
        name = os.readlink(f"/proc/self/fd/{file}")  # noqa: PTH115 - as the kernel has it
    except OSError:
        return None
    return None if name.endswith(" (deleted)") else name
