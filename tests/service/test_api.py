"""The API as boto3 sees it: every answer parsed by botocore, its validators on. Jobs are functions in threads."""

from __future__ import annotations

import io
import json
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from simulator.service.server import Server
from simulator.service.telling import LOG_GROUP
from tests.service.serving import (
    BUCKET,
    JobPlan,
    at_once,
    client,
    ended,
    name_of,
    request,
    serving,
    statuses,
    until_signalled,
    wait_until,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose jobs are done at once."""
    with serving(tmp_path_factory.mktemp("server"), at_once) as running:
        yield running


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose jobs train until they are signalled."""
    with serving(tmp_path_factory.mktemp("waiting"), until_signalled) as running:
        yield running


def code_of(caught: pytest.ExceptionInfo[ClientError]) -> str:
    return str(caught.value.response["Error"]["Code"])


def in_training(sagemaker: Any, name: str, times: int = 1) -> None:
    def trains() -> bool:
        return statuses(sagemaker.describe_training_job(TrainingJobName=name)).count("Training") >= times

    wait_until(trains, f"{name} to train")


def call(server: Server, method: str, path: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(server.endpoint_url + path, method=method)) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def told_of(server: Server, name: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(call(server, "GET", f"/_spot/jobs/{name}")[1])
    return told


def test_a_job_completes_and_its_model_is_in_s3(server: Server) -> None:
    sagemaker, name = client(server, "sagemaker"), name_of("completes")
    arn = sagemaker.create_training_job(**request(name))["TrainingJobArn"]
    assert arn == f"arn:aws:sagemaker:us-east-1:123456789012:training-job/{name}"
    told = ended(sagemaker, name)
    assert statuses(told) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert told["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{BUCKET}/out/{name}/output/model.tar.gz"
    model = client(server, "s3").get_object(Bucket=BUCKET, Key=f"out/{name}/output/model.tar.gz")["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(model)) as archive:
        assert archive.getnames() == ["model.bin"]


def test_boto3s_waiter_waits_for_the_end(server: Server) -> None:
    sagemaker, name = client(server, "sagemaker"), name_of("waiter")
    sagemaker.create_training_job(**request(name))
    waiter = sagemaker.get_waiter("training_job_completed_or_stopped")
    waiter.wait(TrainingJobName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})


def test_a_description_says_again_what_was_asked_for(server: Server) -> None:
    sagemaker, name = client(server, "sagemaker"), name_of("echo")
    asked = request(name, HyperParameters={"lr": "0.1"}, Environment={"A": "b"}, EnableNetworkIsolation=True)
    sagemaker.create_training_job(**asked)
    told = sagemaker.describe_training_job(TrainingJobName=name)
    for member in ("HyperParameters", "Environment", "RoleArn", "ResourceConfig"):
        assert told[member] == asked[member]
    assert told["OutputDataConfig"] == {"KmsKeyId": "", **asked["OutputDataConfig"]}  # SDK v2's attach() reads the key
    assert told["CheckpointConfig"]["LocalPath"] == "/opt/ml/checkpoints"
    assert (told["EnableManagedSpotTraining"], told["EnableNetworkIsolation"]) == (True, True)


def found(sagemaker: Any, *filters: tuple[str, str, str], operator: str = "And") -> list[str]:
    """The names of the jobs that a search finds, oldest first."""
    expression = {
        "Filters": [
            {"Name": name, "Operator": relation, **({"Value": value} if value else {})}
            for name, relation, value in filters
        ],
        "Operator": operator,
    }
    told = sagemaker.search(Resource="TrainingJob", SearchExpression=expression, SortOrder="Ascending")
    return [each["TrainingJob"]["TrainingJobName"] for each in told["Results"]]


def test_a_search_finds_jobs_by_their_properties(server: Server) -> None:
    sagemaker, one, two = client(server, "sagemaker", "eu-north-1"), name_of("search-one"), name_of("search-two")
    metrics = [{"Name": "loss", "Regex": "loss=([0-9.]+)"}]
    algorithm = request(one)["AlgorithmSpecification"] | {"MetricDefinitions": metrics}
    asked = request(one, AlgorithmSpecification=algorithm, HyperParameters={"lr": "1"})
    sagemaker.create_training_job(**asked, Tags=[{"Key": "team", "Value": "a"}])
    sagemaker.create_training_job(**request(two))
    assert [ended(sagemaker, name)["TrainingJobStatus"] for name in (one, two)] == ["Completed", "Completed"]
    assert found(sagemaker, ("TrainingJobStatus", "Equals", "Completed")) == [one, two]
    assert found(sagemaker, ("TrainingJobStatus", "NotEquals", "Completed")) == []
    assert found(sagemaker, ("Tags.team", "Equals", "a"), ("TrainingJobName", "Contains", "search")) == [one]
    assert found(sagemaker, ("Metrics.loss", "LessThanOrEqualTo", "0.5")) == [one]
    assert found(sagemaker, ("HyperParameters.lr", "NotExists", "")) == [two]
    assert found(sagemaker, ("TrainingJobName", "In", f"{one},{two}"), ("Tags.team", "Exists", "")) == [one]
    either = ("TrainingJobName", "Equals", two), ("Tags.team", "Exists", "")
    assert found(sagemaker, *either, operator="Or") == [one, two]
    assert found(sagemaker, ("CreationTime", "LessThan", "2020-01-01T00:00:00Z")) == []
    assert found(sagemaker, ("EnableManagedSpotTraining", "Equals", "true")) == [one, two]
    with pytest.raises(ClientError) as caught:
        found(sagemaker, ("CreationTime", "LessThan", "soon"))
    assert code_of(caught) == "ValidationException"
    pages = sagemaker.get_paginator("search").paginate(Resource="TrainingJob", PaginationConfig={"PageSize": 1})
    assert [len(page["Results"]) for page in pages] == [1, 1]
    assert sagemaker.search(Resource="Experiment")["Results"] == []  # moto's


def test_a_name_is_taken_until_the_job_is_deleted(server: Server) -> None:
    sagemaker, name = client(server, "sagemaker"), name_of("taken")
    sagemaker.create_training_job(**request(name))
    with pytest.raises(ClientError) as caught:
        sagemaker.create_training_job(**request(name))
    assert code_of(caught) == "ResourceInUse"
    ended(sagemaker, name)
    sagemaker.delete_training_job(TrainingJobName=name)
    sagemaker.create_training_job(**request(name))


def test_regions_have_jobs_of_their_own(server: Server) -> None:
    here, there, name = client(server, "sagemaker"), client(server, "sagemaker", "eu-west-1"), name_of("region")
    here.create_training_job(**request(name))
    with pytest.raises(ClientError):
        there.describe_training_job(TrainingJobName=name)
    assert ":eu-west-1:" in there.create_training_job(**request(name))["TrainingJobArn"]


@pytest.mark.parametrize("operation", ["describe", "stop", "delete", "update"])
def test_a_job_that_is_not_there_is_not_found(server: Server, operation: str) -> None:
    with pytest.raises(ClientError) as caught:
        getattr(client(server, "sagemaker"), f"{operation}_training_job")(TrainingJobName="nowhere")
    assert code_of(caught) == "ValidationException"  # as the service has it, whatever its model names
    assert caught.value.response["Error"]["Message"] == "Requested resource not found."


def test_a_request_that_breaks_a_rule_is_a_validation_exception(server: Server) -> None:
    with pytest.raises(ClientError) as caught:
        client(server, "sagemaker").create_training_job(**request("a_job"))
    assert code_of(caught) == "ValidationException"


def test_a_plans_tag_that_is_not_understood_is_refused(server: Server) -> None:
    tags = [{"Key": "spot-simulator:plan", "Value": "soon"}]
    with pytest.raises(ClientError) as caught:
        client(server, "sagemaker").create_training_job(**request(name_of("tag"), Tags=tags))
    assert code_of(caught) == "ValidationException"


def test_the_log_is_in_cloudwatch_logs_under_the_services_names(server: Server) -> None:
    sagemaker, logs, name = client(server, "sagemaker"), client(server, "logs"), name_of("logs")
    sagemaker.create_training_job(**request(name))
    ended(sagemaker, name)
    streams = logs.describe_log_streams(logGroupName=LOG_GROUP, logStreamNamePrefix=f"{name}/")["logStreams"]
    (stream,) = [each["logStreamName"] for each in streams]
    assert stream.startswith(f"{name}/algo-1-")
    events = logs.get_log_events(logGroupName=LOG_GROUP, logStreamName=stream, startFromHead=True)["events"]
    assert [event["message"] for event in events] == ["step=1 loss=0.5"]


def test_every_state_is_an_event_on_the_default_bus(server: Server) -> None:
    sagemaker, events, sqs = client(server, "sagemaker"), client(server, "events"), client(server, "sqs")
    queue = sqs.create_queue(QueueName=name_of("states"))["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    name = name_of("events")
    pattern = {"source": ["aws.sagemaker"], "detail": {"TrainingJobName": [name]}}
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": queue_arn}])
    sagemaker.create_training_job(**request(name))
    told: list[dict[str, Any]] = []

    def has_completed() -> bool:
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            told.append(json.loads(message["Body"]))
        return any(event["detail"]["SecondaryStatus"] == "Completed" for event in told)

    wait_until(has_completed, "the event of the end")
    assert {event["detail-type"] for event in told} == {"SageMaker Training Job State Change"}
    last = next(event for event in told if event["detail"]["SecondaryStatus"] == "Completed")
    assert last["detail"]["TrainingJobStatus"] == "Completed"
    assert last["detail"]["CreationTime"] > 1e12


def test_jobs_are_listed_by_filter_order_and_page(server: Server) -> None:
    sagemaker, group = client(server, "sagemaker"), name_of("list")
    names = [f"{group}-{number}" for number in range(5)]
    for name in names:
        sagemaker.create_training_job(**request(name))
        ended(sagemaker, name)
    pages = sagemaker.get_paginator("list_training_jobs").paginate(
        NameContains=group, SortBy="Name", SortOrder="Descending", PaginationConfig={"PageSize": 2}
    )
    sizes = [[each["TrainingJobName"] for each in page["TrainingJobSummaries"]] for page in pages]
    assert sizes == [names[:2:-1], names[2:0:-1], names[:1]]
    assert sagemaker.list_training_jobs(NameContains=group, StatusEquals="Failed")["TrainingJobSummaries"] == []
    later = datetime.now(UTC) + timedelta(hours=1)
    assert sagemaker.list_training_jobs(NameContains=group, CreationTimeAfter=later)["TrainingJobSummaries"] == []
    assert (
        len(sagemaker.list_training_jobs(NameContains=group, LastModifiedTimeBefore=later)["TrainingJobSummaries"]) == 5
    )


def test_a_token_that_nobody_gave_is_refused(server: Server) -> None:
    with pytest.raises(ClientError) as caught:
        client(server, "sagemaker").list_training_jobs(NextToken="bm9uc2Vuc2U")
    assert code_of(caught) == "ValidationException"


def test_tags_are_kept_added_and_deleted(server: Server) -> None:
    sagemaker, name = client(server, "sagemaker"), name_of("tags")
    arn = sagemaker.create_training_job(**request(name, Tags=[{"Key": "a", "Value": "1"}]))["TrainingJobArn"]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "b", "Value": "2"}])
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["a"])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": "2"}]


