"""What CreateTrainingJob describes, and what an attempt at it finds under /opt/ml; AWS's names for AWS's things."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from simulator.core.errors import UsageError

ML_ROOT = "/opt/ml"
CHECKPOINT_LOCAL_PATH = "/opt/ml/checkpoints"  # CheckpointConfig.LocalPath's documented default
NOTICE_PATH = "/opt/ml/input/config/spot-instance-action.json"  # ours: see docs/notice.md
NOTICE_VARIABLE = "SPOT_INTERRUPTION_NOTICE_FILE"
SOURCE_CHANNEL = "sagemaker_submit_directory"  # ours: SDK v2's source comes by it, and no script is told of it
ACCOUNT_ID = "123456789012"  # moto's account
REGION = "us-east-1"

_JOB_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")  # CreateTrainingJob's pattern
_S3_URI = re.compile(r"s3://([a-z0-9][a-z0-9.\-]{1,61}[a-z0-9])(?:/(.*))?")


@dataclass(frozen=True)
class MetricDefinition:
    """SageMaker's own MetricDefinition: a name, and a regular expression with one group, matched on log lines."""

    Name: str
    Regex: str


@dataclass(frozen=True)
class CheckpointConfig:
    """CheckpointConfig of CreateTrainingJob."""

    S3Uri: str
    LocalPath: str = CHECKPOINT_LOCAL_PATH

    @property
    def bucket(self) -> str:
        """The bucket of S3Uri."""
        return split_s3_uri(self.S3Uri)[0]

    @property
    def prefix(self) -> str:
        """The key prefix of S3Uri exactly as it was given: a missing trailing slash is not added."""
        return split_s3_uri(self.S3Uri)[1]


@dataclass(frozen=True)
class StoppingCondition:
    """StoppingCondition of CreateTrainingJob; None in MaxWaitTimeInSeconds means as long as it takes."""

    MaxRuntimeInSeconds: float = 86_400
    MaxWaitTimeInSeconds: float | None = None


def host_names(count: int) -> tuple[str, ...]:
    """The names of a job's hosts, as SageMaker gives them: algo-1, algo-2 …"""
    return tuple(f"algo-{number}" for number in range(1, count + 1))


@dataclass(frozen=True)
class InstanceGroup:
    """InstanceGroup of CreateTrainingJob's ResourceConfig, with the names of its hosts in place of their number."""

    InstanceGroupName: str
    InstanceType: str
    hosts: Sequence[str]


MAX_INSTANCES = 20  # of a job here: each is a container, or a tree of processes, with its own copy of the data
HOMOGENEOUS_CLUSTER = "homogeneousCluster"  # the group's name where the request has none [read in a job's public log]


@dataclass(frozen=True)
class TrainingJob:
    """One training job. `image` runs with its own entrypoint or with `entrypoint`, or `source_dir` + `entry_script`
    in it."""

    TrainingJobName: str
    CheckpointConfig: CheckpointConfig
    image: str | None = None
    source_dir: Path | None = None
    entry_script: str | None = None
    HyperParameters: Mapping[str, str] = field(default_factory=dict)
    channels: Mapping[str, Path] = field(default_factory=dict)
    Environment: Mapping[str, str] = field(default_factory=dict)
    StoppingCondition: StoppingCondition = field(default_factory=StoppingCondition)
    MetricDefinitions: Sequence[MetricDefinition] = ()
    hosts: Sequence[str] = ("algo-1",)  # an instance each; the first one's word is taken for the job's
    instance_groups: Sequence[InstanceGroup] = ()  # of all hosts, where the request said of which type they are
    entrypoint: Sequence[str] = ()  # ContainerEntrypoint, where it replaces the image's own
    arguments: Sequence[str] = ()  # ContainerArguments, in place of `train`; or those of the entry script
    channel_configs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # of inputdataconfig.json
    region: str = REGION
    spot: bool = True  # EnableManagedSpotTraining
    has_checkpoints: bool = True  # False: the request had no CheckpointConfig, and nothing is synced

    def __post_init__(self) -> None:
        if not _JOB_NAME.fullmatch(self.TrainingJobName):
            raise UsageError(
                f"{self.TrainingJobName!r} is no TrainingJobName",
                "SageMaker allows 1 to 63 letters, digits and hyphens, beginning with a letter or digit",
                "use a name like my-job-1",
            )

    @property
    def arn(self) -> str:
        """The ARN that TRAINING_JOB_ARN holds in the container."""
        return f"arn:aws:sagemaker:{self.region}:{ACCOUNT_ID}:training-job/{self.TrainingJobName}"

    @property
    def listed_channels(self) -> list[str]:
        """The channels that inputdataconfig.json and SM_CHANNELS name: all but SOURCE_CHANNEL."""
        return [name for name in self.channels if name != SOURCE_CHANNEL]


