"""State machines that train: moto's Step Functions runs them, against this server, with SageMaker's `.sync`.

moto only keeps state machines unless it is told to run them, asks another port than ours, and leaves SageMaker's
`.sync` out. What it needs for all three takes a second to import, so that it is brought in by the first request for it.
"""

from __future__ import annotations

import io
import json
import logging
import os
import threading
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from simulator.service.api import Answer
from simulator.service.application import take_body

TARGET = "AWSStepFunctions."
SUCCEEDED = ("Completed", "Stopped")  # of TrainingJobStatus: a task that waits for one of these has its output
OVER = (*SUCCEEDED, "Failed")
MODELED = ("ResourceInUse", "ResourceLimitExceeded", "ResourceNotFound")

_making = threading.Lock()


class StateMachines:
    """An interceptor that answers nothing: it has moto ready before moto is asked. `port` is this server's."""

    def __init__(self, port: Callable[[], int]) -> None:
        self._port = port

    def __call__(self, environ: dict[str, Any]) -> Answer | None:
        """Prepare moto, if the request is one of Step Functions'."""
        target = str(environ.get("HTTP_X_AMZ_TARGET", ""))
        if target.startswith(TARGET):
            with _making:
                os.environ["MOTO_PORT"] = str(self._port())  # where moto's tasks find the services
                _prepare()
        if target == f"{TARGET}StartExecution":
            _name_execution(environ)
        return None


def _name_execution(environ: dict[str, Any]) -> None:
    """An execution that has no name gets one: moto 5.2 calls all of those None, and tells of the first alone."""
    try:
        asked = json.loads(take_body(environ))
    except ValueError:
        return
    if isinstance(asked, dict) and not asked.get("name"):
        body = json.dumps(asked | {"name": str(uuid.uuid4())}).encode()
        environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))


def _prepare() -> None:
    from moto.core.config import default_user_config
    from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service_factory

    logging.getLogger("moto.stepfunctions").setLevel(logging.CRITICAL)  # a failing task is the machine's to tell of
    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    if not getattr(state_task_service_factory, "_spot_simulator", False):
        state_task_service_factory.StateTaskServiceUnsupported = _make_service()  # what it makes for `sagemaker`
        state_task_service_factory._spot_simulator = True


def in_milliseconds(value: Any) -> Any:
    """The same with every instant as Step Functions has it in a task's output: epoch milliseconds."""
    if isinstance(value, dict):
        return {name: in_milliseconds(each) for name, each in value.items()}
    if isinstance(value, list):
        return [in_milliseconds(each) for each in value]
    return round(value.timestamp() * 1000) if isinstance(value, datetime) else value


def error_name(error: ClientError) -> str:
    """The name that a state machine's Retry and Catch know a refusal of SageMaker's by."""
    code = str(error.response["Error"]["Code"])
    return f"SageMaker.{code}Exception" if code in MODELED else "SageMaker.AmazonSageMakerException"


class _Waiting:
    """Polled by moto until the job has ended: None, then its description. `failed` makes the task's failure of one."""

    def __init__(self, client: Any, name: str, failed: Callable[[Any], Exception]) -> None:
        self._client, self._name, self._failed = client, name, failed

    def __call__(self) -> Any:
        told = self._client.describe_training_job(TrainingJobName=self._name)
        if told["TrainingJobStatus"] not in OVER:
            return None
        told.pop("ResponseMetadata", None)
        if told["TrainingJobStatus"] not in SUCCEEDED:
            raise self._failed(in_milliseconds(told))
        return in_milliseconds(told)

    def stop(self) -> None:
        """Stop the job: its execution was stopped, or waited too long."""
        try:
            self._client.stop_training_job(TrainingJobName=self._name)
        except ClientError:
            return  # it has ended meanwhile


def _make_service() -> type:
    from moto.stepfunctions.parser.api import HistoryEventType, TaskFailedEventDetails
    from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
    from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
        FailureEvent,
        FailureEventException,
    )
    from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
    from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
    from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import ResourceCondition
    from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback import (
        StateTaskServiceCallback,
    )
    from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_unsupported import (
        StateTaskServiceUnsupported,
    )
    from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
    from moto.stepfunctions.parser.asl.utils.boto_client import boto_client_for
    from moto.stepfunctions.parser.asl.utils.encoding import to_json_str

    class Service(StateTaskServiceUnsupported):  # type: ignore[misc]  # moto gives no types
        """moto's service for what it does not know, which hands calls on; createTrainingJob can be waited for."""

        def __init__(self) -> None:
            patterns = {ResourceCondition.WaitForTaskToken, ResourceCondition.Sync}
            StateTaskServiceCallback.__init__(self, supported_integration_patterns=patterns)

        def _log_unsupported_warning(self) -> None:
            pass

        def _build_sync_resolver(
            self, env: Any, resource_runtime_part: Any, normalised_parameters: Any, state_credentials: Any
        ) -> _Waiting:
            action = f"{self.resource.service_name}:{self.resource.api_action}"
            if action != "sagemaker:createTrainingJob":
                raise RuntimeError(f"spot-simulator cannot wait for {action}: neither it nor moto runs that")
            env.stack.pop()  # what createTrainingJob answered: the description takes its place
            client = boto_client_for(resource_runtime_part.region, "sagemaker", state_credentials)
            name = normalised_parameters["TrainingJobName"]
            failed = StatesErrorName(StatesErrorNameType.StatesTaskFailed)
            return _Waiting(client, name, lambda told: self._failure(env, failed, to_json_str(told)))

        def _eval_sync(self, env: Any, sync_resolver: Any, **others: Any) -> Any:
            outcome = super()._eval_sync(env=env, sync_resolver=sync_resolver, **others)
            if outcome is None:
                sync_resolver.stop()
            return outcome

        def _from_error(self, env: Any, ex: Exception) -> Any:
            if isinstance(ex, ClientError):
                details = ex.response["Error"]
                status = ex.response["ResponseMetadata"]["HTTPStatusCode"]
                cause = f"{details['Message']} (Service: AmazonSageMaker; Status Code: {status}; Error Code: "
                return self._failure(env, CustomErrorName(error_name(ex)), f"{cause}{details['Code']})").failure_event
            return super()._from_error(env=env, ex=ex)

        def _failure(self, env: Any, name: Any, cause: str) -> Any:
            details = TaskFailedEventDetails(
                resource=self._get_sfn_resource(),
                resourceType=self._get_sfn_resource_type(),
                error=name.error_name,
                cause=cause,
            )
            return FailureEventException(
                FailureEvent(
                    env=env,
                    error_name=name,
                    event_type=HistoryEventType.TaskFailed,
                    event_details=EventDetails(taskFailedEventDetails=details),
                )
            )

    return Service
