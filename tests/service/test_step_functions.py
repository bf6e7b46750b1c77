"""State machines whose tasks are training jobs: moto runs them, and the jobs are really run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.service.server import Server
from tests.engine.fakes import Container
from tests.service.serving import ROLE, at_once, client, name_of, request, serving, until_signalled, wait_until

SYNC = "sagemaker:createTrainingJob.sync"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server"), at_once) as running:
        yield running


def fails(_: Container) -> int:
    return 1


def start_machine(server: Server, machine: str) -> str:
    arn: str = client(server, "stepfunctions").start_execution(stateMachineArn=machine, input="{}")["executionArn"]
    return arn


def start(server: Server, resource: str, asked: dict[str, Any], **state: Any) -> str:
    """The ARN of an execution of a machine that has one task."""
    machines = client(server, "stepfunctions")
    task = {"Type": "Task", "Resource": f"arn:aws:states:::{resource}", "Parameters": asked, "End": True} | state
    definition = {"StartAt": "Train", "States": {"Train": task, "Caught": {"Type": "Pass", "End": True}}}
    name = asked["TrainingJobName"]
    made = machines.create_state_machine(name=name, definition=json.dumps(definition), roleArn=ROLE)
    return start_machine(server, made["stateMachineArn"])


def ended(server: Server, arn: str) -> dict[str, Any]:
    told: dict[str, Any] = {}

    def is_over() -> bool:
        told.update(client(server, "stepfunctions").describe_execution(executionArn=arn))
        return bool(told["status"] != "RUNNING")

    wait_until(is_over, "the execution to end")
    return told


def test_sync_waits_for_the_job_and_has_its_description_as_output(server: Server) -> None:
    name = name_of("waited-for")
    told = ended(server, start(server, SYNC, request(name)))
    assert told["status"] == "SUCCEEDED", told
    output = json.loads(told["output"])
    assert (output["TrainingJobName"], output["TrainingJobStatus"]) == (name, "Completed")
    assert output["ModelArtifacts"]["S3ModelArtifacts"].endswith("model.tar.gz")
    assert isinstance(output["CreationTime"], int)  # milliseconds, as Step Functions has instants
    described = client(server, "sagemaker").describe_training_job(TrainingJobName=name)
    assert "Training" in [each["Status"] for each in described["SecondaryStatusTransitions"]]


@pytest.mark.parametrize("resource", ["sagemaker:createTrainingJob", "aws-sdk:sagemaker:createTrainingJob"])
def test_a_task_that_does_not_wait_has_the_jobs_arn(server: Server, resource: str) -> None:
    name = name_of("not-waited-for")
    told = ended(server, start(server, resource, request(name)))
    assert told["status"] == "SUCCEEDED", told
    assert json.loads(told["output"])["TrainingJobArn"].endswith(f":training-job/{name}")


def test_a_job_that_fails_fails_the_task_which_can_catch_it(tmp_path: Path) -> None:
    caught = {"Catch": [{"ErrorEquals": ["States.TaskFailed"], "Next": "Caught"}]}
    with serving(tmp_path, fails) as server:
        told = ended(server, start(server, SYNC, request(name_of("caught")), **caught))
        uncaught = ended(server, start(server, SYNC, request(name_of("uncaught"))))
    assert told["status"] == "SUCCEEDED", told
    output = json.loads(told["output"])
    assert output["Error"] == "States.TaskFailed"
    assert json.loads(output["Cause"])["TrainingJobStatus"] == "Failed"
    assert (uncaught["status"], uncaught["error"]) == ("FAILED", "States.TaskFailed")


def test_a_request_that_is_refused_has_the_services_error_name(server: Server) -> None:
    told = ended(server, start(server, SYNC, request(name_of("bad"), StoppingCondition={})))
    assert (told["status"], told["error"]) == ("FAILED", "SageMaker.AmazonSageMakerException")
    assert "MaxWaitTimeInSeconds" in told["cause"]


def test_executions_without_a_name_are_told_apart(server: Server) -> None:
    arn = start(server, SYNC, request(name_of("twice")))
    assert ended(server, arn)["status"] == "SUCCEEDED"
    again = start_machine(
        server, client(server, "stepfunctions").describe_execution(executionArn=arn)["stateMachineArn"]
    )
    told = ended(server, again)
    assert (told["status"], told["error"]) == ("FAILED", "SageMaker.ResourceInUseException")  # the job's name is taken


def test_an_execution_that_is_stopped_stops_its_job(tmp_path: Path) -> None:
    with serving(tmp_path, until_signalled) as server:
        sagemaker, name = client(server, "sagemaker"), name_of("endless")

        def state() -> str:
            jobs = sagemaker.list_training_jobs(NameContains=name)["TrainingJobSummaries"]
            return str(sagemaker.describe_training_job(TrainingJobName=name)["SecondaryStatus"]) if jobs else "none"

        arn = start(server, SYNC, request(name))
        wait_until(lambda: state() == "Training", "the job to train")
        client(server, "stepfunctions").stop_execution(executionArn=arn)
        assert ended(server, arn)["status"] == "ABORTED"
        wait_until(lambda: state() == "Stopped", "the job to stop")
