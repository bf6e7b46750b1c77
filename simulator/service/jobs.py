"""The training jobs that the server knows: one entry a job, and the register that finds them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from simulator.core.job import ACCOUNT_ID, TrainingJob
from simulator.core.lifecycle import FINAL, SecondaryStatus, TrainingJobStatus, status_of
from simulator.core.plan import Plan
from simulator.core.timeline import Event, Kind, Timeline
from simulator.engine.job_run import JobRun
from simulator.service.errors import ResourceInUse, ResourceNotFound, ValidationException

RUNNING = "the job has not ended"


@dataclass
class JobEntry:
    """One job, from CreateTrainingJob on. `request` is the request as it was checked. `started_at` is the wall clock at
    second 0 of `timeline`; `folder` holds its reports once it has ended. It is what `describe_job` describes."""

    request: dict[str, Any]
    region: str
    job: TrainingJob
    plan: Plan
    tags: dict[str, str] = field(default_factory=dict)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    timeline: Timeline = field(default_factory=Timeline)
    folder: Path | None = None
    failure_reason: str | None = None
    run: JobRun | None = None
    stop_asked: bool = False
    verdict: str | None = None  # once the job was judged
    verdict_told: str | None = None  # the same in words
    reported: threading.Event = field(default_factory=threading.Event)  # set once the run's reports are written
    _secondary: SecondaryStatus = SecondaryStatus.STARTING
    _modified_at: datetime | None = None
    _training_ended_at: datetime | None = None

    @property
    def name(self) -> str:
        """TrainingJobName."""
        return self.job.TrainingJobName

    @property
    def arn(self) -> str:
        """TrainingJobArn."""
        return self.job.arn

    @property
    def is_spot(self) -> bool:
        """EnableManagedSpotTraining."""
        return bool(self.request.get("EnableManagedSpotTraining"))

    @property
    def secondary(self) -> SecondaryStatus:
        """SecondaryStatus now; Stopping from the moment on that a stop was asked for."""
        return SecondaryStatus.STOPPING if self.stop_asked and not self.is_over else self._secondary

    @property
    def status(self) -> TrainingJobStatus:
        """TrainingJobStatus now."""
        return status_of(self.secondary)

    @property
    def is_over(self) -> bool:
        """Whether the job has come to its end; its reports may still be written."""
        return self._secondary in FINAL

    @property
    def partial(self) -> str | None:
        """None once the job is over."""
        return None if self.is_over else RUNNING

    @property
    def modified_at(self) -> datetime:
        """LastModifiedTime."""
        return self._modified_at or self.created_at

    @property
    def training_ended_at(self) -> datetime | None:
        """TrainingEndTime."""
        return self._training_ended_at

    @property
    def log_streams(self) -> dict[str, str]:
        """The streams of CloudWatch Logs by host: JOB/algo-N-EPOCH, of the second at which the job was created."""
        return {host: f"{self.name}/{host}-{int(self.created_at.timestamp())}" for host in self.job.hosts}

    def wall(self, at: float) -> datetime:
        """The wall clock at a run second."""
        return self.started_at + timedelta(seconds=at)

    def take(self, event: Event) -> None:
        """Take in what happened, as the recorder's listener."""
        if event.kind is Kind.SECONDARY_STATUS:
            self._secondary = SecondaryStatus(event.data["status"])
            self._modified_at = self.wall(event.at)
            if self.is_over:
                self._training_ended_at = self._modified_at

    def touch(self) -> None:
        """The job was modified now."""
        self._modified_at = datetime.now(UTC)


class Register:
    """All jobs by region and name. Thread-safe; its entries belong to their jobs' threads."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], JobEntry] = {}
        self._lock = threading.Lock()

    def add(self, entry: JobEntry) -> None:
        """Raises ResourceInUse for a name that is taken in the account and region."""
        with self._lock:
            taken = self._entries.get((entry.region, entry.name))
            if taken is not None:
                raise ResourceInUse(
                    "Training job names must be unique within an AWS account and region, and a training job with this "
                    f"name already exists ({taken.arn})"
                )
            self._entries[entry.region, entry.name] = entry

    def get(self, region: str, name: str) -> JobEntry:
        """Raises ValidationException. The model names ResourceNotFound; the service has never sent that here
        (aws/aws-sdk#165, boto/boto3#2808), and Terraform's provider and ACK's controller look for these words."""
        with self._lock:
            entry = self._entries.get((region, name))
        if entry is None:
            raise ValidationException("Requested resource not found.")
        return entry

    def of_arn(self, arn: str) -> JobEntry:
        """Raises ResourceNotFound, and ValidationException as `get` does."""
        parts = arn.split(":")
        if len(parts) != 6 or parts[4] != ACCOUNT_ID:
            raise ResourceNotFound(f"There is no training job {arn}")
        return self.get(parts[3], parts[5].partition("/")[2])

    def named(self, name: str) -> JobEntry:
        """The job of a name in whatever region; the newest where several have it. Raises ResourceNotFound."""
        found = [entry for entry in self.all() if entry.name == name]
        if not found:
            raise ResourceNotFound(f"There is no training job {name}")
        return max(found, key=lambda entry: entry.created_at)

    def all(self) -> list[JobEntry]:
        """Every job."""
        with self._lock:
            return list(self._entries.values())

    def remove(self, entry: JobEntry, only_if: Callable[[JobEntry], bool] = lambda entry: True) -> bool:
        """Forget a job if it is still as `only_if` wants it."""
        with self._lock:
            if not only_if(entry):
                return False
            return self._entries.pop((entry.region, entry.name), None) is not None

    def __iter__(self) -> Iterator[JobEntry]:
        return iter(self.all())
