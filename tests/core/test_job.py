"""What CreateTrainingJob describes, and what a container is told of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from simulator.core.errors import UsageError
from simulator.core.job import (
    SOURCE_CHANNEL,
    CheckpointConfig,
    TrainingJob,
    config_files,
    container_environment,
    split_s3_uri,
)


def job(name: str = "my-job-1", uri: str = "s3://bucket/prefix/job-1") -> TrainingJob:
    return TrainingJob(name, CheckpointConfig(uri), HyperParameters={"learning-rate": "0.1"}, Environment={"A": "b"})


def test_a_prefix_is_kept_as_it_was_given() -> None:
    config = job(uri="s3://bucket/prefix/job-1").CheckpointConfig
    assert (config.bucket, config.prefix) == ("bucket", "prefix/job-1")
    assert CheckpointConfig("s3://bucket/prefix/").prefix == "prefix/"


@pytest.mark.parametrize("uri", ["bucket/prefix", "s3://", "s3:///prefix", "https://bucket/x", "s3://Bucket/x"])
def test_what_is_no_s3_uri_is_refused(uri: str) -> None:
    with pytest.raises(UsageError):
        split_s3_uri(uri)


@pytest.mark.parametrize("name", ["", "-a", "a_b", "a" * 64, "a b"])
def test_what_is_no_job_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        job(name)


def test_hyperparameters_are_strings_in_the_container() -> None:
    assert config_files(job(), "algo-1")["hyperparameters.json"] == {"learning-rate": "0.1"}
    assert container_environment(job(), "algo-1")["SM_HP_LEARNING_RATE"] == "0.1"


def test_a_script_is_told_of_its_channels_and_not_of_the_one_that_its_source_came_by() -> None:
    channels = {"train": Path("data"), SOURCE_CHANNEL: Path("source")}
    told = replace(job(), channels=channels)
    listed = config_files(told, "algo-1")["inputdataconfig.json"]
    assert isinstance(listed, dict)
    assert list(listed) == ["train"]
    environment = container_environment(told, "algo-1")
    assert environment["SM_CHANNELS"] == '["train"]'
    assert [name for name in environment if name.startswith("SM_CHANNEL_")] == ["SM_CHANNEL_TRAIN"]


def test_the_requests_environment_and_the_jobs_name_reach_the_container() -> None:
    environment = container_environment(job(), "algo-1")
    assert environment["A"] == "b"
    assert environment["TRAINING_JOB_NAME"] == "my-job-1"
    assert environment["TRAINING_JOB_ARN"].endswith(":training-job/my-job-1")
