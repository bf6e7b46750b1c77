"""Trials in processes of this machine and on a dask cluster: the same trials and results, and nothing stays behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from simulator.core.errors import UsageError
from simulator.core.job import CheckpointConfig, TrainingJob
from simulator.core.metrics import DEFAULT_METRICS
from simulator.core.plan import PROFILES
from simulator.explore import pool
from simulator.explore.laboratory import LabSpec, Start
from simulator.explore.pool import Backend, open_pool
from simulator.explore.search import Budget, Searcher, numbered
from simulator.explore.trial import Outcome, Schedule, TrialResult
from tests.app import scripts

SCHEDULES = [Schedule(("step=15",), "sudden"), Schedule(("step=25", "step=30"), "sudden"), Schedule(("5s",), "sudden")]


def spec(tmp_path: Path, script: str) -> LabSpec:
    source = scripts.write(tmp_path / "source", script)
    job = TrainingJob(
        "job",
        CheckpointConfig("s3://bucket/job/"),
        source_dir=source,
        entry_script="train.py",
        MetricDefinitions=DEFAULT_METRICS,
    )
    return LabSpec(job, {"sudden": PROFILES["sudden"]}, start=Start.COLD)


def results(spec: LabSpec, backend: Backend) -> list[TrialResult]:
    with open_pool(spec, backend, jobs=2) as run:
        return list(Searcher(run, Budget(trials=9)).search(numbered(SCHEDULES)).results)


@pytest.mark.slow
def test_a_dask_cluster_gives_the_results_that_loky_gives(tmp_path: Path) -> None:
    laboratory = spec(tmp_path, scripts.PERIODIC_ONLY)
    here = results(laboratory, Backend.LOKY)
    there = results(laboratory, Backend.DASK)
    assert [result.told for result in here] == [result.told for result in there]
    assert [result.outcome for result in here] == [Outcome.SURVIVED, Outcome.SURVIVED, Outcome.MISSED]


def test_a_backend_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(f"no module named {name}")

    monkeypatch.setattr(pool, "import_module", missing)
    with (
        pytest.raises(UsageError, match="pip install"),
        open_pool(spec(tmp_path, scripts.GOOD), Backend.RAY, jobs=1),
    ):
        pass


def test_there_are_as_many_jobs_as_cores_that_may_be_used() -> None:
    assert 1 <= pool.default_jobs() <= (os.cpu_count() or 1)
