"""A search is gone on with only where it is the same search."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from simulator.core.errors import UsageError
from simulator.core.job import CheckpointConfig, TrainingJob
from simulator.core.plan import PROFILES
from simulator.explore.identity import identity
from simulator.explore.laboratory import LabSpec, Start
from simulator.explore.session import Session, resumed
from simulator.explore.trial import Search


@pytest.fixture
def spec(tmp_path: Path) -> LabSpec:
    source = tmp_path / "source"
    source.mkdir()
    (source / "train.py").write_text("print('step 1')\n")
    job = TrainingJob("job-1", CheckpointConfig("s3://bucket/job-1/"), source_dir=source, entry_script="train.py")
    return LabSpec(job, {"sudden": PROFILES["sudden"]})


def test_a_search_goes_on_as_it_began(spec: LabSpec, tmp_path: Path) -> None:
    told = identity(Search.SCHEDULES, spec)
    Session(told, Start.ZYGOTE).write(tmp_path)
    assert resumed(tmp_path, told) == Session(told, Start.ZYGOTE)


def test_the_same_job_started_later_is_the_same_search(spec: LabSpec) -> None:
    later = replace(spec.job, TrainingJobName="job-2", CheckpointConfig=CheckpointConfig("s3://bucket/job-2/"))
    assert identity(Search.SCHEDULES, replace(spec, job=later)) == identity(Search.SCHEDULES, spec)


def test_another_script_seed_or_profile_is_another_search(spec: LabSpec, tmp_path: Path) -> None:
    Session(identity(Search.SCHEDULES, spec), Start.COLD).write(tmp_path)
    for differing, name in (
        (replace(spec, seed=1), "seed"),
        (replace(spec, profiles={"ec2": PROFILES["ec2"]}), "profiles"),
        (replace(spec, job=replace(spec.job, HyperParameters={"epochs": "3"})), "job"),
    ):
        with pytest.raises(UsageError, match=name):
            resumed(tmp_path, identity(Search.SCHEDULES, differing))
    assert spec.job.source_dir is not None
    (spec.job.source_dir / "train.py").write_text("print('step 2')\n")
    with pytest.raises(UsageError, match="sources"):
        resumed(tmp_path, identity(Search.SCHEDULES, spec))


def test_a_folder_without_a_search_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no search"):
        resumed(tmp_path, {})
