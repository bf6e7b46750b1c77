"""Jobs as launch code creates them, run as processes: interrupted, stopped, fed from S3, and many at a time."""

from __future__ import annotations

import io
import json
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest

from simulator.service.plans import JobPlan
from simulator.service.telling import LOG_GROUP
from tests.app.scripts import GOOD
from tests.service.serving import (
    BUCKET,
    client,
    ended,
    name_of,
    request,
    serving,
    statuses,
    submit,
    wait_until,
)

pytestmark = pytest.mark.slow

AT_STEP_40 = JobPlan(interrupt=("step=40",), warning=0.5, grace=5)
UNTIL_INTERRUPTED = GOOD.replace("step = load()", "step = load()\nends_at = 120 if step else 10**9").replace(
    "while step < 120", "while step < ends_at"
)
READS_ITS_INPUTS = """
import json, os, sys
found = {}
for folder, _, names in os.walk("/opt/ml/input/data"):
    for name in names:
        with open(os.path.join(folder, name)) as file:
            found[os.path.relpath(os.path.join(folder, name), "/opt/ml/input/data")] = file.read()
found.pop("code/train.py")
config = {name: json.load(open("/opt/ml/input/config/" + name)) for name in sorted(os.listdir("/opt/ml/input/config"))}
with open("/opt/ml/output/data/found.json", "w") as file:
    json.dump({"files": found, "arguments": sys.argv[1:], "config": config, "extra": os.environ["EXTRA"],
               "name": os.environ["TRAINING_JOB_NAME"]}, file)
open("/opt/ml/model/empty", "w").close()
"""
FAILS = """
import sys
open("/opt/ml/output/failure", "w").write("the data is bad")
sys.exit(7)
"""


