"""The server against plain moto: the latency of requests, idle and with 20 jobs running, and its memory.

Both are processes of their own on loopback, asked by one client; the rounds take turns. Jobs are small scripts in the
process runtime. A latency is the median of all requests of its kind, the 95th percentile in brackets.
"""

from __future__ import annotations

import io
import json
import re
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

REQUESTS, ROUNDS, JOBS = 100, 3, 20
BUCKET = "launches"
MOTO = "from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"
SCRIPT = """
import time
for step in range(1, 10**9):
    time.sleep(0.1)
    print(f"step={step}", flush=True)
"""
Latencies = dict[str, list[float]]


def measure() -> dict[str, Any]:
    """Milliseconds by server and request, and MiB by server. Raises OSError where one does not start."""
    with (
        tempfile.TemporaryDirectory(prefix="spot-simulator-bench-") as folder,
        _moto(Path(folder)) as (moto, moto_pid),
        _ours(Path(folder)) as (ours, our_pid),
    ):
        for endpoint in (moto, ours):
            _client(endpoint, "s3").create_bucket(Bucket=BUCKET)
            _create(endpoint, "known", "script" if endpoint == ours else None)
        _wait(lambda: _status(ours, "known") == "Training")
        took: dict[str, Latencies] = {"moto": {}, "serve": {}, "busy": {}}
        for _ in range(ROUNDS):
            _ask(moto, took["moto"])
            _ask(ours, took["serve"])
        idle = _mib(our_pid)
        names = [f"job-{number}" for number in range(JOBS)]
        for name in names:
            _create(ours, name, "script")
        _wait(lambda: all(_status(ours, name) == "Training" for name in names))
        for _ in range(ROUNDS):
            _ask(ours, took["busy"])
        memory = {"moto": _mib(moto_pid), "serve": idle, "busy": _mib(our_pid)}
    return {"latency": took, "memory": memory}


def rows(figures: Mapping[str, Any]) -> list[str]:
    """The figures as rows of a Markdown table."""
    took = figures["latency"]
    lines = [
        f"| request | moto, ms | `serve`, ms | ÷ moto | `serve` with {JOBS + 1} jobs, ms |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for request in took["moto"]:
        moto, serve, busy = (took[server][request] for server in ("moto", "serve", "busy"))
        ratio = median(serve) / median(moto)
        lines.append(f"| {request} | {_shown(moto)} | {_shown(serve)} | {ratio:.2f} | {_shown(busy)} |")
    memory = figures["memory"]
    ratio = memory["serve"] / memory["moto"]
    lines.append(
        f"| resident, MiB | {memory['moto']:.0f} | {memory['serve']:.0f} | {ratio:.2f} | {memory['busy']:.0f} |"
    )
    return lines


def _shown(milliseconds: list[float]) -> str:
    return f"{median(milliseconds):.1f} [{quantiles(milliseconds, n=20)[-1]:.1f}]"


def _ask(endpoint: str, took: Latencies) -> None:
    sagemaker, s3 = _client(endpoint, "sagemaker"), _client(endpoint, "s3")
    kinds: dict[str, Callable[[], Any]] = {
        "DescribeTrainingJob": lambda: sagemaker.describe_training_job(TrainingJobName="known"),
        "ListTrainingJobs": lambda: sagemaker.list_training_jobs(MaxResults=10),
        "S3 PutObject, 1 KiB": lambda: s3.put_object(Bucket=BUCKET, Key="k", Body=b"x" * 1024),
        "S3 GetObject, 1 KiB": lambda: s3.get_object(Bucket=BUCKET, Key="k")["Body"].read(),
    }
    for kind, ask in kinds.items():
        for number in range(REQUESTS + 1):
            began = time.perf_counter()
            ask()
            if number:  # the first one opens what is kept
                took.setdefault(kind, []).append(1000 * (time.perf_counter() - began))


def _create(endpoint: str, name: str, script: str | None) -> None:
    hyperparameters = {}
    if script is not None:
        hyperparameters = {
            "sagemaker_submit_directory": json.dumps(_submit(endpoint)),
            "sagemaker_program": '"train.py"',
        }
    _client(endpoint, "sagemaker").create_training_job(
        TrainingJobName=name,
        RoleArn="arn:aws:iam::123456789012:role/SageMakerRole",
        AlgorithmSpecification={"TrainingImage": "image", "TrainingInputMode": "File"},
        HyperParameters=hyperparameters,
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/out"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        StoppingCondition={"MaxRuntimeInSeconds": 3600},
    )


def _submit(endpoint: str) -> str:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        info = tarfile.TarInfo("train.py")
        info.size = len(SCRIPT)
        tar.addfile(info, io.BytesIO(SCRIPT.encode()))
    _client(endpoint, "s3").put_object(Bucket=BUCKET, Key="source.tar.gz", Body=packed.getvalue())
    return f"s3://{BUCKET}/source.tar.gz"


def _status(endpoint: str, name: str) -> str:
    told = _client(endpoint, "sagemaker").describe_training_job(TrainingJobName=name)
    return str(told["SecondaryStatus"])


def _client(endpoint: str, service: str) -> Any:
    config = Config(proxies={}, s3={"addressing_style": "path"})
    made: Any = boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=config,
    )
    return made


@contextmanager
def _moto(folder: Path) -> Iterator[tuple[str, int]]:
    port = _free_port()
    with _process([sys.executable, "-c", MOTO.format(port=port)], folder / "moto.log") as (process, _):
        endpoint = f"http://127.0.0.1:{port}"
        _wait(lambda: _answers(endpoint))
        yield endpoint, process.pid


@contextmanager
def _ours(folder: Path) -> Iterator[tuple[str, int]]:
    command = [*(sys.executable, "-m", "simulator", "serve", "--port", "0"), "--runtime", "process"]
    with _process([*command, "--out", str(folder / "runs")], folder / "serve.log") as (process, said):
        pattern = re.compile(r"listening on (http://127\.0\.0\.1:\d+)")
        _wait(lambda: pattern.search(said.read_text()) is not None)
        found = pattern.search(said.read_text())
        assert found is not None
        yield found.group(1), process.pid


@contextmanager
def _process(command: list[str], said: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    with said.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            yield process, said
        finally:
            process.terminate()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(endpoint: str) -> bool:
    url = urlsplit(endpoint)
    try:
        socket.create_connection((url.hostname or "", url.port or 0)).close()
    except OSError:
        return False
    return True


def _wait(happened: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing within {seconds:g} s")
        time.sleep(0.1)


def _mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found.group(1)) / 1024
