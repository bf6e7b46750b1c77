"""The errors people see: what happened, why, and what to type next; each class is one exit code."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The documented and stable exit codes of every command."""

    SURVIVED = 0
    DOES_NOT_SURVIVE = 1
    USAGE = 2
    ENVIRONMENT = 3
    INTERRUPTED_BY_USER = 130


class SimulatorError(Exception):
    """An error meant for a person.

    what: what happened, in one line.  why: the cause as far as it is known.  next_step: the next command to type.
    """

    exit_code: ExitCode = ExitCode.ENVIRONMENT

    def __init__(self, what: str, why: str, next_step: str) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.what}\n  why:  {self.why}\n  next: {self.next_step}"


class UsageError(SimulatorError):
    """The command or its configuration is wrong (exit code 2)."""

    exit_code = ExitCode.USAGE


class EnvironmentFailure(SimulatorError):
    """The machine fails: no engine, no image, no S3, no disk (exit code 3)."""

    exit_code = ExitCode.ENVIRONMENT
