"""The states of a training job, in the orders that SageMaker documents, and in no others."""

from __future__ import annotations

from itertools import pairwise

import pytest

from simulator.core.lifecycle import (
    FINAL,
    MESSAGES,
    SecondaryStatus,
    TrainingJobStatus,
    may_follow,
    savings_percent,
    status_of,
)

DOCUMENTED = {
    "uninterrupted": "Starting Downloading Training Uploading Completed",
    "interrupted once": "Starting Downloading Training Interrupted Starting Downloading Training Uploading Completed",
    "timed out": "Starting Downloading Training Interrupted Stopping MaxWaitTimeExceeded",
    "never launched": "Starting Stopping MaxWaitTimeExceeded",
    "failed": "Starting Downloading Training Failed",
    "ran too long": "Starting Downloading Training Stopping MaxRuntimeExceeded",
    "lost while downloading": "Starting Downloading Interrupted Starting Downloading Training Uploading Completed",
}


@pytest.mark.parametrize("order", DOCUMENTED.values(), ids=DOCUMENTED)
def test_a_documented_order_is_allowed(order: str) -> None:
    before: SecondaryStatus | None = None
    for word in order.split():
        assert may_follow(before, SecondaryStatus(word)), f"{word} after {before}"
        before = SecondaryStatus(word)


@pytest.mark.parametrize("order", ["Training", "Starting Training", "Starting Completed", "Interrupted Training"])
def test_a_leap_is_not_allowed(order: str) -> None:
    words = [None, *(SecondaryStatus(word) for word in order.split())]
    assert not all(may_follow(before, after) for before, after in pairwise(words) if after)


@pytest.mark.parametrize("final", sorted(FINAL))
def test_nothing_follows_the_end(final: SecondaryStatus) -> None:
    assert not any(may_follow(final, after) for after in SecondaryStatus)


@pytest.mark.parametrize(
    ("secondary", "status"),
    [
        (SecondaryStatus.INTERRUPTED, TrainingJobStatus.IN_PROGRESS),
        (SecondaryStatus.UPLOADING, TrainingJobStatus.IN_PROGRESS),
        (SecondaryStatus.COMPLETED, TrainingJobStatus.COMPLETED),
        (SecondaryStatus.MAX_WAIT_TIME_EXCEEDED, TrainingJobStatus.STOPPED),
        (SecondaryStatus.MAX_RUNTIME_EXCEEDED, TrainingJobStatus.STOPPED),
        (SecondaryStatus.STOPPING, TrainingJobStatus.STOPPING),
    ],
)
def test_a_secondary_status_falls_under_a_status(secondary: SecondaryStatus, status: TrainingJobStatus) -> None:
    assert status_of(secondary) is status


def test_every_status_that_a_run_passes_has_a_message() -> None:
    passed = {SecondaryStatus(word) for order in DOCUMENTED.values() for word in order.split()}
    assert passed <= set(MESSAGES)


@pytest.mark.parametrize(("training", "billable", "percent"), [(100, 30, 70.0), (100, 100, 0.0), (0, 0, 0.0)])
def test_savings_are_computed_as_the_service_prints_them(training: float, billable: float, percent: float) -> None:
    assert savings_percent(training, billable) == pytest.approx(percent)