def test_other_operations_of_sagemaker_are_motos(server: Server) -> None:
    sagemaker = client(server, "sagemaker")
    arn = sagemaker.create_model(ModelName="a-model", ExecutionRoleArn=request("x")["RoleArn"])["ModelArn"]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "1"}]
    assert client(server, "sts").get_caller_identity()["Account"] == "123456789012"


def test_input_data_that_is_not_there_fails_the_job_and_says_so(server: Server) -> None:
    sagemaker, name = client(server, "sagemaker"), name_of("nodata")
    client(server, "s3").create_bucket(Bucket="empty")
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://empty/train"}
    channels = [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}]
    sagemaker.create_training_job(**request(name, InputDataConfig=channels))
    told = ended(sagemaker, name)
    assert statuses(told) == ["Starting", "Downloading", "Failed"]
    assert told["FailureReason"].startswith("ClientError: Data download failed: No S3 objects found")


def test_an_interrupted_job_says_so_in_its_transitions(waiting: Server) -> None:
    sagemaker, name = client(waiting, "sagemaker"), name_of("interrupted")
    sagemaker.create_training_job(**request(name))
    in_training(sagemaker, name)
    assert call(waiting, "POST", f"/_spot/jobs/{name}/interrupt")[0] == 202
    told = ended(sagemaker, name)
    assert statuses(told) == [
        *("Starting", "Downloading", "Training", "Interrupted"),
        *("Starting", "Downloading", "Training", "Uploading", "Completed"),
    ]
    assert told["BillableTimeInSeconds"] <= told["TrainingTimeInSeconds"]
    status, timeline = call(waiting, "GET", f"/_spot/jobs/{name}/timeline")
    assert status == 200 and b'"notice-given"' in timeline


