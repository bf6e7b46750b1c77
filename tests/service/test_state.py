"""A server that starts again: what it knows of the jobs of the one before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from simulator.core.errors import UsageError
from simulator.service.state import StateFolder
from tests.service.serving import (
    at_once,
    client,
    ended,
    name_of,
    request,
    serving,
    statuses,
    until_signalled,
    wait_until,
)


def test_a_job_that_had_ended_is_described_as_before(tmp_path: Path) -> None:
    name = name_of("kept")
    with serving(tmp_path, at_once, state_dir=tmp_path / "state") as first:
        sagemaker = client(first, "sagemaker")
        sagemaker.create_training_job(**request(name, Tags=[{"Key": "a", "Value": "1"}]))
        before = ended(sagemaker, name)
        first.register.named(name).reported.wait(60)
    with serving(tmp_path, at_once, state_dir=tmp_path / "state") as second:
        sagemaker = client(second, "sagemaker")
        after = sagemaker.describe_training_job(TrainingJobName=name)
        assert sagemaker.list_tags(ResourceArn=after["TrainingJobArn"])["Tags"] == [{"Key": "a", "Value": "1"}]
    assert {**before, "ResponseMetadata": None} == {**after, "ResponseMetadata": None}


def test_a_job_that_ran_when_its_server_was_ended_has_failed_and_says_why(tmp_path: Path) -> None:
    name = name_of("ended")
    with serving(tmp_path, until_signalled, state_dir=tmp_path / "state") as first:
        sagemaker = client(first, "sagemaker")
        sagemaker.create_training_job(**request(name))
        wait_until(lambda: "Training" in statuses(sagemaker.describe_training_job(TrainingJobName=name)), "training")
    with serving(tmp_path, at_once, state_dir=tmp_path / "state") as second:
        told = client(second, "sagemaker").describe_training_job(TrainingJobName=name)
    assert (told["TrainingJobStatus"], statuses(told)[-2:]) == ("Failed", ["Training", "Failed"])
    assert told["FailureReason"] == "InternalServerError: spot-simulator serve ended while the job ran"


def test_a_job_whose_server_was_killed_has_failed_and_says_why(tmp_path: Path) -> None:
    name, state = name_of("killed"), tmp_path / "state"
    with serving(tmp_path, until_signalled, state_dir=state) as first:
        sagemaker = client(first, "sagemaker")
        sagemaker.create_training_job(**request(name))
        wait_until(lambda: "Training" in statuses(sagemaker.describe_training_job(TrainingJobName=name)), "training")
        (record,) = (state / "jobs").glob("*.json")
        left, timeline = record.read_bytes(), (tmp_path / "runs" / name / "timeline.jsonl").read_bytes()
    record.write_bytes(left)  # as a kill would have left them
    (tmp_path / "runs" / name / "timeline.jsonl").write_bytes(timeline[:-7])
    for _ in range(2):
        with serving(tmp_path, at_once, state_dir=state) as second:
            told = client(second, "sagemaker").describe_training_job(TrainingJobName=name)
        assert (told["TrainingJobStatus"], statuses(told)[-1]) == ("Failed", "Failed")
        assert "ended without notice while the job ran" in told["FailureReason"]


def test_a_deleted_job_does_not_come_back(tmp_path: Path) -> None:
    name = name_of("deleted")
    with serving(tmp_path, at_once, state_dir=tmp_path / "state") as first:
        sagemaker = client(first, "sagemaker")
        sagemaker.create_training_job(**request(name))
        ended(sagemaker, name)
        sagemaker.delete_training_job(TrainingJobName=name)
    with serving(tmp_path, at_once, state_dir=tmp_path / "state") as second:
        assert client(second, "sagemaker").list_training_jobs()["TrainingJobSummaries"] == []


def test_two_servers_do_not_share_a_state_folder(tmp_path: Path) -> None:
    held = StateFolder(tmp_path)
    with pytest.raises(UsageError) as caught:
        StateFolder(tmp_path)
    assert "another server" in caught.value.what
    held.close()


def test_a_record_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "us-east-1.a.json").write_text(json.dumps({"request": {}}))
    folder = StateFolder(tmp_path)
    with pytest.raises(UsageError) as caught:
        folder.load()
    assert "us-east-1.a.json" in caught.value.what
    folder.close()
