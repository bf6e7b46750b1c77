"""What DescribeTrainingJob and ListTrainingJobs answer: the request as it was given, and what happened since."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from simulator.core.clock import as_iso
from simulator.core.job import CHECKPOINT_LOCAL_PATH
from simulator.core.lifecycle import MESSAGES, SecondaryStatus, TrainingJobStatus
from simulator.reports.describe_job import describe_job
from simulator.service.errors import ValidationException
from simulator.service.jobs import JobEntry
from simulator.service.request_job import keeps_warm

DEFAULT_MAX_RESULTS = 10  # ListTrainingJobs: "The default value is 10."
OF_THE_RUN = (
    "LastModifiedTime",
    "TrainingStartTime",
    "TrainingEndTime",
    "SecondaryStatusTransitions",
    "FinalMetricDataList",
    "FailureReason",
)


def model_artifacts_uri(entry: JobEntry) -> str:
    """Where the model goes: S3OutputPath/JOB/output/model.tar.gz."""
    return output_prefix(entry.request, entry.name) + "model.tar.gz"


def output_prefix(request: Mapping[str, Any], name: str) -> str:
    """S3OutputPath/JOB/output/."""
    return f"{str(request['OutputDataConfig']['S3OutputPath']).rstrip('/')}/{name}/output/"


def describe(entry: JobEntry) -> dict[str, Any]:
    """DescribeTrainingJob's answer."""
    told = describe_job(entry)
    answer = {
        **{name: value for name, value in entry.request.items() if name != "Tags"},
        **{name: told[name] for name in OF_THE_RUN if name in told},
        **_seconds(entry, told),
        "TrainingJobName": entry.name,
        "TrainingJobArn": entry.arn,
        "ModelArtifacts": {"S3ModelArtifacts": model_artifacts_uri(entry)},
        "OutputDataConfig": {"KmsKeyId": "", **entry.request["OutputDataConfig"]},  # SDK v2's attach() reads it
        "TrainingJobStatus": entry.status.value,
        "SecondaryStatus": entry.secondary.value,
        "CreationTime": entry.created_at,
        "StoppingCondition": {"MaxRuntimeInSeconds": 86_400, **entry.request.get("StoppingCondition", {})},
        "EnableNetworkIsolation": bool(entry.request.get("EnableNetworkIsolation")),
        "EnableInterContainerTrafficEncryption": bool(entry.request.get("EnableInterContainerTrafficEncryption")),
        "EnableManagedSpotTraining": entry.is_spot,
        "WarmPoolStatus": _warm_pool(entry),
    }
    if "CheckpointConfig" in entry.request:
        answer["CheckpointConfig"] = {"LocalPath": CHECKPOINT_LOCAL_PATH, **entry.request["CheckpointConfig"]}
    own = {metric["Name"] for metric in _algorithm(entry).get("MetricDefinitions", [])}
    answer["FinalMetricDataList"] = [each for each in told["FinalMetricDataList"] if each["MetricName"] in own]
    if entry.failure_reason is not None:
        answer["FailureReason"] = entry.failure_reason
    if not told["SecondaryStatusTransitions"]:
        answer["SecondaryStatusTransitions"] = [_starting(entry)]
        answer["LastModifiedTime"] = entry.created_at
    return answer


def _seconds(entry: JobEntry, told: Mapping[str, Any]) -> dict[str, int]:
    """TrainingTimeInSeconds and BillableTimeInSeconds of a job that has ended and had an instance; the model's least
    value of both is 1."""
    if not entry.is_over or "TrainingStartTime" not in told:
        return {}
    return {name: max(1, told[name]) for name in ("TrainingTimeInSeconds", "BillableTimeInSeconds")}


def _warm_pool(entry: JobEntry) -> dict[str, Any] | None:
    """WarmPoolStatus. No pool is kept here: one that was asked for has gone when the job ends, and cost nothing."""
    if not keeps_warm(entry.request) or not entry.is_over:
        return None
    return {"Status": "Terminated", "ResourceRetainedBillableTimeInSeconds": 0}


def _algorithm(entry: JobEntry) -> Mapping[str, Any]:
    algorithm: Mapping[str, Any] = entry.request.get("AlgorithmSpecification", {})
    return algorithm


def _starting(entry: JobEntry) -> dict[str, str]:
    starting = SecondaryStatus.STARTING
    return {"Status": starting.value, "StartTime": as_iso(entry.created_at), "StatusMessage": MESSAGES[starting]}


def summary(entry: JobEntry) -> dict[str, Any]:
    """One of ListTrainingJobs' TrainingJobSummaries."""
    return {
        "TrainingJobName": entry.name,
        "TrainingJobArn": entry.arn,
        "CreationTime": entry.created_at,
        "TrainingEndTime": entry.training_ended_at,
        "LastModifiedTime": entry.modified_at,
        "TrainingJobStatus": entry.status.value,
        "SecondaryStatus": entry.secondary.value,
        "WarmPoolStatus": _warm_pool(entry),
    }


def list_jobs(entries: list[JobEntry], request: Mapping[str, Any]) -> dict[str, Any]:
    """ListTrainingJobs' answer: filtered, sorted, and from where NextToken says. Raises ValidationException for a
    token that this server did not give."""
    chosen = [entry for entry in entries if _passes(entry, request)]
    key = _SORTED_BY[request.get("SortBy", "CreationTime")]
    descending = request.get("SortOrder") == "Descending"
    rows = sorted(((key(entry), entry.name, entry) for entry in chosen), key=lambda row: row[:2], reverse=descending)
    if "NextToken" in request:
        after = _read_token(request["NextToken"])
        rows = [row for row in rows if (row[:2] < after if descending else row[:2] > after)]
    size = request.get("MaxResults", DEFAULT_MAX_RESULTS)
    page = rows[:size]
    answer: dict[str, Any] = {"TrainingJobSummaries": [summary(entry) for _, _, entry in page]}
    if len(rows) > size:
        answer["NextToken"] = _token(page[-1][0], page[-1][1])
    return answer


_SORTED_BY: Mapping[str, Callable[[JobEntry], str]] = {
    "Name": lambda entry: entry.name,
    "CreationTime": lambda entry: entry.created_at.isoformat(timespec="microseconds"),
    "Status": lambda entry: entry.status.value,
}


def _passes(entry: JobEntry, request: Mapping[str, Any]) -> bool:
    if "TrainingPlanArnEquals" in request:
        return False  # no job here has a training plan
    if "WarmPoolStatusEquals" in request and request["WarmPoolStatusEquals"] != (_warm_pool(entry) or {}).get("Status"):
        return False
    times = (("CreationTime", entry.created_at), ("LastModifiedTime", entry.modified_at))
    return (
        str(request.get("NameContains", "")).lower() in entry.name.lower()
        and TrainingJobStatus(request.get("StatusEquals", entry.status.value)) is entry.status
        and all(moment > _moment(request[f"{n}After"]) for n, moment in times if f"{n}After" in request)
        and all(moment < _moment(request[f"{n}Before"]) for n, moment in times if f"{n}Before" in request)
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _token(key: str, name: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([key, name]).encode()).decode()


def _read_token(token: str) -> tuple[str, str]:
    try:
        key, name = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError, binascii.Error):
        raise ValidationException("Invalid NextToken") from None
    if not isinstance(key, str) or not isinstance(name, str):
        raise ValidationException("Invalid NextToken")
    return key, name