def test_a_job_without_spot_is_not_interrupted(waiting: Server) -> None:
    sagemaker, name = client(waiting, "sagemaker"), name_of("ondemand")
    sagemaker.create_training_job(**request(name, spot=False))
    in_training(sagemaker, name)
    status, told = call(waiting, "POST", f"/_spot/jobs/{name}/interrupt")
    assert status == 400 and b"EnableManagedSpotTraining" in told
    sagemaker.stop_training_job(TrainingJobName=name)
    ended(sagemaker, name)


def test_a_stopped_job_ends_stopped_with_its_model(waiting: Server) -> None:
    sagemaker, name = client(waiting, "sagemaker"), name_of("stopped")
    sagemaker.create_training_job(**request(name))
    in_training(sagemaker, name)
    sagemaker.stop_training_job(TrainingJobName=name)
    assert sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] in ("Stopping", "Stopped")
    told = ended(sagemaker, name)
    assert statuses(told)[-2:] == ["Stopping", "Stopped"]
    client(waiting, "s3").head_object(Bucket=BUCKET, Key=f"out/{name}/output/model.tar.gz")
    with pytest.raises(ClientError) as caught:
        sagemaker.stop_training_job(TrainingJobName=name)
    assert code_of(caught) == "ValidationException"


def test_a_running_job_is_neither_deleted_nor_lost(waiting: Server) -> None:
    sagemaker, name = client(waiting, "sagemaker"), name_of("running")
    sagemaker.create_training_job(**request(name))
    with pytest.raises(ClientError) as caught:
        sagemaker.delete_training_job(TrainingJobName=name)
    assert code_of(caught) == "ResourceInUse"
    sagemaker.stop_training_job(TrainingJobName=name)
    ended(sagemaker, name)


