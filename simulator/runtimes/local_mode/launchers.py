"""Launchers as the harness sees them: started ahead of time, used again, killed when they misbehave."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from simulator.core.errors import EnvironmentFailure
from simulator.core.job import REGION
from simulator.runtimes.local_mode.order import LaunchOrder

READY_SECONDS = 120.0  # importing the SDK takes 2 to 3 s; a cold disk, a busy machine
START_SECONDS = 180.0  # for Compose: a slow engine, no pull
TAIL_LINES = 12
PASSED_ON = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "XDG_RUNTIME_DIR", "SystemRoot")


class LauncherPool:
    """Launchers that wait for an order. Launches may be asked for from several threads: each has its launcher."""

    def __init__(self) -> None:
        self._idle: list[Launcher] = []
        self._lock = threading.Lock()
        self._closed = False

    def warm(self) -> None:
        """Have one launcher import the SDK meanwhile."""
        with self._lock:
            if not self._idle and not self._closed:
                self._idle.append(Launcher())

    def launch(self, order: LaunchOrder) -> None:
        """Have containers started. Raises EnvironmentFailure with what the SDK or Compose said."""
        with self._one() as launcher:
            launcher.launch(order)

    def close(self) -> None:
        """End them all."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for launcher in idle:
            launcher.end()

    def _take(self) -> Launcher | None:
        with self._lock:
            while self._idle:
                launcher = self._idle.pop()
                if launcher.is_alive():
                    return launcher
                launcher.end()
            return None

    @contextmanager
    def _one(self) -> Iterator[Launcher]:
        launcher = self._take() or Launcher()
        try:
            yield launcher
        except BaseException:
            launcher.end()
            raise
        with self._lock:
            if not self._closed:
                self._idle.append(launcher)
                return
        launcher.end()


class Launcher:
    """One child process. Not for several threads at once."""

    command: Sequence[str] = (sys.executable, "-P", "-m", "simulator.runtimes.local_mode.launcher")

    def __init__(self) -> None:
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `end`
        self._ready = False
        self._rest = b""
        self._process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._output,
            env=launcher_environment(),
            start_new_session=True,  # Ctrl-C is the harness's to answer
        )

    def launch(self, order: LaunchOrder) -> None:
        """Have containers started. Raises EnvironmentFailure."""
        self._await_ready()
        said_before = self._output.seek(0, os.SEEK_END)
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(order.to_json().encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise self._failure("the SageMaker SDK's process is gone", str(error), said_before) from error
        answer = self._answer(START_SECONDS, "Compose has not started the container", said_before)
        if not answer.get("started"):
            raise self._failure(
                "SageMaker's SDK could not start the container", str(answer.get("error", "")), said_before
            )

    def is_alive(self) -> bool:
        """Whether it can take an order."""
        return self._process.poll() is None

    def said(self, since: int = 0) -> str:
        """What the SDK and Compose printed."""
        self._output.seek(since)
        return self._output.read().decode("utf-8", "replace")

    def end(self) -> None:
        """Kill it and what it started; safe to call again."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for file in (self._process.stdin, self._process.stdout, self._output):
            with suppress(OSError):
                if file is not None:
                    file.close()

    def _await_ready(self) -> None:
        if self._ready:
            return
        answer = self._answer(READY_SECONDS, "the SageMaker SDK could not be imported", 0)
        if not answer.get("ready"):
            raise EnvironmentFailure(
                "the installed SageMaker SDK is not one that the local mode runtime knows",
                "; ".join(str(problem) for problem in answer.get("problems", ())),
                "pip install 'sagemaker>=3.27,<3.28', or run without it: --runtime process",
            )
        self._ready = True

    def _answer(self, timeout_seconds: float, what: str, said_before: int) -> dict[str, Any]:
        """The next line it says. Raises EnvironmentFailure when it ends, or says nothing in time."""
        assert self._process.stdout is not None
        deadline = time.monotonic() + timeout_seconds
        while b"\n" not in self._rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                raise self._failure(what, f"nothing came within {timeout_seconds:.0f} s", said_before)
            chunk = os.read(self._process.stdout.fileno(), 1 << 16)
            if not chunk:
                code = self._process.wait()
                raise self._failure(what, f"its process ended with {code}", said_before)
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _failure(self, what: str, why: str, said_before: int) -> EnvironmentFailure:
        said = self.said(said_before).strip().splitlines()
        telling = [line for line in said if not line.startswith(("  File ", "    ", "Traceback"))]
        tail = "\n       ".join(telling[-TAIL_LINES:])
        return EnvironmentFailure(
            what,
            f"{why}\n       {tail}" if tail else why,
            "spot-simulator doctor, or run without it: --runtime process",
        )


def launcher_environment() -> dict[str, str]:
    """What the SDK gets to see of this machine: how to find Docker, and nothing of AWS but placeholders. The SDK's
    own configuration files are left out with AWS's: they could bring a role, a network or variables of their own."""
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    passed |= {name: value for name, value in os.environ.items() if name.startswith("DOCKER_")}
    return passed | {
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAGEMAKER_ADMIN_CONFIG_OVERRIDE": os.devnull,
        "SAGEMAKER_USER_CONFIG_OVERRIDE": os.devnull,
    }
