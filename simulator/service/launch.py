"""`spot-simulator exec -- CMD`: what the command needs is started for it and ended with it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence

from simulator.app.runtimes import choose_runtime
from simulator.engine.interrupts import orderly_interrupts
from simulator.runtimes.ownership import make_scratch
from simulator.service.environment import changed, set_aside
from simulator.service.exec import run_command
from simulator.service.hosts import describe
from simulator.service.jobs import JobEntry
from simulator.service.place import Doors, Place
from simulator.service.settings import ServeSettings


def exec_in_place(command: Sequence[str], settings: ServeSettings, doors: Doors) -> int:
    """The command's exit code. What is told goes to standard error, as standard output is the command's.

    Raises UsageError and EnvironmentFailure where the command could not be started.
    """
    before = set_aside(os.environ)
    folder = make_scratch("exec")
    try:
        with orderly_interrupts():
            place = Place(settings, doors, choose_runtime(settings.runtime, tell), folder, tell)
            with place:
                code = run_command(command, changed(before, place.variables(before)))
                _tell_unfinished([entry for entry in place.server.register if not entry.is_over])
            _tell_jobs(list(place.server.register))
            for line in place.pretence.lines():
                tell(line)
            _tell_hosts(place)
            return code
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def tell(line: str) -> None:
    """One line to the person."""
    sys.stderr.write(f"spot-simulator: {line}\n")
    sys.stderr.flush()


def _tell_unfinished(entries: Sequence[JobEntry]) -> None:
    for entry in entries:
        tell(
            f"{entry.name} is still {entry.secondary.value}, and ends with the command; have it wait: "
            "fit(wait=True), train(wait=True), aws sagemaker wait training-job-completed-or-stopped"
        )


def _tell_jobs(entries: Sequence[JobEntry]) -> None:
    for entry in entries:
        judged = f"{entry.verdict_told}; " if entry.verdict_told else ""
        report = f"spot-simulator report {entry.folder}" if entry.folder else "it has no report"
        tell(f"{entry.name}: {entry.status.value}; {judged}{report}")


def _tell_hosts(place: Place) -> None:
    rows = place.ledger.rows()
    tell("hosts that the command tried to reach through the proxy:" if rows else "no host but this machine")
    for line in describe(rows):
        tell(line)
