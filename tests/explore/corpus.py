"""Searches the corpus' trainers without telling where they fail: how soon a failure is found, and how small it gets."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from simulator.app.settings import load_settings
from simulator.app.simulate import plan_and_job, sync_options
from simulator.core.plan import PROFILES, profile_named
from simulator.engine.equipment import EngineOptions
from simulator.explore.laboratory import Laboratory, LabSpec, Start, StoreKind
from simulator.explore.points import Points, points_of
from simulator.explore.pool import Backend, open_pool
from simulator.explore.schedules import extent, schedules
from simulator.explore.search import Budget, Searcher, Tries, numbered
from simulator.explore.shrink import shrink
from simulator.explore.trial import COUNTED, Schedule
from simulator.reports.folder import TIMELINE, RunFolder
from tests.explore.table import Searched
from tests.trainers.corpus import HANGS_AFTER_SECONDS, why_not_here

BUDGET_SECONDS = 60.0
JOBS = 2
SIDE_BY_SIDE = 2  # trainers sleep most of the time


@dataclass(frozen=True)
class Found:
    """What a search came to. `seconds` and `trials` until the first failure, or in all where there was none; `smallest`
    is the failing schedule after shrinking, with the kind of its last point, `tries` what that took."""

    script: str
    points: int = 0
    schedules: int = 0
    trials: int = 0
    counted: int = 0
    seconds: float = 0.0
    first: str = ""
    rules: tuple[str, ...] = ()
    evidence: str = ""
    smallest: str = ""
    interruptions: int = 0
    kind: str = ""
    tries: int = 0
    not_run: str = ""

    def wrong(self, searched: Searched) -> str:
        """How that differs from what the table expects; empty where it does not."""
        if self.not_run:
            return ""
        if not searched.expected:
            return f"false alarm: {self.first} {' '.join(self.rules)}" if self.first else ""
        if not self.first:
            return f"not found in {self.trials} trials"
        if not searched.expected & set(self.rules):
            return f"found {' '.join(self.rules)} and not {' '.join(sorted(searched.expected))}"
        if self.interruptions > searched.interruptions:
            return f"{self.interruptions} interruptions are left of {searched.interruptions}"
        if searched.kinds and self.kind not in searched.kinds:
            return f"shrunk to {self.kind} and not to {', '.join(sorted(searched.kinds))}"
        return ""


def search(searched: Searched, folder: Path, budget_seconds: float = BUDGET_SECONDS) -> Found:
    """Search one trainer until it fails, and shrink what was found. Raises SimulatorError where the machine failed."""
    script = searched.trainer.script
    if reason := why_not_here(searched.trainer):
        return Found(script, not_run=reason)
    spec, points = _recorded(searched, folder)
    profiles = tuple(spec.profiles)
    with open_pool(spec, Backend.LOKY, JOBS) as run:
        done = Searcher(run, Budget(seconds=budget_seconds), until_failure=True).search(
            numbered(schedules(points, profiles, seed=0))
        )
        found = Found(
            script,
            len(points.all),
            extent(points, profiles).total,
            len(done.results),
            sum(result.outcome in COUNTED for result in done.results),
            round(done.seconds, 1),
        )
        if not done.failures:
            return found
        first = done.failures[0]
        tries = Tries(run, len(done.results) + 1, first.rules)
        smallest = shrink(first.trial.schedule, points, profiles, tries)
    last = points.named(smallest.interruptions[-1])
    return replace(
        found,
        first=str(first.trial.schedule),
        rules=first.rules,
        evidence=first.evidence,
        smallest=str(smallest),
        interruptions=len(smallest.interruptions),
        kind=last.kind.value if last is not None else "",
        tries=tries.count,
    )


def search_all(
    table: Iterable[Searched], folder: Path, budget_seconds: float = BUDGET_SECONDS
) -> Iterator[tuple[Searched, Found]]:
    """Every trainer's result as it comes, several side by side in processes of their own."""
    with ProcessPoolExecutor(SIDE_BY_SIDE, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = {
            pool.submit(search, row, folder / row.trainer.path.stem, budget_seconds): row
            for row in sorted(table, key=lambda row: -row.trainer.weight)
        }
        for future in as_completed(waiting):
            yield waiting[future], future.result()


def _recorded(searched: Searched, folder: Path) -> tuple[LabSpec, Points]:
    """The trainer run uninterrupted, twice and side by side, and its points."""
    path = searched.trainer.path
    settings = load_settings(
        None,
        {
            "view": "quiet",
            "runtime": "process",
            "source_dir": path.parent,
            "entry_script": path.name,
            "max_runtime": HANGS_AFTER_SECONDS,
            **searched.settings,
        },
    )
    _, job = plan_and_job(settings)
    spec = LabSpec(
        job=job,
        profiles={
            name: profile_named(
                name,
                settings.warning if PROFILES[name].warning_seconds is not None else None,
                settings.grace if PROFILES[name].sigterm else None,
            )
            for name in searched.profiles
        },
        start=Start.COLD,  # what these scripts import takes no time
        store=StoreKind.FOLDER,
        options=EngineOptions(sync_options(settings), settings.flush_after_exit, read_states=True),
    )
    with ThreadPoolExecutor(2) as pool:
        first, _ = pool.map(partial(_uninterrupted, spec), (folder / "baseline-1", folder / "baseline-2"))
    spec = replace(spec, baselines=(folder / "baseline-1" / TIMELINE, folder / "baseline-2" / TIMELINE))
    return spec, first


def _uninterrupted(spec: LabSpec, folder: Path) -> Points:
    kept = RunFolder.create(folder, lambda line: None)
    log: list[str] = []
    plan = spec.plan(Schedule((), next(iter(spec.profiles))))
    try:
        with closing(Laboratory(spec)) as laboratory:
            recording = laboratory.record(
                plan,
                folder / "recording",
                [kept.on_event],
                [lambda attempt, line, host: log.append(line.decode("utf-8", "replace"))],
            )
    finally:
        kept.close()
    return points_of(recording.timeline, log)


def as_fields(found: Found) -> dict[str, Any]:
    """A line of a results file."""
    return asdict(found)


def from_fields(fields: dict[str, Any]) -> Found:
    """A line of a results file, read back."""
    return Found(**{**fields, "rules": tuple(fields["rules"])})
