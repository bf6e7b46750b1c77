"""Where we reach into SageMaker's SDK: the only module that knows its insides, and what each of them is needed for.

Local mode drops CheckpointConfig, StoppingCondition and EnableManagedSpotTraining on the way from ModelTrainer to the
container (read and measured in 3.27). So the launch code here is what a user writes, and below it stands a subclass of
the class that writes the Compose file. It changes the file and not the SDK's ways:

- the checkpoint folder is mounted at CheckpointConfig.LocalPath, and checkpointconfig.json names it;
- configuration and environment are those of SageMaker, with placeholder credentials;
- project, network and labels are the attempt's own, as the SDK's names are the same for every run;
- every host has folders of its own, as an instance has: the SDK's hosts share model, code and channels; with several,
  a container is called as its host is, which the SDK's aliases on the network are already [read];
- an image with its own entrypoint gets the argument `train`: SageMaker runs `docker run IMAGE train` [documented],
  while the SDK's local mode passes nothing; ContainerEntrypoint and ContainerArguments come before both;
- the log is kept whole and byte by byte, which the engine's default (json-file) does not: it replaces bytes that are
  no UTF-8 [measured];
- nothing is copied or removed when Compose returns: an instance that is reclaimed hands in nothing.

`wait=False` makes the SDK run Compose detached: no Compose stands beside the container that could stop it, or that
could be left behind. Imported by the launcher only: the SDK takes seconds to import.
"""

from __future__ import annotations

import importlib
import inspect
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any

from simulator.core.job import ACCOUNT_ID, ML_ROOT, REGION, TrainingJob, config_files, container_environment
from simulator.runtimes.local_mode.order import InstanceOrder, LaunchOrder