def split_s3_uri(uri: str) -> tuple[str, str]:
    """Bucket and key prefix of an S3 URI. Raises UsageError for anything else."""
    match = _S3_URI.fullmatch(uri)
    if match is None:
        raise UsageError(
            f"{uri!r} is no S3 URI",
            "a URI is s3://BUCKET/PREFIX, with a bucket name S3 allows",
            "use for example --checkpoint-s3-uri s3://spot-simulator/checkpoints/my-job",
        )
    return match.group(1), match.group(2) or ""


def config_files(job: TrainingJob, host: str) -> dict[str, object]:
    """File name → JSON content of /opt/ml/input/config. Source: "How SageMaker provides training information"."""
    return {
        "hyperparameters.json": {name: str(value) for name, value in job.HyperParameters.items()},
        "resourceconfig.json": {
            "current_host": host,
            "hosts": list(job.hosts),
            "network_interface_name": "eth0",
            **_groups(job, host),
        },
        "inputdataconfig.json": {
            channel: {
                "TrainingInputMode": "File",
                "S3DistributionType": "FullyReplicated",
                "RecordWrapperType": "None",
                **job.channel_configs.get(channel, {}),
            }
            for channel in job.listed_channels
        },
        "checkpointconfig.json": {"LocalPath": job.CheckpointConfig.LocalPath},
    }


def _groups(job: TrainingJob, host: str) -> dict[str, object]:
    """The part of resourceconfig.json that tells instance types and groups [read in a job's public log]."""
    own = next((group for group in job.instance_groups if host in group.hosts), None)
    if own is None:
        return {}
    return {
        "current_instance_type": own.InstanceType,
        "current_group_name": own.InstanceGroupName,
        "instance_groups": [
            {
                "instance_group_name": group.InstanceGroupName,
                "instance_type": group.InstanceType,
                "hosts": list(group.hosts),
            }
            for group in job.instance_groups
        ],
    }


def container_environment(job: TrainingJob, host: str) -> dict[str, str]:
    """Environment of the training process: the request's, the service's, the toolkit's SM_*, dummy credentials.

    The credentials are moto's documented placeholders, so that nothing in a container can reach an AWS account.
    """
    channels = {f"SM_CHANNEL_{name.upper()}": f"{ML_ROOT}/input/data/{name}" for name in job.listed_channels}
    hyperparameters = {f"SM_HP_{name.upper().replace('-', '_')}": v for name, v in job.HyperParameters.items()}
    return {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_SESSION_TOKEN": "testing",
        "AWS_REGION": job.region,
        "AWS_DEFAULT_REGION": job.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONUNBUFFERED": "1",
        "SM_MODEL_DIR": f"{ML_ROOT}/model",
        "SM_OUTPUT_DIR": f"{ML_ROOT}/output",
        "SM_OUTPUT_DATA_DIR": f"{ML_ROOT}/output/data",
        "SM_INPUT_DIR": f"{ML_ROOT}/input",
        "SM_INPUT_CONFIG_DIR": f"{ML_ROOT}/input/config",
        "SM_CURRENT_HOST": host,
        "SM_HOSTS": json.dumps(list(job.hosts)),
        "SM_NUM_GPUS": "0",
        "SM_HPS": json.dumps(dict(job.HyperParameters)),
        "SM_CHANNELS": json.dumps(job.listed_channels),
        **channels,
        **hyperparameters,
        **job.Environment,
        "TRAINING_JOB_NAME": job.TrainingJobName,
        "TRAINING_JOB_ARN": job.arn,
        NOTICE_VARIABLE: NOTICE_PATH,
    }
