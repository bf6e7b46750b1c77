"""What DescribeTrainingJob would answer."""

from __future__ import annotations

from itertools import pairwise

from simulator.core.lifecycle import savings_percent
from simulator.reports.describe_job import describe_job
from tests.reports.story import record, story, until


def test_a_completed_job_is_described_with_awss_names():
    job = describe_job(record())
    assert job["TrainingJobName"] == "my-job"
    assert job["TrainingJobArn"].endswith(":training-job/my-job")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Completed", "Completed")
    assert job["CheckpointConfig"] == {"S3Uri": "s3://spot/my-job", "LocalPath": "/opt/ml/checkpoints"}
    assert job["HyperParameters"] == {"epochs": "6"}
    assert job["EnableManagedSpotTraining"] is True


def test_the_transitions_show_the_interruption_and_join_without_gaps():
    transitions = describe_job(record())["SecondaryStatusTransitions"]
    assert [entry["Status"] for entry in transitions] == [
        *("Starting", "Downloading", "Training", "Interrupted"),
        *("Starting", "Downloading", "Training", "Uploading", "Completed"),
    ]
    assert all(before["EndTime"] == after["StartTime"] for before, after in pairwise(transitions))


def test_the_billed_time_leaves_the_waiting_out():
    job = describe_job(record())
    assert (job["TrainingTimeInSeconds"], job["BillableTimeInSeconds"]) == (38, 18)
    assert round(savings_percent(38, 18)) == 53


def test_times_are_wall_clock_in_utc():
    assert describe_job(record())["TrainingStartTime"] == "2026-01-02T03:04:05Z"


def test_the_last_value_of_each_metric_is_given():
    metrics = describe_job(record())["FinalMetricDataList"]
    assert [(metric["MetricName"], metric["Value"]) for metric in metrics] == [("step", 60)]


def test_a_failed_job_gives_the_reason_that_the_script_left():
    assert describe_job(record(list(story("Failed"))))["FailureReason"] == "out of memory"


def test_a_job_that_is_still_running_has_no_end():
    job = describe_job(record(until(9), partial="cut"))
    assert job["TrainingJobStatus"] == "InProgress"
    assert "TrainingEndTime" not in job
    assert "EndTime" not in job["SecondaryStatusTransitions"][-1]