DRIVERS = f"{ML_ROOT}/input/data/sm_drivers"
TELEMETRY_OFF = {"SchemaVersion": "1.0", "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}}}
_TRAINER = "sagemaker.train.model_trainer"
_CONTAINER = "sagemaker.train.local.local_container"


@dataclass(frozen=True)
class Relied:
    """One thing of the SDK that we rely on: `module:name`, its parameters (None: not a function of ours to call), and
    the function that has to use it by this name for a replacement to have any effect."""

    module: str
    name: str
    parameters: tuple[str, ...] | None = None
    used_by: str | None = None

    def problem(self) -> str | None:
        """What is not as it was, by name."""
        where = f"{self.module}.{self.name}"
        try:
            found = _resolve(self.module, self.name)
        except (ImportError, AttributeError):
            return f"{where} is not there"
        if self.parameters is not None:
            given = tuple(inspect.signature(found).parameters)
            if given != self.parameters:
                return f"{where} takes ({', '.join(given)}), not ({', '.join(self.parameters)})"
        if self.used_by is not None:
            try:
                names = inspect.unwrap(_resolve(self.module, self.used_by)).__code__.co_names
            except (ImportError, AttributeError):
                return f"{self.module}.{self.used_by}, which used {self.name}, is not there"
            if self.name.rpartition(".")[2] not in names:
                return f"{where} is not used by {self.used_by}"
        return None


SEAM = (
    Relied(_TRAINER, "_LocalContainer", None, "ModelTrainer.train"),
    Relied(_CONTAINER, "_LocalContainer.train", ("self", "wait")),
    *(
        Relied(_CONTAINER, f"_LocalContainer.{method}", ("self", *parameters), "_LocalContainer.train")
        for method, parameters in {
            "_write_config_files": ("host", "input_data_config", "hyper_parameters"),
            "_generate_compose_file": ("environment", "volumes"),
            "_generate_compose_command": ("wait",),
            "_ecr_login_if_needed": (),
            "retrieve_artifacts": ("compose_data",),
        }.items()
    ),
    Relied(_CONTAINER, "DOCKER_COMPOSE_FILENAME", None),
    Relied(_CONTAINER, "_Volume", ("host_dir", "container_dir", "channel")),
    Relied("sagemaker.train", "ModelTrainer"),
    Relied(_TRAINER, "Mode.LOCAL_CONTAINER"),
    *(
        Relied("sagemaker.core.training.configs", name)
        for name in ("CheckpointConfig", "Compute", "InputData", "SourceCode", "StoppingCondition")
    ),
    Relied("sagemaker.core.helper.session_helper", "Session"),
)


def check_seam() -> list[str]:
    """What of the SDK is no longer as we rely on it, a sentence each; empty when all is."""
    problems = [relied.problem() for relied in SEAM]
    return [problem for problem in problems if problem is not None]


def prepare_session() -> object:
    """The SDK's session, with placeholder credentials and telemetry off by the SDK's documented setting. Making it
    asks nobody [measured]; without one the SDK would make its own at each start.

    The SDK checks its configuration against a schema again at each of nine look-ups, which takes longer than all else
    of a start but Compose: 0.6 s [measured]. Once will do; where a release does this elsewhere, it is slow again.
    """
    import boto3
    from sagemaker.core.config.config_manager import SageMakerConfig
    from sagemaker.core.helper.session_helper import Session

    session: object = Session(
        boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing", region_name=REGION),
        sagemaker_config=TELEMETRY_OFF,
    )
    SageMakerConfig.validate_sagemaker_config = staticmethod(lambda sagemaker_config=None: None)
    return session


def launch(order: LaunchOrder, session: object) -> None:
    """Start the containers, as a user's launch code does, and return when Compose has started them. Raises what the
    SDK raises; Compose's own words are in the launcher's output."""
    from sagemaker.core.training import configs
    from sagemaker.train import ModelTrainer, model_trainer

    first = order.instances[0]
    job = first.job
    source = (
        configs.SourceCode(source_dir=str(job.source_dir), entry_script=job.entry_script) if job.entry_script else None
    )
    stopping = job.StoppingCondition
    trainer = ModelTrainer(
        training_mode=model_trainer.Mode.LOCAL_CONTAINER,
        sagemaker_session=session,
        role=f"arn:aws:iam::{ACCOUNT_ID}:role/spot-simulator",
        base_job_name=job.TrainingJobName,
        training_image=job.image,
        source_code=source,
        compute=configs.Compute(instance_count=len(order.instances), enable_managed_spot_training=True),
        stopping_condition=configs.StoppingCondition(
            max_runtime_in_seconds=max(1, round(stopping.MaxRuntimeInSeconds)),
            max_wait_time_in_seconds=max(1, round(stopping.MaxWaitTimeInSeconds or stopping.MaxRuntimeInSeconds)),
        ),
        checkpoint_config=configs.CheckpointConfig(
            s3_uri=job.CheckpointConfig.S3Uri, local_path=job.CheckpointConfig.LocalPath
        ),
        input_data_config=[
            configs.InputData(channel_name=name, data_source=str(path)) for name, path in job.channels.items()
        ],
        environment=dict(job.Environment),
        hyperparameters=dict(job.HyperParameters),
        local_container_root=str(first.root),
    )
    theirs = model_trainer._LocalContainer
    model_trainer._LocalContainer = _container_for(order)
    try:
        trainer.train(wait=False)
    except _Started as started:
        if started.__context__ is not None:
            raise started.__context__ from None
    finally:
        model_trainer._LocalContainer = theirs


class _Started(Exception):
    """Leaves the SDK's train() once Compose has returned, before it copies and deletes. Not a BaseException: those
    the SDK's telemetry decorator swallows."""


def _container_for(order: LaunchOrder) -> Any:
    from sagemaker.train.local import local_container

    instances = {own.host: own for own in order.instances}

    class SpotContainer(local_container._LocalContainer):  # type: ignore[misc]  # the SDK is untyped
        """The SDK's container, with what it drops."""

        def _write_config_files(self, host: str, input_data_config: list[Any], hyper_parameters: object) -> None:
            own = instances[host]
            folder = own.root / host / "input" / "config"
            for name, content in config_files(_job_as_seen(own, input_data_config), host).items():
                if name == "resourceconfig.json" and isinstance(content, dict):
                    content.setdefault("current_instance_type", self.instance_type)  # the SDK's driver insists on it
                (folder / name).write_text(json.dumps(content))

        def _generate_compose_file(self, environment: object, volumes: list[str]) -> dict[str, Any]:
            content: dict[str, Any] = super()._generate_compose_file(environment, volumes)
            for host, service in content["services"].items():
                _adapt(service, instances[host], self.input_data_config, local_container._Volume)
                if len(instances) > 1:
                    service["hostname"] = host
            for network in content.get("networks", {}):
                content["networks"][network] = {"name": order.project, "labels": dict(order.instances[0].labels)}
            import yaml

            Path(self.container_root, local_container.DOCKER_COMPOSE_FILENAME).write_text(
                yaml.safe_dump(_literal(content), allow_unicode=True)
            )
            return content

        def _generate_compose_command(self, wait: bool) -> list[str]:
            command: list[str] = super()._generate_compose_command(wait)
            at = command.index("-f")
            return [*command[:at], "-p", order.project, *command[at:]]

        def _ecr_login_if_needed(self) -> bool:
            return False  # the runtime has seen to the image, and nothing asks AWS for one

        def retrieve_artifacts(self, compose_data: object) -> str:
            raise _Started

    return SpotContainer


def _adapt(service: dict[str, Any], own: InstanceOrder, channels: list[Any], mount: Callable[..., Any]) -> None:
    """Make a host of the SDK's Compose file one spot instance."""
    job = _job_as_seen(own, channels)
    environment = container_environment(job, own.host)
    service["environment"] = [f"{name}={value}" for name, value in environment.items()]
    service["volumes"] = [_own_volume(volume, own, mount) for volume in service["volumes"]]
    service["volumes"].append(mount(str(own.checkpoints), job.CheckpointConfig.LocalPath).map)
    service["labels"] = dict(own.labels)
    service["pull_policy"] = "never"  # the runtime has seen to the image; Compose 1 does not know this and may pull
    service["logging"] = {"driver": "local", "options": {"max-size": "100g", "max-file": "1", "compress": "false"}}
    if job.entrypoint:
        service["entrypoint"] = [*job.entrypoint, *job.arguments]
    elif "entrypoint" not in service:
        service["command"] = list(job.arguments) or ["train"]


def _own_volume(volume: str, own: InstanceOrder, mount: Callable[..., Any]) -> str:
    """The volume with the instance's folder in it, read-only where it is a channel that was not copied; `:z` is the
    SDK's word for SELinux. The driver scripts are copied: the SDK's own folder for them goes when its trainer does."""
    host_dir, _, container_dir = volume.removesuffix(":z").rpartition(":")
    if container_dir == DRIVERS:
        shutil.copytree(host_dir, own.root / "drivers", ignore=shutil.ignore_patterns("__pycache__"))
        return str(mount(str(own.root / "drivers"), DRIVERS).map)
    if container_dir not in own.folders:
        return volume
    mine = str(mount(str(own.folders[container_dir]), container_dir).map)
    if container_dir not in {f"{ML_ROOT}/input/data/{name}" for name in own.read_only}:
        return mine
    return f"{mine.removesuffix(':z')}:ro,z" if mine.endswith(":z") else f"{mine}:ro"


def _job_as_seen(own: InstanceOrder, channels: list[Any]) -> TrainingJob:
    """The job with the channels that the container has: the SDK adds `code` and `sm_drivers`, as on the service."""
    return replace(own.job, channels={str(channel.channel_name): own.root for channel in channels})


def _literal(content: Any) -> Any:
    """The same with every $ doubled: Compose would put variables of this machine in its place."""
    if isinstance(content, dict):
        return {key: _literal(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_literal(value) for value in content]
    return content.replace("$", "$$") if isinstance(content, str) else content


def _resolve(module: str, name: str) -> Any:
    return reduce(getattr, name.split("."), importlib.import_module(module))
