"""A server in this process, clients of it, and jobs small enough for tests."""

from __future__ import annotations

import io
import json
import tarfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.model import OperationModel
from botocore.validate import ParamValidator

from simulator.runtimes.port import Runtime
from simulator.runtimes.process import ProcessRuntime
from simulator.service.plans import JobPlan
from simulator.service.server import Server
from simulator.service.settings import ServeSettings
from tests.engine.fakes import Container, FakeRuntime, Script

ROLE = "arn:aws:iam::123456789012:role/SageMakerRole"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/training:1"
BUCKET = "launches"
PATIENCE_SECONDS = 60
QUICK = JobPlan(interrupt=(), profile="two-minute", warning=0.5, grace=5)


@contextmanager
def serving(
    folder: Path, script: Script | None = None, runtime: Runtime | None = None, **settings: Any
) -> Iterator[Server]:
    """A server on a free port. Its jobs are processes, where `script` is given functions in threads, or run in
    `runtime`."""
    settings = {"port": 0, "runs": folder / "runs", "default_plan": QUICK} | settings
    runtime = runtime or (ProcessRuntime() if script is None else FakeRuntime(script))
    with Server(ServeSettings(**settings), runtime) as server:
        yield server


def client(server: Server, service: str, region: str = "us-east-1") -> Any:
    """A client with nothing but the endpoint and dummy credentials; SageMaker's answers are held to the model."""
    made = boto3.client(
        service,
        endpoint_url=server.endpoint_url,
        region_name=region,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(retries={"total_max_attempts": 1}, proxies={}, s3={"addressing_style": "path"}),
    )
    if service == "sagemaker":
        made.meta.events.register("after-call.sagemaker", _conforms)
    return made


def _conforms(parsed: dict[str, Any], model: OperationModel, **_: Any) -> None:
    if "Error" not in parsed and model.output_shape is not None:
        told = {name: value for name, value in parsed.items() if name != "ResponseMetadata"}
        report = ParamValidator().validate(told, model.output_shape)
        assert not report.has_errors(), report.generate_report()


def name_of(test: str) -> str:
    """A job's name that no other test has."""
    return f"{test}-{uuid.uuid4().hex[:8]}"


def submit(server: Server, script: str, name: str) -> str:
    """Put a script into S3 as SDK v2's script mode does; returns its sagemaker_submit_directory."""
    s3 = client(server, "s3")
    s3.create_bucket(Bucket=BUCKET)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        info = tarfile.TarInfo("train.py")
        info.size = len(script.encode())
        tar.addfile(info, io.BytesIO(script.encode()))
    s3.put_object(Bucket=BUCKET, Key=f"{name}/source/sourcedir.tar.gz", Body=packed.getvalue())
    return f"s3://{BUCKET}/{name}/source/sourcedir.tar.gz"


def request(name: str, submit_directory: str | None = None, spot: bool = True, **changes: Any) -> dict[str, Any]:
    """CreateTrainingJob's parameters, for a submitted script where one is given."""
    asked: dict[str, Any] = {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }
    if spot:
        asked["EnableManagedSpotTraining"] = True
        asked["StoppingCondition"] = {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 1200}
        asked["CheckpointConfig"] = {"S3Uri": f"s3://{BUCKET}/{name}/checkpoints/"}
    if submit_directory is not None:
        asked["HyperParameters"] = {
            "sagemaker_submit_directory": json.dumps(submit_directory),
            "sagemaker_program": json.dumps("train.py"),
        }
    return asked | changes


def at_once(container: Container) -> int:
    """A training that is done as soon as it begins, and leaves a model."""
    (container.model / "model.bin").write_bytes(b"weights")
    container.say("step=1 loss=0.5")
    return 0


def until_signalled(container: Container) -> int:
    """A training that goes on until SIGTERM, and begins where it left off until it was interrupted once."""
    container.say(f"step={container.saved_step + 1}")
    if container.saved_step:
        return 0
    container.save(1)
    container.until_signalled()
    return 143


def ended(sagemaker: Any, name: str) -> dict[str, Any]:
    """The job's description, once it has ended."""
    described: dict[str, Any] = {}

    def is_over() -> bool:
        described.update(sagemaker.describe_training_job(TrainingJobName=name))
        return described["TrainingJobStatus"] in ("Completed", "Failed", "Stopped")

    wait_until(is_over, f"{name} to end")
    return described


def statuses(described: dict[str, Any]) -> list[str]:
    """The states in order."""
    return [transition["Status"] for transition in described["SecondaryStatusTransitions"]]


def wait_until(happened: Callable[[], bool], what: str) -> None:
    """Until something has happened."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < deadline, f"waited {PATIENCE_SECONDS} s for {what}"
        time.sleep(0.05)
