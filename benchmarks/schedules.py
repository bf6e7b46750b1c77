"""How many schedules a minute a search tries: forked from a zygote, started cold, and in containers started cold."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

from simulator.app.bundled import bundled_job
from simulator.core.job import CheckpointConfig, TrainingJob
from simulator.core.metrics import DEFAULT_METRICS
from simulator.core.plan import PROFILES
from simulator.explore.laboratory import Laboratory, LabSpec, Start, StoreKind
from simulator.explore.trial import Outcome, Schedule, Trial
from simulator.images import ensure_training_image
from simulator.runtimes.port import RuntimeName

ROUNDS = 5
STEPS = {"epochs": "6", "save_every_steps": "20"}  # 60 steps of iris
TRIAL = Trial(1, Schedule(("uploaded=1",), "sudden"), "uploaded=1")  # about step 30, and never before it counts


@dataclass(frozen=True)
class Way:
    """A way to start attempts; `each` is how many trials a round makes of it."""

    name: str
    runtime: RuntimeName
    start: Start
    each: int


ZYGOTE = Way("forked from a zygote", RuntimeName.PROCESS, Start.ZYGOTE, 4)
WAYS = (
    ZYGOTE,
    Way("processes, started cold", RuntimeName.PROCESS, Start.COLD, 1),
    Way("Docker local mode, started cold", RuntimeName.LOCAL_MODE, Start.COLD, 1),
)


def measure(rounds: int = ROUNDS, ways: Sequence[Way] = WAYS) -> dict[str, Any]:
    """Seconds a schedule, by way, in turn; the store and the judge are the same for all. Raises AssertionError where a
    trial is not survived: then it was not the trial that is meant."""
    seconds: dict[str, list[float]] = {way.name: [] for way in ways}
    ready: dict[str, float] = {}
    with ExitStack() as stack:
        laboratories = {}
        for way in ways:
            laboratories[way.name] = laboratory = stack.enter_context(closing(Laboratory(_spec(way))))
            began = time.monotonic()
            _ = laboratory.runtime  # a zygote imports here, once a search
            ready[way.name] = time.monotonic() - began
            laboratory.run(TRIAL)  # the machine's caches are warm for all
        for _ in range(rounds):
            for way in ways:
                took = [_tried(laboratories[way.name]) for _ in range(way.each)]
                seconds[way.name].append(statistics.mean(took))
    return {"rounds": rounds, "seconds": seconds, "ready": ready}


def rows(figures: Mapping[str, Any]) -> list[str]:
    """The figures as rows of a Markdown table."""
    seconds, ready = figures["seconds"], figures["ready"]
    lines = [
        "| attempts | schedules a minute | seconds a schedule | ready, once, seconds | zygote ÷ this |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, took in seconds.items():
        ratios = [other / own for other, own in zip(took, seconds[ZYGOTE.name], strict=True)]
        ratio = f"{statistics.median(ratios):.1f} ({min(ratios):.1f}–{max(ratios):.1f})"
        median = statistics.median(took)
        told = "" if name == ZYGOTE.name else ratio
        lines.append(f"| {name} | {60 / median:.1f} | {median:.2f} | {ready[name]:.1f} | {told} |")
    return lines


def _tried(laboratory: Laboratory) -> float:
    began = time.monotonic()
    result = laboratory.run(TRIAL).result
    took = time.monotonic() - began
    assert result.outcome is Outcome.SURVIVED, result
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