def test_an_update_is_described(waiting: Server) -> None:
    sagemaker, name = client(waiting, "sagemaker"), name_of("update")
    sagemaker.create_training_job(**request(name))
    sagemaker.update_training_job(TrainingJobName=name, ProfilerConfig={"DisableProfiler": True})
    assert sagemaker.describe_training_job(TrainingJobName=name)["ProfilerConfig"] == {"DisableProfiler": True}
    sagemaker.stop_training_job(TrainingJobName=name)
    ended(sagemaker, name)


def test_a_job_that_waits_too_long_for_capacity_exceeds_its_wait(tmp_path: Path) -> None:
    with serving(tmp_path, at_once, default_plan=JobPlan(capacity_gaps=(60,))) as server:
        sagemaker, name = client(server, "sagemaker"), name_of("gap")
        condition = {"MaxRuntimeInSeconds": 1, "MaxWaitTimeInSeconds": 1}
        sagemaker.create_training_job(**request(name, StoppingCondition=condition))
        told = ended(sagemaker, name)
    assert statuses(told) == ["Starting", "Stopping", "MaxWaitTimeExceeded"]
    assert (told["TrainingJobStatus"], told["SecondaryStatus"]) == ("Stopped", "MaxWaitTimeExceeded")


def test_a_job_that_trains_too_long_exceeds_its_runtime_and_keeps_its_model(waiting: Server) -> None:
    sagemaker, name = client(waiting, "sagemaker"), name_of("runtime")
    condition = {"MaxRuntimeInSeconds": 1, "MaxWaitTimeInSeconds": 60}
    sagemaker.create_training_job(**request(name, StoppingCondition=condition))
    told = ended(sagemaker, name)
    assert statuses(told) == ["Starting", "Downloading", "Training", "Stopping", "MaxRuntimeExceeded"]
    assert (told["TrainingJobStatus"], told["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    client(waiting, "s3").head_object(Bucket=BUCKET, Key=f"out/{name}/output/model.tar.gz")


def test_spot_without_checkpoints_runs_as_the_service_runs_it_and_is_found_at_fault(server: Server) -> None:
    sagemaker, name = client(server, "sagemaker"), name_of("unkept")
    asked = request(name)
    del asked["CheckpointConfig"]
    sagemaker.create_training_job(**asked)
    assert ended(sagemaker, name)["TrainingJobStatus"] == "Completed"
    entry = server.register.named(name)
    assert entry.reported.wait(60) and entry.folder is not None
    report = json.loads((entry.folder / "report.json").read_text())
    assert [finding["rule"] for finding in report["findings"]] == ["SPOT016"]


def test_a_job_has_its_run_folder_with_reports(server: Server) -> None:
    sagemaker, name = client(server, "sagemaker"), name_of("folder")
    sagemaker.create_training_job(**request(name))
    assert server.register.named(name).reported.wait(60)
    told = json.loads(call(server, "GET", f"/_spot/jobs/{name}")[1])
    assert {"report.json", "timeline.jsonl", "report.html", "logs"} <= {
        path.name for path in Path(told["folder"]).iterdir()
    }
    assert told["job"]["TrainingJobStatus"] == "Completed"


def test_the_live_page_has_a_jobs_countdown_and_its_report(waiting: Server) -> None:
    sagemaker, name = client(waiting, "sagemaker"), name_of("page")
    sagemaker.create_training_job(**request(name, Tags=[{"Key": "spot-simulator:plan", "Value": "none warning:30"}]))
    in_training(sagemaker, name)
    assert told_of(waiting, name)["interruptible"]
    assert call(waiting, "GET", f"/_spot/jobs/{name}/report")[0] == 404
    call(waiting, "POST", f"/_spot/jobs/{name}/interrupt")
    wait_until(lambda: told_of(waiting, name)["countdown"] is not None, "the notice")
    coming = told_of(waiting, name)["countdown"]
    assert coming["what"] == "SIGTERM"
    assert timedelta(0) < datetime.fromisoformat(coming["at"]) - datetime.now(UTC) <= timedelta(seconds=30)
    assert not told_of(waiting, name)["interruptible"]
    sagemaker.stop_training_job(TrainingJobName=name)
    assert waiting.register.named(name).reported.wait(60)
    assert told_of(waiting, name)["verdict"] in ("survived", "failed", "error")
    status, page = call(waiting, "GET", f"/_spot/jobs/{name}/report")
    assert status == 200 and b"<html" in page


def test_a_browser_gets_the_live_page_and_s3s_clients_their_buckets(server: Server) -> None:
    asked = urllib.request.Request(server.endpoint_url + "/", headers={"Accept": "text/html,*/*"})
    with urllib.request.urlopen(asked) as answer:
        assert b"/_spot/jobs" in answer.read()
    assert "Buckets" in client(server, "s3").list_buckets()


def test_a_reset_forgets_jobs_and_objects(tmp_path: Path) -> None:
    with serving(tmp_path, until_signalled) as server:
        sagemaker, name = client(server, "sagemaker"), name_of("reset")
        sagemaker.create_training_job(**request(name))
        in_training(sagemaker, name)
        assert call(server, "POST", "/_spot/reset")[0] == 200
        assert sagemaker.list_training_jobs()["TrainingJobSummaries"] == []
        assert client(server, "s3").list_buckets()["Buckets"] == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/_spot", 200),
        ("GET", "/_spot/jobs", 200),
        ("GET", "/_spot/jobs/nowhere", 404),
        ("POST", "/_spot/jobs/nowhere/interrupt", 404),
        ("GET", "/_spot/jobs/nowhere/interrupt", 405),
        ("GET", "/_spot/reset", 405),
        ("GET", "/_spot/else", 404),
    ],
)
def test_control_calls_answer_with_a_fitting_status(server: Server, method: str, path: str, status: int) -> None:
    assert call(server, method, path)[0] == status
