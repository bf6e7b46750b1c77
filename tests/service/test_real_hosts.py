"""A job with two instances for real: they train in step over TCP, are taken away together, and both go on."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from simulator.core.timeline import Kind
from simulator.runtimes.local_mode import LocalModeRuntime
from simulator.runtimes.port import Runtime
from simulator.service.plans import JobPlan
from simulator.service.server import Server
from simulator.service.telling import LOG_GROUP
from tests.service.serving import BUCKET, client, ended, name_of, request, serving, statuses

pytestmark = pytest.mark.slow

AT_STEP_40 = JobPlan(interrupt=("step=40",), warning=0.5, grace=10)
IN_STEP = """
import json, os, signal, socket, time
config = json.load(open("/opt/ml/input/config/resourceconfig.json"))
host, (first, *others) = config["current_host"], config["hosts"]
state = f"/opt/ml/checkpoints/state-{host}.json"
asked = []

def on_sigterm(*_):
    print("SIGTERM on", host, flush=True)
    asked.append(1)

signal.signal(signal.SIGTERM, on_sigterm)

def save():
    with open(state + ".tmp", "w") as file:
        json.dump({"step": step}, file)
    os.replace(state + ".tmp", state)

def connect():
    if host == first:
        listener = socket.create_server((host, 29517))
        return listener.accept()[0]
    for _ in range(300):
        try:
            return socket.create_connection((first, 29517), 5)
        except OSError:
            time.sleep(0.2)
    raise SystemExit(f"{host} does not reach {first}")

def exchange(word):
    connection.sendall(f"{word}\\n".encode())
    return lines.readline().strip()

resumed = os.path.exists(state)
step = json.load(open(state))["step"] if resumed else 0
connection = connect()
connection.settimeout(60)
lines = connection.makefile("r")  # not "rw": what it has read ahead is lost at a write
step = min(step, int(exchange(step)))  # the last one that both have
while step < (120 if resumed else 10**9) and not asked:
    try:
        other = exchange(f"{host} {step + 1}")
    except OSError:
        other = ""
    if not other:
        break  # the other one was told first
    step += 1
    print(f"step={step} with {other.split()[0]}", flush=True)
    if step % 10 == 0:
        save()
    time.sleep(0.02)
if step < 120 or not resumed:
    while not asked:
        time.sleep(0.05)
    save()
    raise SystemExit(143)
rows = sorted(os.listdir("/opt/ml/input/data/rows"))
with open(f"/opt/ml/model/model-{host}.json", "w") as file:
    json.dump({"step": step, "rows": rows, "type": config["current_instance_type"]}, file)
"""


def asked_for(server: Server, name: str, image: str) -> dict[str, Any]:
    s3 = client(server, "s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key=f"{name}/script/train.py", Body=IN_STEP.encode())
    for row in ("a", "b", "c"):
        s3.put_object(Bucket=BUCKET, Key=f"{name}/rows/{row}", Body=row.encode())
    sources = {"script": "FullyReplicated", "rows": "ShardedByS3Key"}
    channels = [
        {
            "ChannelName": channel,
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "S3Prefix",
                    "S3Uri": f"s3://{BUCKET}/{name}/{channel}/",
                    "S3DataDistributionType": distribution,
                }
            },
        }
        for channel, distribution in sources.items()
    ]
    algorithm = {
        "TrainingImage": image,
        "TrainingInputMode": "File",
        "ContainerEntrypoint": ["python3", "/opt/ml/input/data/script/train.py"],
    }
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 5}
    return request(name, AlgorithmSpecification=algorithm, ResourceConfig=resources, InputDataConfig=channels)


def assert_both_hosts_survive_an_interruption(folder: Path, runtime: Runtime | None, image: str) -> None:
    with serving(folder, runtime=runtime, default_plan=AT_STEP_40) as server:
        sagemaker, name = client(server, "sagemaker"), name_of("two")
        sagemaker.create_training_job(**asked_for(server, name, image))
        told = ended(sagemaker, name)
        logs, s3 = client(server, "logs"), client(server, "s3")
        streams = logs.describe_log_streams(logGroupName=LOG_GROUP, logStreamNamePrefix=f"{name}/")["logStreams"]
        said = {}
        for stream in (each["logStreamName"] for each in streams):
            events = logs.get_log_events(logGroupName=LOG_GROUP, logStreamName=stream, startFromHead=True)["events"]
            said[stream.rpartition("-")[0]] = [event["message"] for event in events]
        assert told["TrainingJobStatus"] == "Completed", (told.get("FailureReason"), said)
        packed = s3.get_object(Bucket=BUCKET, Key=f"out/{name}/output/model.tar.gz")["Body"].read()
        timeline = server.register.named(name).timeline
    assert statuses(told)[2:5] == ["Training", "Interrupted", "Starting"]
    assert told["TrainingTimeInSeconds"] >= told["BillableTimeInSeconds"] > 0
    assert sorted(said) == [f"{name}/algo-1", f"{name}/algo-2"]
    for own, other in (("algo-1", "algo-2"), ("algo-2", "algo-1")):
        assert f"SIGTERM on {own}" in said[f"{name}/{own}"]
        assert f"step=40 with {other}" in said[f"{name}/{own}"]
        assert f"step=120 with {other}" in said[f"{name}/{own}"]
    exits = timeline.of(Kind.PROCESS_EXITED, attempt=1)
    assert {event.data["host"]: event.data["exit_code"] for event in exits} == {"algo-1": 143, "algo-2": 143}
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        models = {member.name: json.load(file) for member in archive if (file := archive.extractfile(member))}
    assert models == {
        "model-algo-1.json": {"step": 120, "rows": ["a", "c"], "type": "ml.m5.large"},
        "model-algo-2.json": {"step": 120, "rows": ["b"], "type": "ml.m5.large"},
    }


def test_two_processes_train_in_step_and_survive_an_interruption(tmp_path: Path) -> None:
    assert_both_hosts_survive_an_interruption(tmp_path, None, "image")


@pytest.mark.docker
def test_two_containers_train_in_step_and_survive_an_interruption(tmp_path: Path, training_image: str) -> None:
    assert_both_hosts_survive_an_interruption(tmp_path, LocalModeRuntime(), training_image)
