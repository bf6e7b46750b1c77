"""The seconds that are billed, from the status transitions alone."""

from __future__ import annotations

from simulator.core.billing import billing
from simulator.core.timeline import Event, Kind, Timeline


def job(*statuses: tuple[float, str]) -> Timeline:
    return Timeline(Event(at, Kind.SECONDARY_STATUS, 1, {"status": status}) for at, status in statuses)


UNINTERRUPTED = [
    (0.0, "Starting"),
    (10.0, "Downloading"),
    (20.0, "Training"),
    (100.0, "Uploading"),
    (110.0, "Completed"),
]
INTERRUPTED = [
    (0.0, "Starting"),
    (10.0, "Downloading"),
    (20.0, "Training"),
    (60.0, "Interrupted"),
    (200.0, "Starting"),
    (210.0, "Downloading"),
    (220.0, "Training"),
    (260.0, "Uploading"),
    (270.0, "Completed"),
]


def test_download_and_upload_are_billed_and_the_launch_is_not():
    assert billing(job(*UNINTERRUPTED)).billable_seconds == 100


def test_without_an_interruption_nothing_is_saved():
    money = billing(job(*UNINTERRUPTED))
    assert money.training_seconds == money.billable_seconds
    assert money.savings_percent == 0


def test_waiting_for_the_next_instance_counts_as_training_time_but_is_not_billed():
    money = billing(job(*INTERRUPTED))
    assert money.training_seconds == 260
    assert money.billable_seconds == 50 + 60
    assert money.waiting_seconds == 150


def test_the_savings_are_computed_as_the_service_does():
    assert round(billing(job(*INTERRUPTED)).savings_percent, 1) == round((1 - 110 / 260) * 100, 1)


def test_a_job_that_waits_until_it_is_given_up_pays_for_what_ran():
    statuses = [*INTERRUPTED[:4], (500.0, "Stopping"), (500.0, "MaxWaitTimeExceeded")]
    money = billing(job(*statuses))
    assert (money.training_seconds, money.billable_seconds) == (490, 50)


def test_a_job_that_never_got_an_instance_costs_nothing():
    money = billing(job((0.0, "Starting"), (50.0, "Stopping"), (50.0, "MaxWaitTimeExceeded")))
    assert (money.training_seconds, money.billable_seconds, money.savings_percent) == (0, 0, 0)


def test_a_run_that_was_cut_is_counted_to_its_last_event():
    timeline = job(*UNINTERRUPTED[:3])
    timeline.append(Event(45.0, Kind.METRIC, 1, {"name": "step", "value": 1}))
    money = billing(timeline)
    assert (money.billable_seconds, money.training_ended_at) == (35, None)


def test_an_empty_timeline_costs_nothing():
    assert billing(Timeline()).billable_seconds == 0
