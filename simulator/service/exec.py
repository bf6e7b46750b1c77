"""Runs a command, and sees to it that the command ends when it should and that its exit code is known."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType

from simulator.core.errors import UsageError

END_SECONDS = 15.0
"""From SIGTERM to SIGKILL of a command that is to end: launch code may want to stop its jobs first."""

_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SIGNAL_BASE = 128


def run_command(command: Sequence[str], environment: Mapping[str, str], end_seconds: float = END_SECONDS) -> int:
    """Run a command in this terminal to its end; its exit code as a shell tells it, 128 + N after signal N.

    Ctrl-C is the command's to answer: the terminal gives it to both of us. SIGTERM, SIGHUP and a SIGINT that no
    terminal sent are passed on, and SIGKILL follows where the command is still there `end_seconds` later. Raises
    UsageError where there is no such command.
    """
    with _passing_signals_on() as heard:
        try:
            process = subprocess.Popen(list(command), env=dict(environment))
        except FileNotFoundError as error:
            raise UsageError(
                f"there is no command {command[0]!r}",
                error.strerror or str(error),
                "say which program to run after the two dashes: spot-simulator exec -- python launch.py",
            ) from error
        except PermissionError as error:
            raise UsageError(
                f"{command[0]!r} cannot be run", error.strerror or str(error), f"chmod +x {command[0]}"
            ) from error
        with process:
            code = _wait(process, heard, end_seconds)
    return code if code >= 0 else _SIGNAL_BASE - code


def _wait(process: subprocess.Popen[bytes], heard: _Heard, end_seconds: float) -> int:
    heard.process = process
    if heard.signals:  # one came before there was a process to pass it on to
        process.send_signal(heard.signals[-1])
    killer: threading.Timer | None = None
    try:
        while True:
            try:
                return process.wait(0.2 if killer is None else None)
            except subprocess.TimeoutExpired:
                if heard.signals and killer is None:
                    killer = threading.Timer(end_seconds, process.kill)
                    killer.daemon = True
                    killer.start()
    finally:
        if killer is not None:
            killer.cancel()


class _Heard:
    """The signals that were passed on, and to whom."""

    def __init__(self) -> None:
        self.signals: list[int] = []
        self.process: subprocess.Popen[bytes] | None = None

    def pass_on(self, signum: int, _: FrameType | None) -> None:
        """A signal handler."""
        if signum == signal.SIGINT and _in_foreground():
            return
        self.signals.append(signum)
        if self.process is not None:
            self.process.send_signal(signum)


@contextmanager
def _passing_signals_on() -> Iterator[_Heard]:
    """Handlers, not SIG_IGN: what is ignored stays ignored in the program that is started."""
    heard = _Heard()
    before = {signum: signal.signal(signum, heard.pass_on) for signum in _PASSED_ON}
    try:
        yield heard
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _in_foreground() -> bool:
    """Whether the terminal's Ctrl-C comes to us, and then to the command beside us as well."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
