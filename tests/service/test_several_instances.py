"""Jobs with several instances as boto3 sees them: hosts are functions in threads, data and artifacts are in moto."""

from __future__ import annotations

import io
import json
import tarfile
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from simulator.core.attempt import Outcome
from simulator.core.timeline import Event, Kind
from simulator.runtimes.port import InstancePaths
from simulator.service.countdown import countdown
from simulator.service.describe import describe
from simulator.service.jobs import JobEntry
from simulator.service.plans import JobPlan
from simulator.service.request_job import job_of_request
from simulator.service.server import Server
from simulator.service.telling import LOG_GROUP
from simulator.service.transfers import Downloads, Uploads
from tests.engine.fakes import Container, FakeRuntime
from tests.service.serving import (
    BUCKET,
    client,
    ended,
    name_of,
    request,
    serving,
    statuses,
    until_signalled,
    wait_until,
)


def several(count: int = 2, **changes: Any) -> dict[str, Any]:
    return {"InstanceType": "ml.m5.large", "InstanceCount": count, "VolumeSizeInGB": 5} | changes


def each_leaves_its_part(container: Container) -> int:
    """Every host leaves a file of its own and one of a name that all of them have."""
    (container.model / f"part-{container.host}").write_text(container.host)
    (container.model / "model").write_text(container.host)
    container.say(f"score={container.host[-1]} on {container.host}")
    return 0


def the_second_fails(container: Container) -> int:
    if container.host == "algo-2":
        return 7
    container.until_signalled()
    return 0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server"), each_leaves_its_part) as running:
        yield running


def done(server: Server, test: str, **changes: Any) -> dict[str, Any]:
    sagemaker, name = client(server, "sagemaker"), name_of(test)
    sagemaker.create_training_job(**request(name, **{"ResourceConfig": several(), **changes}))
    told = ended(sagemaker, name)
    assert told["TrainingJobStatus"] == "Completed", told.get("FailureReason")
    return told


def call(server: Server, method: str, path: str) -> dict[str, Any]:
    with urllib.request.urlopen(urllib.request.Request(server.endpoint_url + path, method=method)) as answer:
        told: dict[str, Any] = json.load(answer)
    return told


def warnings_of(server: Server, name: str) -> list[str]:
    return [event.data["message"] for event in server.register.named(name).timeline.of(Kind.WARNING)]


