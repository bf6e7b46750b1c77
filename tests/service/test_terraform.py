"""What Terraform's `aws_sagemaker_training_job` asks for, call by call; read in the provider's source, as no Terraform
could be run: hashicorp/terraform-provider-aws, internal/service/sagemaker/training_job.go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.service.serving import at_once, client, ended, name_of, request, serving, until_signalled, wait_until

NOT_FOUND = "Requested resource not found"  # what the provider looks for in an error, whatever its code


def refreshed(sagemaker: Any, name: str) -> str | None:
    """TrainingJobStatus, None for a job that the provider takes to be gone."""
    try:
        return str(sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"])
    except ClientError as error:
        assert NOT_FOUND in str(error)
        return None


def destroy(sagemaker: Any, name: str) -> None:
    """The provider's Delete: stop what is InProgress, wait for it, delete, wait until it is gone."""
    if refreshed(sagemaker, name) == "InProgress":
        sagemaker.stop_training_job(TrainingJobName=name)
        wait_until(lambda: refreshed(sagemaker, name) not in ("InProgress", "Stopping"), "the job to stop")
    sagemaker.delete_training_job(TrainingJobName=name)
    wait_until(lambda: refreshed(sagemaker, name) is None, "the job to be gone")


def test_apply_refresh_tags_and_destroy(tmp_path: Path) -> None:
    with serving(tmp_path, at_once) as server:
        sagemaker, name = client(server, "sagemaker"), name_of("terraform")
        made = sagemaker.create_training_job(**request(name, Tags=[{"Key": "team", "Value": "a"}]))
        told = ended(sagemaker, name)
        assert told["TrainingJobArn"] == made["TrainingJobArn"]
        for computed in (
            "EnableManagedSpotTraining",
            "EnableNetworkIsolation",
            "EnableInterContainerTrafficEncryption",
        ):
            assert isinstance(told[computed], bool)
        assert told["StoppingCondition"]["MaxRuntimeInSeconds"] == 600
        assert sagemaker.list_tags(ResourceArn=made["TrainingJobArn"])["Tags"] == [{"Key": "team", "Value": "a"}]
        sagemaker.add_tags(ResourceArn=made["TrainingJobArn"], Tags=[{"Key": "team", "Value": "b"}])
        sagemaker.delete_tags(ResourceArn=made["TrainingJobArn"], TagKeys=["team"])
        assert sagemaker.list_tags(ResourceArn=made["TrainingJobArn"])["Tags"] == []
        destroy(sagemaker, name)


def test_destroy_while_it_trains(tmp_path: Path) -> None:
    with serving(tmp_path, until_signalled) as server:
        sagemaker, name = client(server, "sagemaker"), name_of("terraform")
        sagemaker.create_training_job(**request(name))
        wait_until(lambda: _trains(sagemaker, name), "the job to train")
        destroy(sagemaker, name)


def _trains(sagemaker: Any, name: str) -> bool:
    return bool(sagemaker.describe_training_job(TrainingJobName=name)["SecondaryStatus"] == "Training")


def test_destroying_what_is_gone_is_no_error(tmp_path: Path) -> None:
    with serving(tmp_path, at_once) as server, pytest.raises(ClientError, match=NOT_FOUND):
        client(server, "sagemaker").delete_training_job(TrainingJobName="gone")
