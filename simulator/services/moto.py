"""Moto, the S3 of a run: a process of the harness's own on loopback, empty at its start and gone with the harness."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from simulator.core.errors import EnvironmentFailure

START_SECONDS = 60.0  # importing moto takes one second, and many on a busy machine
STOP_SECONDS = 5.0
_SCRIPT = Path(__file__).with_name("moto_server.py")


class EmbeddedMoto:
    """A moto server process. `port` 0 takes a free one. A context manager, or `start()` and `close()`."""

    def __init__(self, port: int = 0) -> None:
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self.endpoint_url = ""

    def start(self) -> Self:
        """Start and wait until it serves. Raises EnvironmentFailure, naming a port that is taken."""
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_SCRIPT), str(self._port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MOTO_"))},
            start_new_session=True,
        )
        try:
            word, _, rest = self._first_line(self._process).partition(" ")
            if word != "ready":
                raise self._failure(word, rest)
        except BaseException:
            self.close()
            raise
        self.endpoint_url = f"http://127.0.0.1:{int(rest)}"
        return self

    def is_alive(self) -> bool:
        """Whether it still serves."""
        return self._process is not None and self._process.poll() is None

    def restart(self) -> None:
        """End it as a crash does and start it again on its port: what it held is lost. Raises EnvironmentFailure."""
        port = int(self.endpoint_url.rpartition(":")[2])
        self.close()
        self._port = port
        self.start()

    def close(self) -> None:
        """End it, and all that it held. Safe to call again."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @staticmethod
    def _first_line(process: subprocess.Popen[bytes]) -> str:
        said: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        output = process.stdout
        assert output is not None
        threading.Thread(target=lambda: said.put(output.readline()), daemon=True).start()
        try:
            return said.get(timeout=START_SECONDS).decode(errors="replace").strip()
        except queue.Empty:
            return "late"

    def _failure(self, word: str, rest: str) -> EnvironmentFailure:
        if word == "error":
            return EnvironmentFailure(
                f"moto cannot listen on port {self._port}",
                rest,
                "choose another port with --moto-port, or leave the option out to take a free one",
            )
        if word == "late":
            return EnvironmentFailure(
                "moto did not start",
                f"it was not ready after {START_SECONDS:g} seconds",
                "try again on a calmer machine",
            )
        assert self._process is not None
        self._process.kill()
        _, errors = self._process.communicate()
        last = errors.decode(errors="replace").strip().rpartition("\n")[2]
        return EnvironmentFailure(
            "moto did not start", last or "it ended at once", "reinstall the simulator: pip install 'moto[s3,server]'"
        )