def archived(server: Server, key: str) -> dict[str, str]:
    packed = client(server, "s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        return {m.name: file.read().decode() for m in archive if (file := archive.extractfile(m)) is not None}


def test_the_model_has_the_files_of_all_hosts_and_a_clash_is_told(server: Server) -> None:
    name = done(server, "model")["TrainingJobName"]
    assert archived(server, f"out/{name}/output/model.tar.gz") == {
        "model": "algo-2",
        "part-algo-1": "algo-1",
        "part-algo-2": "algo-2",
    }
    (warning,) = warnings_of(server, name)
    assert "written by several hosts and differ" in warning and "model (of algo-2)" in warning


def test_an_uncompressed_model_has_the_files_of_all_hosts(server: Server) -> None:
    output = {"S3OutputPath": f"s3://{BUCKET}/plain", "CompressionType": "NONE"}
    name = done(server, "plain", OutputDataConfig=output)["TrainingJobName"]
    listed = client(server, "s3").list_objects_v2(Bucket=BUCKET, Prefix=f"plain/{name}/output/")["Contents"]
    assert [each["Key"].rpartition("/")[2] for each in listed] == ["model", "part-algo-1", "part-algo-2"]


def test_every_host_has_a_log_stream_of_its_own(server: Server) -> None:
    logs, name = client(server, "logs"), done(server, "logs")["TrainingJobName"]
    streams = logs.describe_log_streams(logGroupName=LOG_GROUP, logStreamNamePrefix=f"{name}/")["logStreams"]
    names = [each["logStreamName"] for each in streams]
    assert [each.rpartition("-")[0] for each in names] == [f"{name}/algo-1", f"{name}/algo-2"]
    said = [logs.get_log_events(logGroupName=LOG_GROUP, logStreamName=each)["events"] for each in names]
    assert [[event["message"] for event in each] for each in said] == [["score=1 on algo-1"], ["score=2 on algo-2"]]


def test_the_log_reader_of_sdk_3_finds_a_stream_for_every_instance(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sagemaker.core.utils.logs import MultiLogStreamHandler

    name = done(server, "sdk", ResourceConfig=several(12))["TrainingJobName"]
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    reader = MultiLogStreamHandler(LOG_GROUP, name, 12)
    reader.cw_client = client(server, "logs")
    assert reader.ready()
    for stream in reader.streams:
        stream.cw_client = client(server, "logs")
    said = {event["message"] for _, event in reader.get_latest_log_events()}
    assert said == {f"score={number % 10} on algo-{number}" for number in range(1, 13)}


def test_a_final_metric_is_the_last_value_of_any_host(server: Server) -> None:
    metrics = [{"Name": "score", "Regex": "score=([0-9])"}]
    algorithm = {"TrainingImage": "image", "TrainingInputMode": "File", "MetricDefinitions": metrics}
    told = done(server, "metric", AlgorithmSpecification=algorithm)
    (metric,) = told["FinalMetricDataList"]
    said = [event.data["value"] for event in server.register.named(told["TrainingJobName"]).timeline.of(Kind.METRIC)]
    assert sorted(said) == [1, 2]
    assert metric["Value"] == said[-1]


def test_a_job_with_groups_is_described_as_it_was_asked_for(server: Server) -> None:
    names = {"data": 2, "train": 1}
    groups = [{"InstanceGroupName": n, "InstanceType": "ml.c5.xlarge", "InstanceCount": c} for n, c in names.items()]
    told = done(server, "groups", ResourceConfig={"VolumeSizeInGB": 5, "InstanceGroups": groups})
    assert told["ResourceConfig"]["InstanceGroups"] == groups
    assert "InstanceCount" not in told["ResourceConfig"]
    assert call(server, "GET", f"/_spot/jobs/{told['TrainingJobName']}")["hosts"] == ["algo-1", "algo-2", "algo-3"]


def test_no_warm_pool_is_kept_and_the_job_says_so(server: Server) -> None:
    told = done(server, "warm", spot=False, ResourceConfig=several(1, KeepAlivePeriodInSeconds=600))
    assert told["WarmPoolStatus"] == {"Status": "Terminated", "ResourceRetainedBillableTimeInSeconds": 0}
    listed = client(server, "sagemaker").list_training_jobs(WarmPoolStatusEquals="Terminated")["TrainingJobSummaries"]
    assert [each["TrainingJobName"] for each in listed] == [told["TrainingJobName"]]
    assert any("keeps no warm pool" in warning for warning in warnings_of(server, told["TrainingJobName"]))


def test_all_instances_are_taken_away_together(tmp_path: Path) -> None:
    with serving(tmp_path, until_signalled) as server:
        sagemaker, name = client(server, "sagemaker"), name_of("together")
        sagemaker.create_training_job(**request(name, ResourceConfig=several(3)))
        wait_until(lambda: call(server, "GET", f"/_spot/jobs/{name}")["secondary"] == "Training", "the training")
        assert call(server, "POST", f"/_spot/jobs/{name}/interrupt")["hosts"] == ["algo-1", "algo-2", "algo-3"]
        told = ended(sagemaker, name)
        timeline = server.register.named(name).timeline
    assert statuses(told)[2:5] == ["Training", "Interrupted", "Starting"]
    assert sorted(event.data["host"] for event in timeline.of(Kind.SIGNAL_SENT)) == ["algo-1", "algo-2", "algo-3"]


def test_the_seconds_of_a_job_are_those_of_one_instance(server: Server) -> None:
    told = done(server, "seconds", ResourceConfig=several(8))
    wall = (told["TrainingEndTime"] - told["TrainingStartTime"]).total_seconds()
    assert told["BillableTimeInSeconds"] <= told["TrainingTimeInSeconds"] <= wall + 1


def test_a_host_that_fails_fails_the_job_which_names_it(tmp_path: Path) -> None:
    with serving(tmp_path, the_second_fails) as server:
        sagemaker, name = client(server, "sagemaker"), name_of("fails")
        sagemaker.create_training_job(**request(name, ResourceConfig=several(3)))
        told = ended(sagemaker, name)
    assert (told["TrainingJobStatus"], told["FailureReason"]) == (
        "Failed",
        "the training process of algo-2 ended with exit code 7",
    )


def test_the_host_that_failed_is_named_also_where_another_ended_before() -> None:
    asked = request("a-job", ResourceConfig=several(2))
    entry = JobEntry(asked, "us-east-1", job_of_request(asked, "us-east-1"), JobPlan().plan())
    for at, (kind, data) in enumerate(
        [
            (Kind.ATTEMPT_STARTED, {"host": "algo-1", "hosts": ["algo-1", "algo-2"]}),
            (Kind.PROCESS_EXITED, {"host": "algo-1", "exit_code": 0}),
            (Kind.PROCESS_EXITED, {"host": "algo-2", "exit_code": 7}),
            (Kind.ATTEMPT_ENDED, {"outcome": "failed", "exit_code": 7, "failure_reason": ""}),
            (Kind.SECONDARY_STATUS, {"status": "Failed", "message": ""}),
        ]
    ):
        entry.timeline.append(Event(at, kind, 1, data))
    assert describe(entry)["FailureReason"] == "the training process of algo-2 ended with exit code 7"


def test_more_instances_than_run_at_a_time_are_refused_and_nothing_begins(tmp_path: Path) -> None:
    with serving(tmp_path, until_signalled, max_instances=3) as server:
        sagemaker, name = client(server, "sagemaker"), name_of("limit")
        sagemaker.create_training_job(**request(name, ResourceConfig=several(2)))
        with pytest.raises(ClientError) as caught:
            sagemaker.create_training_job(**request(name_of("beyond"), ResourceConfig=several(2)))
        assert len(server.register.all()) == 1
        sagemaker.create_training_job(**request(name_of("fits")))
    assert caught.value.response["Error"]["Code"] == "ResourceLimitExceeded"
    assert "is 3 Instances, with current utilization of 2 Instances and a request delta of 2" in str(caught.value)


def test_what_comes_is_told_until_the_last_instance_has_ended() -> None:
    asked = request("a-job", ResourceConfig=several(2))
    entry = JobEntry(asked, "us-east-1", job_of_request(asked, "us-east-1"), JobPlan().plan())
    entry.timeline.append(Event(0, Kind.ATTEMPT_STARTED, 1, {"host": "algo-1", "hosts": ["algo-1", "algo-2"]}))
    entry.timeline.append(Event(1, Kind.NOTICE_GIVEN, 1, {"scheduled_at": 1.0, "terminate_at": 121.0}))
    entry.timeline.append(Event(2, Kind.PROCESS_EXITED, 1, {"host": "algo-2", "exit_code": 0}))
    coming = countdown(entry)
    assert coming is not None and coming[0] == "SIGTERM"
    entry.timeline.append(Event(3, Kind.PROCESS_EXITED, 1, {"host": "algo-1", "exit_code": 0}))
    assert countdown(entry) is None


class Counted:
    """A client that counts what is fetched."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3
        self.fetched: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._s3, name)

    def download_file(self, bucket: str, key: str, path: str) -> None:
        self.fetched.append(key)
        self._s3.download_file(bucket, key, path)


def source(kind: str = "S3Prefix", key: str = "several/", **changes: Any) -> dict[str, Any]:
    return {"S3DataSource": {"S3DataType": kind, "S3Uri": f"s3://{BUCKET}/{key}", **changes}}


@pytest.fixture
def s3(server: Server) -> Counted:
    made = Counted(client(server, "s3"))
    made.create_bucket(Bucket=BUCKET)
    for number in range(5):
        made.put_object(Bucket=BUCKET, Key=f"several/{number}", Body=f"row {number}".encode())
    return made


def downloaded(
    s3: Counted, folder: Path, sources: Mapping[str, dict[str, Any]], resources: dict[str, Any], attempts: int = 1
) -> dict[str, dict[str, list[str]]]:
    """Host → channel → the names of its files, after the last attempt's download."""
    channels = [{"ChannelName": name, "DataSource": told} for name, told in sources.items()]
    asked = request("a-job", InputDataConfig=channels, ResourceConfig=resources)
    job = job_of_request(asked, "us-east-1")
    inputs = Downloads(asked, s3, FakeRuntime(each_leaves_its_part))
    found = {}
    for attempt in range(attempts):
        for host in job.hosts:
            got = inputs(job, host, folder / f"{attempt}-{host}", lambda: False)
            found[host] = {name: sorted(file.name for file in path.iterdir()) for name, path in got.channels.items()}
            assert all((path / "0").read_text() == "row 0" for path in got.channels.values() if (path / "0").exists())
    return found


ALL = ["0", "1", "2", "3", "4"]


def test_replicated_data_is_on_every_host_and_is_fetched_once_an_attempt(tmp_path: Path, s3: Counted) -> None:
    found = downloaded(s3, tmp_path, {"train": source()}, several(3), attempts=2)
    assert found == {f"algo-{number}": {"train": ALL} for number in (1, 2, 3)}
    assert s3.fetched == [f"several/{number}" for number in ALL] * 2


@pytest.mark.parametrize("kind", ["S3Prefix", "ManifestFile"])
def test_sharded_data_is_divided_among_the_hosts(tmp_path: Path, s3: Counted, kind: str) -> None:
    manifest = [{"prefix": f"s3://{BUCKET}/several/"}, *ALL]
    s3.put_object(Bucket=BUCKET, Key="several-manifest", Body=json.dumps(manifest).encode())
    key = "several-manifest" if kind == "ManifestFile" else "several/"
    shards = {"train": source(kind, key, S3DataDistributionType="ShardedByS3Key")}
    found = downloaded(s3, tmp_path, shards, several(2))
    assert found == {"algo-1": {"train": ["0", "2", "4"]}, "algo-2": {"train": ["1", "3"]}}


def test_a_host_beyond_the_number_of_objects_gets_an_empty_channel(tmp_path: Path, s3: Counted) -> None:
    shards = {"train": source(S3DataDistributionType="ShardedByS3Key")}
    assert downloaded(s3, tmp_path, shards, several(6))["algo-6"] == {"train": []}


def test_a_channel_of_a_group_is_on_its_hosts_alone_and_divided_among_those(tmp_path: Path, s3: Counted) -> None:
    names = {"data": 2, "train": 1}
    groups = [{"InstanceGroupName": n, "InstanceType": "ml.c5.xlarge", "InstanceCount": c} for n, c in names.items()]
    sources = {
        "rows": source(S3DataDistributionType="ShardedByS3Key", InstanceGroupNames=["data"]),
        "weights": source(InstanceGroupNames=["data", "train"]),
    }
    found = downloaded(s3, tmp_path, sources, {"VolumeSizeInGB": 5, "InstanceGroups": groups})
    assert found == {
        "algo-1": {"rows": ["0", "2", "4"], "weights": ALL},
        "algo-2": {"rows": ["1", "3"], "weights": ALL},
        "algo-3": {"weights": ALL},
    }


def uploaded(
    server: Server, folder: Path, written: Mapping[str, Mapping[str, str]]
) -> tuple[dict[str, str], list[str]]:
    """What model.tar.gz holds of host → path → text, and what was warned of."""
    paths = {}
    for host, files in written.items():
        root = folder / host
        paths[host] = InstancePaths(root / "checkpoints", root / "model", root / "output", root / "config")
        for path, text in files.items():
            file = paths[host].model / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    name, warned, s3 = name_of("uploads"), [], client(server, "s3")
    s3.create_bucket(Bucket=BUCKET)
    Uploads(request(name), name, s3, folder, warned.append)(Outcome.COMPLETED, paths)
    return archived(server, f"out/{name}/output/model.tar.gz"), warned


def test_files_that_are_the_same_on_all_hosts_are_no_clash(server: Server, tmp_path: Path) -> None:
    written = {"algo-1": {"below/model": "weights"}, "algo-2": {"below/model": "weights", "below/other": "x"}}
    assert uploaded(server, tmp_path, written) == ({"below/model": "weights", "below/other": "x"}, [])


def test_a_file_in_the_place_of_a_folder_takes_it_whole(server: Server, tmp_path: Path) -> None:
    found, warned = uploaded(server, tmp_path, {"algo-1": {"saved/one": "1"}, "algo-2": {"saved": "2"}})
    assert found == {"saved": "2"}
    assert "saved (of algo-2)" in warned[0]
