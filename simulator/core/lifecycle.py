"""The states of a training job, their order, and the billed seconds. Source: DescribeTrainingJob's reference."""

from __future__ import annotations

from enum import StrEnum


class TrainingJobStatus(StrEnum):
    """TrainingJobStatus of DescribeTrainingJob."""

    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    DELETING = "Deleting"


class SecondaryStatus(StrEnum):
    """SecondaryStatus of DescribeTrainingJob, the ones in use."""

    STARTING = "Starting"
    PENDING = "Pending"
    DOWNLOADING = "Downloading"
    TRAINING = "Training"
    UPLOADING = "Uploading"
    INTERRUPTED = "Interrupted"
    RESTARTING = "Restarting"
    UPDATING = "Updating"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    COMPLETED = "Completed"
    FAILED = "Failed"
    MAX_RUNTIME_EXCEEDED = "MaxRuntimeExceeded"
    MAX_WAIT_TIME_EXCEEDED = "MaxWaitTimeExceeded"


S = SecondaryStatus

_STATUS_OF = {
    S.STOPPING: TrainingJobStatus.STOPPING,
    S.STOPPED: TrainingJobStatus.STOPPED,
    S.MAX_RUNTIME_EXCEEDED: TrainingJobStatus.STOPPED,
    S.MAX_WAIT_TIME_EXCEEDED: TrainingJobStatus.STOPPED,
    S.COMPLETED: TrainingJobStatus.COMPLETED,
    S.FAILED: TrainingJobStatus.FAILED,
}

FINAL = frozenset({S.STOPPED, S.MAX_RUNTIME_EXCEEDED, S.MAX_WAIT_TIME_EXCEEDED, S.COMPLETED, S.FAILED})

_NEXT: dict[SecondaryStatus | None, frozenset[SecondaryStatus]] = {
    None: frozenset({S.STARTING, S.PENDING}),
    S.PENDING: frozenset({S.STARTING, S.STOPPING}),
    S.STARTING: frozenset({S.RESTARTING, S.DOWNLOADING, S.INTERRUPTED, S.STOPPING, S.FAILED}),
    S.DOWNLOADING: frozenset({S.RESTARTING, S.TRAINING, S.INTERRUPTED, S.STOPPING, S.FAILED}),
    S.TRAINING: frozenset({S.RESTARTING, S.UPLOADING, S.INTERRUPTED, S.STOPPING, S.FAILED}),
    S.UPLOADING: frozenset({S.RESTARTING, S.COMPLETED, S.FAILED, S.STOPPED, S.MAX_RUNTIME_EXCEEDED}),
    S.INTERRUPTED: frozenset({S.STARTING, S.RESTARTING, S.STOPPING}),
    S.RESTARTING: frozenset({S.STARTING, S.STOPPING}),
    S.STOPPING: frozenset({S.STOPPED, S.MAX_RUNTIME_EXCEEDED, S.MAX_WAIT_TIME_EXCEEDED, S.UPLOADING, S.FAILED}),
}

MESSAGES = {
    S.PENDING: "Waiting for an instance",
    S.STARTING: "Launching requested ML instances",
    S.DOWNLOADING: "Downloading input data and checkpoints",
    S.TRAINING: "Training image started; training in progress",
    S.UPLOADING: "Uploading generated training model",
    S.INTERRUPTED: "The spot instance was reclaimed",
    S.RESTARTING: "Restarting the training job after an internal error",
    S.STOPPING: "Stopping the training job",
    S.STOPPED: "Training job stopped",
    S.COMPLETED: "Training job completed",
    S.FAILED: "Training job failed",
    S.MAX_RUNTIME_EXCEEDED: "Training job runtime exceeded MaxRuntimeInSeconds",
    S.MAX_WAIT_TIME_EXCEEDED: "Training job runtime and waiting exceeded MaxWaitTimeInSeconds",
}
"""Our words: AWS documents its own texts as unstable."""


def status_of(secondary: SecondaryStatus) -> TrainingJobStatus:
    """TrainingJobStatus under which a SecondaryStatus falls; Interrupted is InProgress."""
    return _STATUS_OF.get(secondary, TrainingJobStatus.IN_PROGRESS)


def may_follow(before: SecondaryStatus | None, after: SecondaryStatus) -> bool:
    """Whether `after` may come next; None is a job not yet created."""
    return after in _NEXT.get(before, frozenset())


def savings_percent(training_seconds: float, billable_seconds: float) -> float:
    """(1 − BillableTimeInSeconds / TrainingTimeInSeconds) × 100, as the service prints; 0 where nothing was trained."""
    if training_seconds <= 0:
        return 0.0
    return (1 - billable_seconds / training_seconds) * 100
