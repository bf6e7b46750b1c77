"""SPOT016 spot-without-checkpoints: a job without a CheckpointConfig is refused, and no other."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.checks import Severity, spot_without_checkpoints
from simulator.checks.evidence import Evidence
from simulator.core.timeline import Event, Kind, Timeline
from simulator.verdict import Answer, judge
from tests.checks.build import interrupted, only


def asked(**fields: Any) -> Timeline:
    started = {"job": "a-job", "interruptions": [], "profile": {}, **fields}
    return Timeline([Event(0.0, Kind.RUN_STARTED, 0, started), Event(0.1, Kind.RUN_FINISHED, 0, {"status": ""})])


def test_a_job_without_a_checkpoint_config_fails_before_it_ran() -> None:
    timeline = asked(CheckpointConfig=None)
    assert only(spot_without_checkpoints.check(Evidence(timeline))).severity is Severity.ERROR
    verdict = judge(timeline)
    assert (verdict.verdict, [finding.rule for finding in verdict.findings]) == (Answer.FAILED, ["SPOT016"])
    assert "not started" in verdict.reason.what


@pytest.mark.parametrize("fields", [{}, {"CheckpointConfig": {"S3Uri": "s3://b/p/", "LocalPath": "/x"}}])
def test_a_job_with_one_or_of_which_nothing_is_told_is_acquitted(fields: dict[str, Any]) -> None:
    assert spot_without_checkpoints.check(Evidence(asked(**fields))) == []


def test_a_run_that_was_made_is_acquitted() -> None:
    assert spot_without_checkpoints.check(interrupted(51, save_every=10).evidence()) == []


def test_a_job_that_asks_for_no_spot_is_acquitted() -> None:
    timeline = asked(CheckpointConfig=None, EnableManagedSpotTraining=False)
    assert spot_without_checkpoints.check(Evidence(timeline)) == []


def test_a_job_that_ran_all_the_same_is_not_said_not_to_have_started() -> None:
    timeline = asked(CheckpointConfig=None, EnableManagedSpotTraining=True)
    told = only(spot_without_checkpoints.check(Evidence(timeline))).message
    assert told.endswith("Nothing was started.")
    timeline.append(Event(0.2, Kind.ATTEMPT_STARTED, 1, {"host": "algo-1"}))
    assert "Nothing was started" not in only(spot_without_checkpoints.check(Evidence(timeline))).message
