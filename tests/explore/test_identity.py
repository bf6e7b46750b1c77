"""The same search: of the same job, script, seed and profiles, whenever it was started."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from simulator.core.job import CheckpointConfig, TrainingJob
from simulator.core.plan import PROFILES
from simulator.explore.identity import identity
from simulator.explore.laboratory import LabSpec
from simulator.explore.trial import Search


@pytest.fixture
def spec(tmp_path: Path) -> LabSpec:
    source = tmp_path / "source"
    source.mkdir()
    (source / "train.py").write_text("print('step 1')\n")
    job = TrainingJob("job-1", CheckpointConfig("s3://bucket/job-1/"), source_dir=source, entry_script="train.py")
    return LabSpec(job, {"sudden": PROFILES["sudden"]})


def differing(spec: LabSpec, other: LabSpec) -> list[str]:
    one, two = identity(Search.SCHEDULES, spec), identity(Search.SCHEDULES, other)
    return [name for name in one if one[name] != two[name]]


def test_the_same_job_started_later_is_the_same_search(spec: LabSpec) -> None:
    later = replace(spec.job, TrainingJobName="job-2", CheckpointConfig=CheckpointConfig("s3://bucket/job-2/"))
    assert differing(spec, replace(spec, job=later)) == []


def test_another_seed_profile_or_hyperparameter_is_another_search(spec: LabSpec) -> None:
    assert differing(spec, replace(spec, seed=1)) == ["seed"]
    assert differing(spec, replace(spec, profiles={"ec2": PROFILES["ec2"]})) == ["profiles"]
    assert differing(spec, replace(spec, job=replace(spec.job, HyperParameters={"epochs": "3"}))) == ["job"]


def test_another_script_is_another_search(spec: LabSpec) -> None:
    before = identity(Search.SCHEDULES, spec)
    assert spec.job.source_dir is not None
    (spec.job.source_dir / "__pycache__").mkdir()
    (spec.job.source_dir / "__pycache__" / "train.pyc").write_bytes(b"compiled")
    assert identity(Search.SCHEDULES, spec) == before
    (spec.job.source_dir / "train.py").write_text("print('step 2')\n")
    assert identity(Search.SCHEDULES, spec)["sources"] != before["sources"]


def test_states_are_another_search_than_schedules(spec: LabSpec) -> None:
    assert identity(Search.STATES, spec)["search"] != identity(Search.SCHEDULES, spec)["search"]
