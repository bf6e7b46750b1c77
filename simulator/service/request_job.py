"""A CreateTrainingJob request as the engine's TrainingJob, and the ways in which launch code says what is to run."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from simulator.core.errors import UsageError
from simulator.core.job import (
    CHECKPOINT_LOCAL_PATH,
    HOMOGENEOUS_CLUSTER,
    ML_ROOT,
    SOURCE_CHANNEL,
    CheckpointConfig,
    InstanceGroup,
    MetricDefinition,
    StoppingCondition,
    TrainingJob,
    host_names,
)
from simulator.core.metrics import DEFAULT_METRICS, MetricReader

SUBMIT_DIRECTORY = "sagemaker_submit_directory"  # SDK v2's script mode, by the sagemaker-training toolkit
PROGRAM = "sagemaker_program"
NO_CHECKPOINTS = "s3://spot-simulator/none/"  # stands in the job where the request has no CheckpointConfig; never read


@dataclass(frozen=True)
class SubmittedScript:
    """SDK v2's script mode: an archive in S3, the script in it, and the hyperparameters decoded from their JSON."""

    archive: str
    program: str
    hyperparameters: Mapping[str, Any]

    def arguments(self) -> tuple[str, ...]:
        """The script's arguments, as the toolkit makes them: `--name value`, -n for names of one letter."""
        return tuple(
            word
            for name, value in sorted(self.hyperparameters.items())
            for word in (f"--{name}" if len(name) > 1 else f"-{name}", _as_argument(value))
        )

    def environment(self) -> dict[str, str]:
        """The toolkit's SM_HPS and SM_HP_…, with the values decoded."""
        each = {f"SM_HP_{name.upper().replace('-', '_')}": _as_argument(v) for name, v in self.hyperparameters.items()}
        return {"SM_HPS": json.dumps(dict(self.hyperparameters)), "SM_USER_ARGS": json.dumps(self.arguments()), **each}


def job_of_request(request: Mapping[str, Any], region: str) -> TrainingJob:
    """The job, without its channels and source: those come when it is Downloading."""
    algorithm = request.get("AlgorithmSpecification", {})
    checkpoints = request.get("CheckpointConfig")
    condition = request.get("StoppingCondition", {})
    groups = instance_groups(request)
    return TrainingJob(
        TrainingJobName=request["TrainingJobName"],
        CheckpointConfig=CheckpointConfig(
            checkpoints["S3Uri"] if checkpoints else NO_CHECKPOINTS,
            (checkpoints or {}).get("LocalPath", CHECKPOINT_LOCAL_PATH).rstrip("/"),
        ),
        image=algorithm.get("TrainingImage"),
        HyperParameters=dict(request.get("HyperParameters", {})),
        Environment=dict(request.get("Environment", {})),
        StoppingCondition=StoppingCondition(
            condition.get("MaxRuntimeInSeconds", 86_400), condition.get("MaxWaitTimeInSeconds")
        ),
        MetricDefinitions=_metrics(algorithm),
        hosts=tuple(host for group in groups for host in group.hosts),
        instance_groups=groups,
        entrypoint=tuple(algorithm.get("ContainerEntrypoint", ())),
        arguments=tuple(algorithm.get("ContainerArguments", ())),
        channel_configs={channel["ChannelName"]: _channel_config(channel) for channel in _channels(request)},
        region=region,
        spot=bool(request.get("EnableManagedSpotTraining")),
        has_checkpoints=checkpoints is not None,
    )


def instance_groups(request: Mapping[str, Any]) -> tuple[InstanceGroup, ...]:
    """The instances that a request asks for, algo-1 … algo-N counted over its groups in their order."""
    resources = request.get("ResourceConfig", {})
    asked = resources.get("InstanceGroups") or [
        {"InstanceGroupName": HOMOGENEOUS_CLUSTER, "InstanceType": "", **resources}
    ]
    counts = [group.get("InstanceCount", 1) for group in asked]
    names = iter(host_names(sum(counts)))
    return tuple(
        InstanceGroup(group["InstanceGroupName"], group["InstanceType"], tuple(itertools.islice(names, count)))
        for group, count in zip(asked, counts, strict=True)
    )


