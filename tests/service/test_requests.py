"""What CreateTrainingJob takes and refuses, with the service's codes and texts; no server."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.core.job import config_files
from simulator.service.errors import ResourceLimitExceeded, SerializationException, ValidationException
from simulator.service.request_job import hosts_of_channel, job_of_request, submitted_script, unreadable_metrics
from simulator.service.rules import check_create
from simulator.service.shapes import answer_of, checked, sagemaker_model
from tests.service.serving import request

CREATE = sagemaker_model().operation_model("CreateTrainingJob").input_shape


def refused(**changes: Any) -> str:
    asked = {name: value for name, value in request("a-job", **changes).items() if value is not None}
    with pytest.raises(ValidationException) as caught:
        check_create(checked(CREATE, asked))
    return caught.value.message


def not_imitated(**changes: Any) -> str:
    with pytest.raises(ResourceLimitExceeded) as caught:
        check_create(checked(CREATE, request("a-job", **changes)))
    return caught.value.message


def channel(name: str = "train", uri: str = "s3://bucket/data", **changes: Any) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}} | changes


def resources(**changes: Any) -> dict[str, Any]:
    return {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5} | changes


def groups(**counts: int) -> dict[str, Any]:
    each = [{"InstanceGroupName": n, "InstanceType": "ml.c5.xlarge", "InstanceCount": c} for n, c in counts.items()]
    return {"VolumeSizeInGB": 5, "InstanceGroups": each}


def for_groups(name: str, *groups: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/data", "InstanceGroupNames": list(groups)}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def test_a_request_as_launch_code_sends_it_is_taken() -> None:
    check_create(checked(CREATE, request("a-job", InputDataConfig=[channel()])))


def test_a_name_that_breaks_the_pattern_is_refused_in_the_services_words() -> None:
    assert refused(TrainingJobName="a_job") == (
        "1 validation error detected: Value 'a_job' at 'trainingJobName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
    )


def test_every_broken_constraint_is_named() -> None:
    told = refused(RoleArn=None, TrainingJobName="x" * 64)
    assert told.startswith("2 validation errors detected: Value null at 'roleArn'")
    assert "at 'trainingJobName' failed to satisfy constraint: Member must have length less than or equal to 63" in told


def test_an_unknown_value_of_an_enumeration_is_refused() -> None:
    told = refused(AlgorithmSpecification={"TrainingImage": "image", "TrainingInputMode": "Stream"})
    assert "Value 'Stream' at 'algorithmSpecification.trainingInputMode'" in told
    assert "Member must satisfy enum value set: [Pipe, File, FastFile]" in told


def test_a_number_beyond_its_range_is_refused() -> None:
    told = refused(StoppingCondition={"MaxRuntimeInSeconds": 0, "MaxWaitTimeInSeconds": 5})
    assert "at 'stoppingCondition.maxRuntimeInSeconds' failed to satisfy constraint: Member must have value" in told


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ([], "START_ARRAY can not be converted to a structure"),
        ({"TrainingJobName": 5}, "NUMBER_VALUE can not be converted to a String"),
        ({"EnableManagedSpotTraining": "true"}, "STRING_VALUE can not be converted to a Boolean"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": "60"}}, "STRING_VALUE can not be converted to an Integer"),
        ({"Tags": {}}, "START_OBJECT can not be converted to a List"),
        ({"HyperParameters": []}, "START_ARRAY can not be converted to a Map"),
        ({"TrainingJobName": "\ud800"}, "a String holds half of a surrogate pair"),
    ],
)
def test_another_type_than_the_models_is_a_serialization_exception(body: Any, told: str) -> None:
    with pytest.raises(SerializationException) as caught:
        checked(CREATE, body)
    assert caught.value.message == told


def test_members_that_the_model_does_not_know_are_left_out() -> None:
    assert "Unheard" not in checked(CREATE, request("a-job") | {"Unheard": 1})


@pytest.mark.parametrize("wait", [None, 599])
def test_spot_wants_a_wait_that_is_not_below_the_runtime(wait: int | None) -> None:
    condition = {"MaxRuntimeInSeconds": 600} | ({} if wait is None else {"MaxWaitTimeInSeconds": wait})
    assert refused(StoppingCondition=condition) == (
        "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds"
    )


def test_a_wait_without_spot_is_refused() -> None:
    condition = {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 1200}
    assert "only supported when EnableManagedSpotTraining" in refused(spot=False, StoppingCondition=condition)


@pytest.mark.parametrize("missing", ["AlgorithmSpecification", "ResourceConfig", "StoppingCondition"])
def test_what_a_training_job_cannot_do_without_is_required(missing: str) -> None:
    assert f"{missing} is required." == refused(spot=False, **{missing: None})


@pytest.mark.parametrize("uri", ["s3://UPPER/x", "s3://a", "https://bucket.s3.amazonaws.com/x"])
def test_an_s3_uri_that_names_no_bucket_is_refused(uri: str) -> None:
    assert "S3" in refused(OutputDataConfig={"S3OutputPath": uri})


@pytest.mark.parametrize("path", ["/opt/ml/model", "/opt/ml/input/data", "/", "relative", "/opt/ml/../ml/model"])
def test_a_checkpoint_path_that_is_the_services_own_is_refused(path: str) -> None:
    assert "Invalid LocalPath" in refused(CheckpointConfig={"S3Uri": "s3://bucket/c", "LocalPath": path})


def test_two_channels_of_one_name_are_refused() -> None:
    assert refused(InputDataConfig=[channel(), channel()]) == "Channel names must be unique in InputDataConfig."


def test_what_is_not_imitated_is_said() -> None:
    assert "set InstanceCount to 20 or less" in not_imitated(ResourceConfig=resources(InstanceCount=21))
    assert "Pipe mode" in not_imitated(InputDataConfig=[channel(InputMode="Pipe")])
    algorithm = {"AlgorithmName": "an-algorithm", "TrainingInputMode": "File"}
    assert "give a TrainingImage" in not_imitated(AlgorithmSpecification=algorithm)


def test_every_instance_is_a_host_and_is_told_its_type() -> None:
    asked = request("a-job", ResourceConfig=resources(InstanceCount=3))
    check_create(checked(CREATE, asked))
    job = job_of_request(asked, "us-east-1")
    assert job.hosts == ("algo-1", "algo-2", "algo-3")
    config = config_files(job, "algo-2")["resourceconfig.json"]
    assert isinstance(config, dict)
    assert (config["current_host"], config["current_instance_type"]) == ("algo-2", "ml.m5.large")
    assert config["current_group_name"] == "homogeneousCluster"


def test_hosts_are_counted_over_the_groups_in_their_order() -> None:
    job = job_of_request(request("a-job", ResourceConfig=groups(data=2, train=1)), "us-east-1")
    assert [(group.InstanceGroupName, tuple(group.hosts)) for group in job.instance_groups] == [
        ("data", ("algo-1", "algo-2")),
        ("train", ("algo-3",)),
    ]
    assert hosts_of_channel(for_groups("rows", "train"), job) == ("algo-3",)
    assert hosts_of_channel(channel(), job) == job.hosts


def test_groups_and_an_instance_count_exclude_each_other() -> None:
    assert "together with InstanceGroups" in refused(ResourceConfig=resources() | groups(data=1))


def test_a_group_has_instances_and_a_name_of_its_own() -> None:
    assert refused(ResourceConfig=groups(data=0)) == "InstanceCount must be at least 1 in the instance group data."
    twice = groups(data=1)
    twice["InstanceGroups"] *= 2
    assert refused(ResourceConfig=twice) == "Instance group names must be unique in InstanceGroups."


def test_a_channel_for_a_group_that_is_not_there_is_refused() -> None:
    told = refused(ResourceConfig=groups(data=1), InputDataConfig=[for_groups("rows", "train")])
    assert told == "Invalid InstanceGroupNames in the channel rows: train. InstanceGroups of ResourceConfig has data"
    assert "has no group" in refused(InputDataConfig=[for_groups("rows", "train")])


def test_either_all_channels_name_groups_or_none() -> None:
    told = refused(ResourceConfig=groups(data=1), InputDataConfig=[for_groups("rows", "data"), channel("code")])
    assert told == "Some channels have assigned instance groups: [rows] while others not: [code]"


def test_a_warm_pool_is_refused_with_spot_and_with_groups() -> None:
    warm = {"KeepAlivePeriodInSeconds": 600}
    assert "warm pools cannot be used with spot instances" in refused(ResourceConfig=resources(**warm))
    assert "with heterogeneous cluster training" in refused(spot=False, ResourceConfig=groups(data=1) | warm)
    check_create(checked(CREATE, request("a-job", spot=False, ResourceConfig=resources(**warm))))
    check_create(checked(CREATE, request("a-job", ResourceConfig=resources(KeepAlivePeriodInSeconds=0))))


def test_the_job_has_what_the_request_says() -> None:
    asked = request(
        "a-job",
        AlgorithmSpecification={
            "TrainingImage": "image",
            "TrainingInputMode": "FastFile",
            "ContainerEntrypoint": ["/bin/bash"],
            "ContainerArguments": ["-c", "true"],
            "MetricDefinitions": [{"Name": "score", "Regex": "score=([0-9.]+)"}],
        },
        InputDataConfig=[channel(ContentType="text/csv")],
    )
    job = job_of_request(checked(CREATE, asked), "eu-west-1")
    assert (job.entrypoint, job.arguments) == (("/bin/bash",), ("-c", "true"))
    assert job.arn == "arn:aws:sagemaker:eu-west-1:123456789012:training-job/a-job"
    assert job.channel_configs["train"]["ContentType"] == "text/csv"
    assert job.channel_configs["train"]["TrainingInputMode"] == "File"
    assert [metric.Name for metric in job.MetricDefinitions] == ["score", "step", "epoch", "loss"]


def test_a_metric_that_python_cannot_read_is_told_and_the_job_is_taken() -> None:
    metrics = [{"Name": "odd", "Regex": "(a)(b)"}]
    asked = request("a-job", AlgorithmSpecification={"TrainingInputMode": "File", "MetricDefinitions": metrics})
    assert unreadable_metrics(asked) == ["odd"]
    assert "odd" not in [metric.Name for metric in job_of_request(asked, "us-east-1").MetricDefinitions]


def test_script_mode_gives_the_toolkits_arguments_and_environment() -> None:
    asked = request("a-job", "s3://bucket/source.tar.gz")
    asked["HyperParameters"] |= {"epochs": "10", "name": '"iris"', "layers": "[10, 20]", "b": "0.5"}
    script = submitted_script(asked)
    assert script is not None
    assert (script.archive, script.program) == ("s3://bucket/source.tar.gz", "train.py")
    assert script.arguments() == ("-b", "0.5", "--epochs", "10", "--layers", "[10, 20]", "--name", "iris")
    assert script.environment()["SM_HP_EPOCHS"] == "10"


def test_an_answer_holds_the_models_members_and_epoch_seconds() -> None:
    shape = sagemaker_model().operation_model("DescribeTrainingJob").output_shape
    told = {"TrainingJobName": "a-job", "CreationTime": "2026-01-02T03:04:05Z", "FailureReason": None, "Unheard": 1}
    assert answer_of(shape, told) == {"TrainingJobName": "a-job", "CreationTime": 1767323045.0}
