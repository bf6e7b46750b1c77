"""What DescribeTrainingJob would answer about a run, with AWS's field names and in AWS's shapes."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any, Protocol

from simulator.core.billing import billing
from simulator.core.clock import as_iso
from simulator.core.hosts import exit_codes
from simulator.core.job import TrainingJob
from simulator.core.lifecycle import SecondaryStatus, status_of
from simulator.core.timeline import Event, Kind, Timeline

FAILURE_REASON_CHARACTERS = 1024


class Described(Protocol):
    """What is described: a RunRecord, or a job that still runs, whose `partial` says so."""

    @property
    def job(self) -> TrainingJob:
        """The job."""
        ...

    @property
    def timeline(self) -> Timeline:
        """What happened so far."""
        ...

    @property
    def partial(self) -> str | None:
        """None where the job came to its end."""
        ...

    def wall(self, at: float) -> datetime:
        """The wall clock at a run second."""
        ...


def describe_job(record: Described) -> dict[str, Any]:
    """DescribeTrainingJob's answer. Times are ISO 8601 in UTC. Fields that a local run has nothing for (roles, model
    artifacts in S3, instance types) are left out, not made up."""
    job, timeline = record.job, record.timeline
    money = billing(timeline)
    statuses = timeline.of(Kind.SECONDARY_STATUS)
    last_at = max((event.at for event in timeline), default=0.0)
    answer: dict[str, Any] = {
        "TrainingJobName": job.TrainingJobName,
        "TrainingJobArn": job.arn,
        "CreationTime": as_iso(record.wall(timeline_start(timeline))),
        "LastModifiedTime": as_iso(record.wall(last_at)),
        "HyperParameters": dict(job.HyperParameters),
        "AlgorithmSpecification": {
            "TrainingInputMode": "File",
            "MetricDefinitions": [asdict(metric) for metric in job.MetricDefinitions],
            **({"TrainingImage": job.image} if job.image else {}),
        },
        "ResourceConfig": {"InstanceCount": len(job.hosts)},
        "StoppingCondition": {key: value for key, value in asdict(job.StoppingCondition).items() if value is not None},
        "EnableManagedSpotTraining": job.spot,
        **({"CheckpointConfig": asdict(job.CheckpointConfig)} if _has_checkpoints(timeline) else {}),
        "Environment": dict(job.Environment),
        "TrainingTimeInSeconds": round(money.training_seconds),
        "BillableTimeInSeconds": round(money.billable_seconds),
        "SecondaryStatusTransitions": [
            _transition(record, event, statuses[index + 1] if index + 1 < len(statuses) else None)
            for index, event in enumerate(statuses)
        ],
        "FinalMetricDataList": _final_metrics(record),
    }
    if statuses:
        secondary = SecondaryStatus(statuses[-1].data["status"])
        answer |= {"TrainingJobStatus": status_of(secondary).value, "SecondaryStatus": secondary.value}
        if secondary is SecondaryStatus.FAILED:
            answer["FailureReason"] = _failure_reason(timeline)
    if money.training_started_at is not None:
        answer["TrainingStartTime"] = as_iso(record.wall(money.training_started_at))
        if money.training_ended_at is not None:
            answer["TrainingEndTime"] = as_iso(record.wall(money.training_ended_at))
    return answer


def _has_checkpoints(timeline: Timeline) -> bool:
    """Whether the job was asked for with a CheckpointConfig; a job without one is refused."""
    started = timeline.first(Kind.RUN_STARTED)
    return started is None or started.data.get("CheckpointConfig", True) is not None


def timeline_start(timeline: Timeline) -> float:
    """The run second of the first event."""
    return next((event.at for event in timeline), 0.0)


def _transition(record: Described, event: Event, following: Event | None) -> dict[str, str]:
    """Entered at StartTime and left at EndTime; the last one, when it is final, ends when it begins."""
    shape = {"Status": str(event.data["status"]), "StartTime": as_iso(record.wall(event.at))}
    if following is not None:
        shape["EndTime"] = as_iso(record.wall(following.at))
    elif record.partial is None:
        shape["EndTime"] = as_iso(record.wall(event.at))
    return shape | {"StatusMessage": str(event.data.get("message", ""))}


def _final_metrics(record: Described) -> list[dict[str, Any]]:
    last = {str(event.data["name"]): event for event in record.timeline.of(Kind.METRIC)}
    return [
        {"MetricName": name, "Value": event.data["value"], "Timestamp": as_iso(record.wall(event.at))}
        for name, event in last.items()
    ]


def _failure_reason(timeline: Timeline) -> str:
    """/opt/ml/output/failure's first 1024 characters (documented); without that file the exit code, in our words, and
    of several hosts the one that ended with it first."""
    ended = timeline.last(Kind.ATTEMPT_ENDED)
    said = str(ended.data.get("failure_reason") or "") if ended else ""
    code = ended.data.get("exit_code") if ended else None
    exits = exit_codes(timeline, ended.attempt) if ended else {}
    host = next((host for host, its_code in exits.items() if its_code == code), "")
    whose = f"the training process of {host}" if host else "the training process"
    return said[:FAILURE_REASON_CHARACTERS] or f"{whose} ended with exit code {code}"
