"""What a job's seconds cost: TrainingTimeInSeconds and BillableTimeInSeconds, from the job's own status transitions."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.core.lifecycle import FINAL, SecondaryStatus, savings_percent
from simulator.core.timeline import Event, Kind, Timeline


@dataclass(frozen=True)
class Billing:
    """The seconds of one job, a host. The instants are run seconds, None where the job did not get that far.

    Documented (DescribeTrainingJob): billing runs from TrainingStartTime, when the job starts on its instances, to
    TrainingEndTime, after the upload; the download is billed, the launch of an instance is not; Billable is wall-clock.
    Assumed, as AWS documents nothing (docs/assumptions.md): TrainingTimeInSeconds runs from the first of these instants
    to the last, waiting for the next instance included; an interrupted attempt is billed until its instance goes.
    """

    training_started_at: float | None
    training_ended_at: float | None
    training_seconds: float
    billable_seconds: float

    @property
    def waiting_seconds(self) -> float:
        """The seconds without an instance: between an interruption and the next start."""
        return max(0.0, self.training_seconds - self.billable_seconds)

    @property
    def savings_percent(self) -> float:
        """What the service prints as "Managed Spot Training savings", with the numbers rounded as it has them."""
        return savings_percent(round(self.training_seconds), round(self.billable_seconds))


def billing(timeline: Timeline) -> Billing:
    """The seconds of a job so far; one that did not end is counted to its last event."""
    statuses = timeline.of(Kind.SECONDARY_STATUS)
    started_at: float | None = None
    held_since: float | None = None
    ended_at: float | None = None
    billable = 0.0
    for event in statuses:
        status = _status_of(event)
        if status is SecondaryStatus.DOWNLOADING and held_since is None:
            held_since = event.at
            started_at = event.at if started_at is None else started_at
        elif held_since is not None and (status is SecondaryStatus.INTERRUPTED or status in FINAL):
            billable += event.at - held_since
            held_since = None
        if status in FINAL:
            ended_at = event.at
    last_at = max((event.at for event in timeline), default=0.0)
    if held_since is not None:
        billable += last_at - held_since
    until = last_at if ended_at is None else ended_at
    training = 0.0 if started_at is None else until - started_at
    return Billing(started_at, ended_at, training, billable)


def _status_of(event: Event) -> SecondaryStatus:
    return SecondaryStatus(event.data["status"])
