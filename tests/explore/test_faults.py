"""The catalogue of faults, and the trials of it that a seed gives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from simulator.core.errors import UsageError
from simulator.engine.equipment import EngineOptions
from simulator.explore.fault_catalogue import BY_NAME, CATALOGUE
from simulator.explore.fault_verdict import LATE
from simulator.explore.faults import Faults, fault_trials, not_tried
from simulator.explore.trial import Outcome, Schedule, Trial, TrialResult
from simulator.services.wire_faults import Harm, WireFault, WirePlan, operation_of

SCHEDULES = [Schedule(("checkpoint=3",), "sudden"), Schedule(("upload=2", "save"), "two-minute")]


def test_the_same_seed_gives_the_same_trials_in_the_same_order() -> None:
    assert list(fault_trials(SCHEDULES, 7, 60)) == list(fault_trials(SCHEDULES, 7, 60))
    assert list(fault_trials(SCHEDULES, 7, 60)) != list(fault_trials(SCHEDULES, 8, 60))


def test_every_fault_comes_once_before_any_comes_again() -> None:
    first = list(fault_trials(SCHEDULES, 7, len(CATALOGUE)))
    assert sorted(name for trial in first for name in trial.faults["names"]) == sorted(BY_NAME)


def test_no_trial_comes_twice_and_none_beyond_the_most() -> None:
    trials = list(fault_trials(SCHEDULES, 7, 90))
    assert [trial.number for trial in trials] == list(range(1, 91))
    assert len({trial.label for trial in trials}) == 90


def test_later_two_come_together_and_only_such_as_pass() -> None:
    pairs = [trial for trial in fault_trials(SCHEDULES, 7, 90) if len(trial.faults["names"]) == 2]
    assert pairs
    assert all(BY_NAME[name].passes for trial in pairs for name in trial.faults["names"])


def test_without_schedules_there_is_nothing_to_try() -> None:
    assert list(fault_trials([], 7, 10)) == []


def test_what_takes_a_mount_is_left_out_by_name_where_none_can_be_made() -> None:
    trials = list(fault_trials(SCHEDULES, 7, 60, "needs root"))
    assert not [trial for trial in trials if {"disk-full", "disk-read-only"} & set(trial.faults["names"])]
    assert any("disk-slow" in trial.faults["names"] for trial in trials)
    told = not_tried("needs root")
    assert [line.partition(" ")[0] for line in told] == ["disk-full", "disk-full-for-a-while", "disk-read-only"]
    assert all(line.endswith("not tried: needs root") for line in told)
    assert not_tried("") == []


@pytest.mark.parametrize("trial", list(fault_trials(SCHEDULES, 3, 60)), ids=lambda trial: str(trial.number))
def test_a_trials_faults_pass_through_json(trial: Trial) -> None:
    result = TrialResult(trial, Outcome.SURVIVED, "")
    back = TrialResult.from_dict(json.loads(json.dumps(result.as_dict()))).trial
    assert Faults.from_dict(back.faults) == Faults.from_dict(trial.faults)
    assert trial.label == f"{Faults.from_dict(trial.faults)}; {trial.schedule}"


def test_faults_that_are_none_are_refused_by_name() -> None:
    with pytest.raises(UsageError, match="faults are not understood"):
        Faults.from_dict({"wire": [{"harm": "earthquake"}]})


def test_only_faults_that_do_not_pass_shorten_the_patience() -> None:
    usual = EngineOptions()
    passing, lasting = (Faults((name,), passes=BY_NAME[name].passes) for name in ("slow-down", "outage"))
    assert passing.options(usual) == usual
    assert lasting.options(usual).sync.patience_seconds < usual.sync.patience_seconds


def test_a_fault_of_multipart_uploads_makes_every_file_one() -> None:
    by_name = {trial.faults["names"][0]: Faults.from_dict(trial.faults) for trial in fault_trials(SCHEDULES, 7, 20)}
    assert by_name["multipart-never-completes"].in_parts
    assert not by_name["truncated-download"].in_parts


def test_a_plan_counts_the_requests_that_it_is_for_and_those_it_harmed() -> None:
    plan = WirePlan([WireFault(Harm.RESET, ("PutObject",), first=2, count=2), WireFault(Harm.DELAY, count=None)])
    met = [plan.next(operation) for operation in ("PutObject", "GetObject", "PutObject", "PutObject", "PutObject")]
    assert met == [[1], [1], [0, 1], [0, 1], [1]]
    plan.did(0)
    assert plan.done == [1, 0]
    assert plan.operations == {"PutObject": 4, "GetObject": 1}


@pytest.mark.parametrize(
    ("method", "target", "operation"),
    [
        ("PUT", "/b/a/c", "PutObject"),
        ("PUT", "/b/a?partNumber=1&uploadId=x", "UploadPart"),
        ("POST", "/b/a?uploads", "CreateMultipartUpload"),
        ("POST", "/b/a?uploadId=x", "CompleteMultipartUpload"),
        ("DELETE", "/b/a?uploadId=x", "AbortMultipartUpload"),
        ("DELETE", "/b/a", "DeleteObject"),
        ("GET", "/b/a", "GetObject"),
        ("GET", "/b?list-type=2&prefix=x%2Fy", "ListObjectsV2"),
        ("GET", "/b/?list-type=2", "ListObjectsV2"),
        ("HEAD", "/b", "HeadBucket"),
        ("HEAD", "/b/a", "HeadObject"),
        ("PUT", "/b", "CreateBucket"),
        ("POST", "/b?delete", "POST bucket"),
    ],
)
def test_a_request_is_told_by_s3s_name(method: str, target: str, operation: str) -> None:
    assert operation_of(method, target) == operation


def test_the_page_on_faults_has_every_one() -> None:
    page = (Path(__file__).parents[2] / "docs" / "faults.md").read_text()
    for fault in CATALOGUE:
        assert f"| `{fault.name}` | {fault.imitates} |" in page
        assert fault.source in page
    assert all(rule in page for rule in LATE)
