"""A script that was started, by whichever way: its pid, its output, its end."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

PACKET_BYTES = 1 << 16
SIGKILLED = 128 + signal.SIGKILL


class Entrypoint(Protocol):
    """The entrypoint of one attempt. Thread-safe."""

    @property
    def pid(self) -> int | None:
        """Its pid on this machine; None where it had ended before it could be seen."""
        ...

    @property
    def output(self) -> int:
        """The descriptor that its output is read from, to its end."""
        ...

    @property
    def said_before(self) -> bytes:
        """What belongs in front of that output."""
        ...

    def wait(self, timeout_seconds: float | None) -> int | None:
        """Its exit code, 128+N for a signal; None at the timeout."""
        ...

    def signal(self, signum: signal.Signals) -> bool:
        """Send it a signal; False when it has ended."""
        ...

    def end(self) -> None:
        """See that it and whatever started it are gone; returns when they are. Safe to call again."""
        ...


class Spawned:
    """A process of its own that runs the entrypoint as its only child, in namespaces, or is it (`alone`)."""

    said_before = b""

    def __init__(self, process: subprocess.Popen[bytes], alone: bool) -> None:
        self._process = process
        self._sending = threading.Lock()
        self.pid = process.pid if alone else _child_of(process.pid)

    @property
    def output(self) -> int:
        """The pipe's end."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def wait(self, timeout_seconds: float | None) -> int | None:
        """The exit code, 128+N for a signal."""
        try:
            code = self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            return None
        return code if code >= 0 else 128 - code

    def signal(self, signum: signal.Signals) -> bool:
        """Signal the entrypoint, not the process that waits for it."""
        with self._sending:
            if self._process.poll() is not None or self.pid is None:
                return False
            try:
                os.kill(self.pid, signum)
            except ProcessLookupError:
                return False
            return True

    def end(self) -> None:
        """The kernel takes the whole namespace with its PID 1."""
        if self._process.poll() is None:
            self.signal(signal.SIGKILL)
            self._process.kill()
        self._process.wait()


class Forked:
    """A fork of a zygote, which tells its end over a socket; a zygote that dies takes its forks with it.

    Raises OSError where the fork did not come to run the script."""

    def __init__(self, status: socket.socket, output: int, said_before: bytes, timeout_seconds: float) -> None:
        self._status, self.said_before = status, said_before
        self._pidfd = -1
        self._reading, self._sending = threading.Lock(), threading.Lock()
        self._code: int | None = None
        self._output = os.fdopen(output, "rb", buffering=0)
        self.output = output
        self.pid: int | None = None
        try:
            self._until_begun(timeout_seconds)
        except OSError:
            self.end()
            raise

    def _until_begun(self, timeout_seconds: float) -> None:
        self._status.setblocking(False)
        deadline = time.monotonic() + timeout_seconds
        told: dict[str, Any] = {}
        while not ("forked" in told and "begun" in told):
            if not self._has_news(deadline):
                raise TimeoutError(f"a fork did not begin within {timeout_seconds:g} s")
            packet, passed, _, _ = socket.recv_fds(self._status, PACKET_BYTES, 1)
            if passed:
                self._pidfd = passed[0]
                self.pid = _pid_of(self._pidfd)
            message = json.loads(packet) if packet else {"exit": SIGKILLED}
            told |= message
            if "exit" in message:
                self._code = int(message["exit"])
                if "begun" not in told:
                    raise OSError(f"the zygote's fork ended with {self._code} before it began")
                return
            if "error" in message:
                raise OSError(str(message["error"]))

    def wait(self, timeout_seconds: float | None) -> int | None:
        """The exit code, 128+N for a signal."""
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while self._code is None:
            if not self._has_news(deadline):
                return None
            self._read()
        return self._code

    def _has_news(self, deadline: float | None) -> bool:
        """Whether the zygote has said something, waited for until the deadline."""
        poll = select.poll()
        poll.register(self._status, select.POLLIN)
        return bool(poll.poll(None if deadline is None else max(0.0, 1000 * (deadline - time.monotonic()))))

    def _read(self) -> None:
        with self._reading:
            if self._code is None:
                with suppress(BlockingIOError):
                    packet = self._status.recv(PACKET_BYTES)
                    self._code = int(json.loads(packet)["exit"]) if packet else SIGKILLED

    def signal(self, signum: signal.Signals) -> bool:
        """Signal the fork; its pid cannot be another's by now, as it is named by a pidfd."""
        with self._sending:
            if self.wait(0) is not None or self._pidfd < 0:
                return False
            try:
                signal.pidfd_send_signal(self._pidfd, signum)
            except ProcessLookupError:
                return False
            return True

    def end(self) -> None:
        """The kernel takes the whole namespace with its PID 1."""
        if self._pidfd < 0:
            return
        self.signal(signal.SIGKILL)
        self.wait(None)
        with self._sending:
            pidfd, self._pidfd = self._pidfd, -1
            if pidfd >= 0:
                os.close(pidfd)


def _pid_of(pidfd: int) -> int | None:
    """The process's pid as it is seen here, wherever the zygote saw it."""
    for line in Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "Pid":
            return int(value) if int(value) > 0 else None
    return None


def _child_of(pid: int) -> int | None:
    """The one child of unshare.py: the namespace's PID 1, by the pid it has here."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError, IndexError):
            if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                return int(entry.name)
    return None