def output_of(s3: Any, name: str) -> dict[str, Any]:
    packed = s3.get_object(Bucket=BUCKET, Key=f"out/{name}/output/output.tar.gz")["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        member = archive.extractfile("found.json")
        assert member is not None
        told: dict[str, Any] = json.load(member)
    return told


def test_an_interrupted_job_resumes_and_the_verdict_is_survived(tmp_path: Path) -> None:
    with serving(tmp_path, default_plan=AT_STEP_40) as server:
        sagemaker, name = client(server, "sagemaker"), name_of("resumes")
        metrics = [{"Name": "train:loss", "Regex": "loss=([0-9.]+)"}]
        algorithm = {"TrainingImage": "image", "TrainingInputMode": "File", "MetricDefinitions": metrics}
        asked = request(name, submit(server, GOOD, name), AlgorithmSpecification=algorithm)
        sagemaker.create_training_job(**asked)
        told = ended(sagemaker, name)
        assert server.register.named(name).reported.wait(60)
        logs = client(server, "logs")
        (stream,) = logs.describe_log_streams(logGroupName=LOG_GROUP, logStreamNamePrefix=name)["logStreams"]
        page = logs.get_log_events(logGroupName=LOG_GROUP, logStreamName=stream["logStreamName"], startFromHead=True)
    assert statuses(told)[3:5] == ["Interrupted", "Starting"]
    assert told["TrainingJobStatus"] == "Completed"
    assert [metric["MetricName"] for metric in told["FinalMetricDataList"]] == ["train:loss"]
    report = json.loads((tmp_path / "runs" / name / "report.json").read_text())
    assert report["verdict"] == "survived"
    assert page["events"][-1]["message"].startswith("step=120 ")


def test_a_job_finds_its_data_configuration_and_arguments(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        sagemaker, s3, name = client(server, "sagemaker"), client(server, "s3"), name_of("inputs")
        asked = request(name, submit(server, READS_ITS_INPUTS, name), spot=False, Environment={"EXTRA": "said"})
        asked["HyperParameters"] |= {"epochs": "3", "mode": '"fast"'}
        for key in ("data/a.csv", "data/below/b.csv", "database.csv"):
            s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
        manifest = [{"prefix": f"s3://{BUCKET}/"}, "data/a.csv"]
        s3.put_object(Bucket=BUCKET, Key="manifest.json", Body=json.dumps(manifest).encode())
        sources = {
            "folder": ("S3Prefix", "data/"),
            "prefix": ("S3Prefix", "data"),
            "one": ("S3Prefix", "data/a.csv"),
            "listed": ("ManifestFile", "manifest.json"),
        }
        asked["InputDataConfig"] = [
            {
                "ChannelName": channel,
                "InputMode": "FastFile" if channel == "one" else "File",
                "DataSource": {"S3DataSource": {"S3DataType": kind, "S3Uri": f"s3://{BUCKET}/{key}"}},
            }
            for channel, (kind, key) in sources.items()
        ]
        sagemaker.create_training_job(**asked)
        assert ended(sagemaker, name).get("FailureReason") is None
        told = output_of(s3, name)
        warnings = [event.data.get("message", "") for event in server.register.named(name).timeline]
    assert told["files"] == {
        "folder/a.csv": "data/a.csv",
        "folder/below/b.csv": "data/below/b.csv",
        "prefix/a.csv": "data/a.csv",
        "prefix/below/b.csv": "data/below/b.csv",
        "prefix/database.csv": "database.csv",
        "one/a.csv": "data/a.csv",
        "listed/data/a.csv": "data/a.csv",
    }
    assert told["arguments"] == ["--epochs", "3", "--mode", "fast"]
    assert (told["extra"], told["name"]) == ("said", name)
    assert told["config"]["hyperparameters.json"]["mode"] == '"fast"'
    assert told["config"]["resourceconfig.json"]["hosts"] == ["algo-1"]
    assert any("FastFile" in warning for warning in warnings)


def test_a_container_entrypoint_is_what_runs(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        sagemaker, s3, name = client(server, "sagemaker"), client(server, "s3"), name_of("entrypoint")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key="code/run.sh", Body=b"echo given $1; echo made > /opt/ml/model/made\n")
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/code/"}
        asked = request(
            name,
            spot=False,
            AlgorithmSpecification={
                "TrainingImage": "image",
                "TrainingInputMode": "File",
                "ContainerEntrypoint": ["/bin/bash", "-c"],
                "ContainerArguments": ["chmod +x /opt/ml/input/data/code/run.sh && . /opt/ml/input/data/code/run.sh"],
            },
            InputDataConfig=[{"ChannelName": "code", "DataSource": {"S3DataSource": source}}],
        )
        sagemaker.create_training_job(**asked)
        assert ended(sagemaker, name)["TrainingJobStatus"] == "Completed"


def test_a_failing_script_gives_its_reason(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        sagemaker, name = client(server, "sagemaker"), name_of("fails")
        sagemaker.create_training_job(**request(name, submit(server, FAILS, name)))
        told = ended(sagemaker, name)
    assert (told["TrainingJobStatus"], told["FailureReason"]) == ("Failed", "the data is bad")


def test_a_stopped_job_saves_on_sigterm_and_its_checkpoint_is_in_s3(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        sagemaker, name = client(server, "sagemaker"), name_of("stops")
        script = GOOD.replace("step < 120", "step < 100000")
        sagemaker.create_training_job(**request(name, submit(server, script, name)))
        wait_until(lambda: len(server.register.named(name).timeline) > 30, "the training to go on")
        sagemaker.stop_training_job(TrainingJobName=name)
        told = ended(sagemaker, name)
        client(server, "s3").head_object(Bucket=BUCKET, Key=f"{name}/checkpoints/state.json")
    assert statuses(told)[-2:] == ["Stopping", "Stopped"]


def test_twenty_jobs_at_once_are_neither_lost_nor_mixed_up(tmp_path: Path) -> None:
    with serving(tmp_path, default_plan=AT_STEP_40) as server:
        names = [f"many-{number}" for number in range(20)]
        marked = UNTIL_INTERRUPTED.replace(
            'json.dump({"step": step}, file)', 'file.write(os.environ["TRAINING_JOB_NAME"])'
        )
        submitted = {name: submit(server, marked, name) for name in names}

        def create(name: str) -> None:
            client(server, "sagemaker").create_training_job(**request(name, submitted[name]))

        threads = [threading.Thread(target=create, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        sagemaker, s3, logs = client(server, "sagemaker"), client(server, "s3"), client(server, "logs")
        for name in names:
            told = ended(sagemaker, name)
            assert (told["TrainingJobStatus"], statuses(told).count("Interrupted")) == ("Completed", 1), name
            packed = s3.get_object(Bucket=BUCKET, Key=f"out/{name}/output/model.tar.gz")["Body"].read()
            with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
                member = archive.extractfile("model.json")
                assert member is not None and member.read().decode() == name
            streams = logs.describe_log_streams(logGroupName=LOG_GROUP, logStreamNamePrefix=f"{name}/")["logStreams"]
            assert len(streams) == 1
        listed = sagemaker.list_training_jobs(NameContains="many-", MaxResults=100)["TrainingJobSummaries"]
        assert {each["TrainingJobName"] for each in listed} == set(names)
