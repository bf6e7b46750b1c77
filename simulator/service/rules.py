"""What CreateTrainingJob refuses beyond the model's constraints, and what this server refuses because it cannot do it.

The rules are those of the API reference; the texts are ours where AWS documents none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from simulator.core.errors import UsageError
from simulator.core.job import MAX_INSTANCES, split_s3_uri
from simulator.service.errors import ResourceLimitExceeded, ValidationException
from simulator.service.request_job import keeps_warm, named_groups

MAX_RUNTIME_SECONDS = 28 * 86_400  # StoppingCondition: "The default value is 1 day. The maximum value is 28 days."
NO_CHECKPOINT_PATHS = ("/opt/ml/input", "/opt/ml/model", "/opt/ml/output")


def check_create(request: Mapping[str, Any]) -> None:
    """Raise ValidationException for a request that the service refuses, ResourceLimitExceeded for one that is not
    imitated here."""
    problem = next(_refusals(request), None)
    if problem is not None:
        raise ValidationException(problem)
    beyond = next(_beyond_us(request), None)
    if beyond is not None:
        raise ResourceLimitExceeded(f"spot-simulator cannot run this job: {beyond}")


def instance_count(request: Mapping[str, Any]) -> int:
    """How many instances a request asks for."""
    resources = request.get("ResourceConfig", {})
    groups = resources.get("InstanceGroups") or []
    return sum(group.get("InstanceCount", 0) for group in groups) if groups else int(resources.get("InstanceCount", 1))


def _refusals(request: Mapping[str, Any]) -> Iterator[str]:
    if "ServerlessJobConfig" not in request:
        for name in ("AlgorithmSpecification", "ResourceConfig", "StoppingCondition"):
            if name not in request:
                yield f"{name} is required."
        yield from _algorithm(request.get("AlgorithmSpecification", {}))
        yield from _resources(request.get("ResourceConfig", {}))
        yield from _warm_pool(request)
    yield from _stopping(request)
    yield from _channels(request.get("InputDataConfig", []))
    yield from _groups_of_channels(request)
    yield from _uris(request)
    keys = [tag["Key"] for tag in request.get("Tags", [])]
    if len(keys) != len(set(keys)):
        yield "Duplicate tag keys are not allowed."


def _algorithm(algorithm: Mapping[str, Any]) -> Iterator[str]:
    if ("TrainingImage" in algorithm) == ("AlgorithmName" in algorithm):
        yield "Exactly one of TrainingImage and AlgorithmName must be specified in AlgorithmSpecification."


def _resources(resources: Mapping[str, Any]) -> Iterator[str]:
    if resources.get("InstanceGroups"):
        if "InstanceType" in resources or "InstanceCount" in resources:
            yield "InstanceType and InstanceCount must not be specified together with InstanceGroups."
        names = [group["InstanceGroupName"] for group in resources["InstanceGroups"]]
        if len(names) != len(set(names)):
            yield "Instance group names must be unique in InstanceGroups."
        for group in resources["InstanceGroups"]:
            if group["InstanceCount"] < 1:
                yield f"InstanceCount must be at least 1 in the instance group {group['InstanceGroupName']}."
    else:
        if "InstanceType" not in resources:
            yield "InstanceType is required in ResourceConfig."
        if resources.get("InstanceCount", 1) < 1:
            yield "InstanceCount must be at least 1 in ResourceConfig."


def _warm_pool(request: Mapping[str, Any]) -> Iterator[str]:
    """Source: "Considerations" of SageMaker managed warm pools, which both sentences are from."""
    resources = request.get("ResourceConfig", {})
    if not keeps_warm(request):
        return
    if request.get("EnableManagedSpotTraining"):
        yield (
            "Invalid KeepAlivePeriodInSeconds. SageMaker AI managed warm pools cannot be used with spot instances: "
            "leave out KeepAlivePeriodInSeconds or EnableManagedSpotTraining"
        )
    if resources.get("InstanceGroups"):
        yield (
            "Invalid KeepAlivePeriodInSeconds. SageMaker AI managed warm pools cannot be used with heterogeneous "
            "cluster training: leave out KeepAlivePeriodInSeconds or InstanceGroups"
        )


def _stopping(request: Mapping[str, Any]) -> Iterator[str]:
    condition = request.get("StoppingCondition", {})
    runtime, wait = condition.get("MaxRuntimeInSeconds", 86_400), condition.get("MaxWaitTimeInSeconds")
    if runtime > MAX_RUNTIME_SECONDS:
        yield f"Invalid MaxRuntimeInSeconds. It must be at most {MAX_RUNTIME_SECONDS}, which is 28 days."
    if request.get("EnableManagedSpotTraining"):
        if wait is None or wait < runtime:
            yield "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds"
    elif wait is not None:
        yield "Invalid MaxWaitTimeInSeconds. It is only supported when EnableManagedSpotTraining is true"


def _channels(channels: list[Mapping[str, Any]]) -> Iterator[str]:
    names = [channel["ChannelName"] for channel in channels]
    if len(names) != len(set(names)):
        yield "Channel names must be unique in InputDataConfig."


def _groups_of_channels(request: Mapping[str, Any]) -> Iterator[str]:
    """The second text is the service's own, from a user's report (aws/sagemaker-python-sdk, issue 6089)."""
    groups = request.get("ResourceConfig", {}).get("InstanceGroups") or []
    known = [group["InstanceGroupName"] for group in groups]
    named = {channel["ChannelName"]: named_groups(channel) for channel in request.get("InputDataConfig", [])}
    for channel, names in named.items():
        unknown = [name for name in names if name not in known]
        if unknown:
            yield (
                f"Invalid InstanceGroupNames in the channel {channel}: {', '.join(unknown)}. InstanceGroups of "
                f"ResourceConfig has {', '.join(known) or 'no group'}"
            )
    with_groups, without = (
        [n for n, groups in named.items() if groups],
        [n for n, groups in named.items() if not groups],
    )
    if with_groups and without:
        yield (
            f"Some channels have assigned instance groups: [{', '.join(with_groups)}] while others not: "
            f"[{', '.join(without)}]"
        )


def _uris(request: Mapping[str, Any]) -> Iterator[str]:
    uris = [("OutputDataConfig.S3OutputPath", request["OutputDataConfig"]["S3OutputPath"])]
    checkpoints = request.get("CheckpointConfig")
    if checkpoints:
        uris.append(("CheckpointConfig.S3Uri", checkpoints["S3Uri"]))
    for channel in request.get("InputDataConfig", []):
        source = channel["DataSource"].get("S3DataSource")
        if source:
            uris.append((f"the S3Uri of the channel {channel['ChannelName']}", source["S3Uri"]))
    for name, uri in uris:
        try:
            split_s3_uri(uri)
        except UsageError:
            yield f"Invalid S3 URI in {name}: {uri}"
    local = (checkpoints or {}).get("LocalPath", "/opt/ml/checkpoints")
    if not local.startswith("/") or "/../" in f"{local}/":
        yield f"Invalid LocalPath in CheckpointConfig: {local}. It must be an absolute path."
    if any(f"{local}/".startswith(f"{path}/") for path in NO_CHECKPOINT_PATHS) or local.rstrip("/") in ("", "/opt/ml"):
        yield f"Invalid LocalPath in CheckpointConfig: {local}. It is a path that the service uses itself."


def _beyond_us(request: Mapping[str, Any]) -> Iterator[str]:
    if "ServerlessJobConfig" in request:
        yield "ServerlessJobConfig has no container to run."
    algorithm = request.get("AlgorithmSpecification", {})
    if "AlgorithmName" in algorithm:
        yield "AlgorithmName names an algorithm of AWS's; give a TrainingImage."
    count = instance_count(request)
    if count > MAX_INSTANCES:
        yield (
            f"The limit 'instances of a training job' is {MAX_INSTANCES} Instances, and the request is for {count} "
            "Instances. All of them are containers or processes of this one machine, each with its own copy of the "
            f"data; set InstanceCount to {MAX_INSTANCES} or less."
        )
    for channel in request.get("InputDataConfig", []):
        if "S3DataSource" not in channel["DataSource"]:
            yield f"the channel {channel['ChannelName']} has no S3DataSource; other file systems are not imitated."
        elif channel["DataSource"]["S3DataSource"]["S3DataType"] not in ("S3Prefix", "ManifestFile"):
            yield f"the channel {channel['ChannelName']} is no S3Prefix and no ManifestFile."
        if channel.get("InputMode", algorithm.get("TrainingInputMode")) == "Pipe":
            yield f"the channel {channel['ChannelName']} is in Pipe mode; use File or FastFile."
