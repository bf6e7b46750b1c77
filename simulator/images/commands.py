"""Runs the tools that build images, and turns their failures into errors for people."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from simulator.core.errors import EnvironmentFailure

Progress = Callable[[str], None]
TAIL_LINES = 15
END_SECONDS = 10.0


def run(command: Sequence[str], what: str, next_step: str, timeout_seconds: float | None = None) -> str:
    """A command's output. Raises EnvironmentFailure, with the end of what it printed, when it fails or is not there."""
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except FileNotFoundError as error:
        raise EnvironmentFailure(what, f"{command[0]} is not installed", next_step) from error
    with process:
        try:
            said, _ = process.communicate(timeout=timeout_seconds)
        except subprocess.TimeoutExpired as error:
            _end(process)
            raise EnvironmentFailure(what, f"no end after {timeout_seconds:g} s", next_step) from error
        except BaseException:
            _end(process)
            raise
    output = said.decode("utf-8", "replace")
    if process.returncode != 0:
        tail = "\n        ".join(output.strip().splitlines()[-TAIL_LINES:])
        raise EnvironmentFailure(what, f"{command[0]} ended with {process.returncode}:\n        {tail}", next_step)
    return output


def _end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM first: asked to end, debootstrap unmounts and docker cancels the build; killed, they do not."""
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def succeeds(command: Sequence[str], timeout_seconds: float) -> str | None:
    """A command's output where it succeeds in time, otherwise None: for asking, not for doing."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_seconds, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace").strip()


def tree_files(folder: Path) -> list[Path]:
    """Every file below a folder, in one order, without what Python compiles."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