def hosts_of_channel(channel: Mapping[str, Any], job: TrainingJob) -> tuple[str, ...]:
    """The hosts that get a channel: those of the groups that it names, all where it names none."""
    named = named_groups(channel)
    if not named:
        return tuple(job.hosts)
    return tuple(host for group in job.instance_groups if group.InstanceGroupName in named for host in group.hosts)


def named_groups(channel: Mapping[str, Any]) -> list[str]:
    """InstanceGroupNames of a channel."""
    return list(channel["DataSource"].get("S3DataSource", {}).get("InstanceGroupNames", []))


def submitted_script(request: Mapping[str, Any]) -> SubmittedScript | None:
    """The script of SDK v2's script mode, None where the request has none."""
    given = request.get("HyperParameters", {})
    if SUBMIT_DIRECTORY not in given or PROGRAM not in given:
        return None
    decoded = {name: _decoded(value) for name, value in given.items()}
    own = {name: value for name, value in decoded.items() if not name.startswith("sagemaker_")}
    return SubmittedScript(str(decoded[SUBMIT_DIRECTORY]), str(decoded[PROGRAM]), own)


def with_script(job: TrainingJob, script: SubmittedScript, source_dir: Path) -> TrainingJob:
    """The job that runs the script itself, as where no toolkit of an image does it."""
    return replace(
        job,
        source_dir=source_dir,
        entry_script=script.program,
        arguments=script.arguments(),
        Environment={**script.environment(), **job.Environment},
    )


def with_code_folder(job: TrainingJob, source_dir: Path) -> TrainingJob:
    """The job whose image holds the toolkit, which copies the source, fetched for it, to /opt/ml/code. It comes by a
    channel that nothing names: on AWS the toolkit fetches it itself, and the script sees no channel of it."""
    return replace(
        job,
        channels={**job.channels, SOURCE_CHANNEL: source_dir},
        HyperParameters={**job.HyperParameters, SUBMIT_DIRECTORY: json.dumps(f"{ML_ROOT}/input/data/{SOURCE_CHANNEL}")},
    )


def keeps_warm(request: Mapping[str, Any]) -> bool:
    """Whether a request asks for a warm pool."""
    return bool(request.get("ResourceConfig", {}).get("KeepAlivePeriodInSeconds"))


def input_mode(channel: Mapping[str, Any], request: Mapping[str, Any]) -> str:
    """TrainingInputMode of a channel: its own, or the job's."""
    return str(channel.get("InputMode") or request.get("AlgorithmSpecification", {}).get("TrainingInputMode", "File"))


def _channels(request: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(request.get("InputDataConfig", []))


def _channel_config(channel: Mapping[str, Any]) -> dict[str, str]:
    """A channel's part of inputdataconfig.json; FastFile is served as File."""
    source = channel["DataSource"].get("S3DataSource", {})
    return {
        "TrainingInputMode": "File",
        "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
        "RecordWrapperType": channel.get("RecordWrapperType", "None"),
        **({"ContentType": channel["ContentType"]} if "ContentType" in channel else {}),
    }


def _metrics(algorithm: Mapping[str, Any]) -> tuple[MetricDefinition, ...]:
    """The request's metrics as far as Python can read them, and the defaults, for the plan's triggers."""
    own = []
    for each in algorithm.get("MetricDefinitions", []):
        metric = MetricDefinition(each["Name"], each["Regex"])
        try:
            MetricReader([metric])
        except UsageError:
            continue
        own.append(metric)
    names = {metric.Name for metric in own}
    return (*own, *(metric for metric in DEFAULT_METRICS if metric.Name not in names))


def unreadable_metrics(request: Mapping[str, Any]) -> list[str]:
    """The names of metrics whose expressions are none of Python's with one group; nothing is read for them."""
    read = {metric.Name for metric in _metrics(request.get("AlgorithmSpecification", {}))}
    given = request.get("AlgorithmSpecification", {}).get("MetricDefinitions", [])
    return [each["Name"] for each in given if each["Name"] not in read]


def _decoded(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _as_argument(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value) if isinstance(value, (dict, list)) else str(value)


def safe_name(text: str) -> str:
    """A text as part of a file's name."""
    return re.sub(r"[^a-zA-Z0-9.-]", "-", text)
