"""How many schedules a minute a search tries: forked from a zygote, started cold, and in containers started cold."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulator.app.bundled import bundled_job
from simulator.core.job import CheckpointConfig, TrainingJob
from simulator.core.metrics import DEFAULT_METRICS
from simulator.core.plan import PROFILES
from simulator.explore.laboratory import LabSpec, Start, StoreKind
from simulator.explore.pool import Backend, Run, default_jobs, open_pool
from simulator.explore.trial import Outcome, Schedule, Trial
from simulator.images import ensure_training_image
from simulator.runtimes.port import RuntimeName

ROUNDS = 3
STEPS = {"epochs": "6", "save_every_steps": "20"}  # 60 steps of iris
SCHEDULE = Schedule(("uploaded=1",), "sudden")  # about step 30, and never before it counts


@dataclass(frozen=True)
class Way:
    """A way to start attempts; `each` is how many trials a round makes of it, for each that runs at a time."""

    name: str
    runtime: RuntimeName
    start: Start
    each: int


ZYGOTE = Way("forked from a zygote", RuntimeName.PROCESS, Start.ZYGOTE, 6)
WAYS = (
    ZYGOTE,
    Way("processes, started cold", RuntimeName.PROCESS, Start.COLD, 2),
    Way("Docker local mode, started cold", RuntimeName.LOCAL_MODE, Start.COLD, 1),
)


BY_HAND = "`spot-simulator run` in Docker, one after another"
"""What one would use without a search: a command a schedule, each attempt cold in a container, with moto beside it."""


def measure(rounds: int = ROUNDS, ways: Sequence[Way] = WAYS) -> dict[str, Any]:
    """Schedules a minute of a search by each way, in turn, as many at a time as there are cores; the store and the
    judge are the same for all. Raises AssertionError where a trial is not survived: then it was not the one meant."""
    jobs = default_jobs()
    per_minute: dict[str, list[float]] = {name: [] for name in [*(way.name for way in ways), BY_HAND]}
    for _ in range(rounds):
        for way in ways:
            with open_pool(_spec(way), Backend.LOKY, jobs) as run:
                _tried(run, jobs)  # now workers and zygotes are there, and the machine's caches warm
                per_minute[way.name].append(60 * jobs * way.each / _tried(run, jobs * way.each))
        per_minute[BY_HAND].append(60 / _run_by_hand())
    return {"rounds": rounds, "jobs": jobs, "per_minute": per_minute}


def rows(figures: Mapping[str, Any]) -> list[str]:
    """The figures as rows of a Markdown table."""
    lines = [
        f"| attempts, {figures['jobs']} at a time but for the last | schedules a minute | zygote ÷ this |",
        "| --- | ---: | ---: |",
    ]
    fast = figures["per_minute"][ZYGOTE.name]
    for name, rates in figures["per_minute"].items():
        ratios = [own / other for other, own in zip(rates, fast, strict=True)]
        ratio = f"{statistics.median(ratios):.1f} ({min(ratios):.1f}–{max(ratios):.1f})"
        lines.append(f"| {name} | {statistics.median(rates):.1f} | {'' if name == ZYGOTE.name else ratio} |")
    return lines


def _tried(run: Run, count: int) -> float:
    """The seconds that so many trials took, side by side."""
    began = time.monotonic()
    results = list(run([Trial(number, SCHEDULE, str(SCHEDULE)) for number in range(1, count + 1)]))
    took = time.monotonic() - began
    assert [result.outcome for result in results] == [Outcome.SURVIVED] * count, results
    return took


def _run_by_hand() -> float:
    """The seconds of one command that runs the same schedule, from the shell's prompt to the next."""
    command = [sys.executable, "-m", "simulator", "run", "--runtime", "local-mode", "--view", "plain"]
    command += ["--interrupt", SCHEDULE.interruptions[0], "--profile", SCHEDULE.profile]
    for name, value in STEPS.items():
        command += ["--hyperparameter", f"{name}={value}"]
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        done = subprocess.run([*command, "--out", f"{folder}/run"], capture_output=True, text=True, check=False)
        took = time.monotonic() - began
    assert done.returncode == 0, done.stdout + done.stderr
    return took


def _spec(way: Way) -> LabSpec:
    bundled = bundled_job(0)
    container = way.runtime is RuntimeName.LOCAL_MODE
    job = TrainingJob(
        "benchmark",
        CheckpointConfig("s3://bucket/checkpoints"),
        image=ensure_training_image(progress=print) if container else None,
        source_dir=None if container else bundled.source_dir,
        entry_script=None if container else bundled.entry_script,
        HyperParameters={**bundled.hyperparameters, **STEPS},
        MetricDefinitions=DEFAULT_METRICS,
    )
    return LabSpec(job=job, profiles=PROFILES, runtime=way.runtime, start=way.start, store=StoreKind.FOLDER)


if __name__ == "__main__":
    print("\n".join(rows(measure())))
