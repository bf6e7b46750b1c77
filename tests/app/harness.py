"""Harnesses that run beside a test: started, waited for, and gone when the test is over, however it ends."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from simulator.runtimes.ownership import owner

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 240  # of tests on a busy machine; nothing waits that long where all is well


_started: set[str] = set()


def started_here() -> frozenset[str]:
    """The owners, as labels name them, of all harnesses that this process has started."""
    return frozenset(_started)


@contextmanager
def harness(said: Path, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """`spot-simulator ARGUMENTS`, its output in the file `said`, which a failing test shows."""
    command = [sys.executable, "-m", "simulator", *arguments]
    with (
        said.open("wb") as output,
        subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stdout=output, stderr=output) as process,
    ):
        _started.add(owner(process.pid))
        try:
            yield process
        finally:
            process.kill()
            print(said.read_text(errors="replace"))


def wait_for(running: subprocess.Popen[bytes], file: Path, text: str) -> None:
    """Until a file of a running harness holds a text."""

    def is_there() -> bool:
        assert running.poll() is None, f"the harness ended with {running.returncode}"
        return file.exists() and text in file.read_text()

    wait_until(is_there, f"{file} to hold {text}")


def wait_until(happened: Callable[[], bool], what: str) -> None:
    """Until something has happened."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < deadline, f"waited {PATIENCE_SECONDS} s for {what}"
        time.sleep(0.05)
