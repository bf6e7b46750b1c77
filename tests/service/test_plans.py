"""Which interruptions a job gets: from its tag, from the plan file, from the defaults."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.core.errors import UsageError
from simulator.core.plan import Plan
from simulator.service.plans import PLAN_TAG, JobPlan, Plans, read_plans

DEFAULT = JobPlan(interrupt=("60s",), warning=5, grace=7)
FILE = """
[jobs."night-*"]
interrupt = ["step=40", "90s"]
profile = "sudden"
capacity-gaps = [0, 30]

[jobs."calm-*"]
interrupt = []

[jobs."*-one"]
interrupt = "save"
restart-delay = 3
"""


@pytest.fixture
def plans(tmp_path: Path) -> Plans:
    file = tmp_path / "plan.toml"
    file.write_text(FILE)
    return read_plans(file, DEFAULT)


def texts(plan: Plan) -> list[str]:
    return [trigger.text for trigger in plan.interruptions]


def test_a_job_is_found_by_the_pattern_of_its_name(plans: Plans) -> None:
    plan = plans.plan_for("night-7", {}, is_spot=True)
    assert texts(plan) == ["step=40", "90s"]
    assert (plan.profile.name, plan.wait_before(1), plan.wait_before(2), plan.wait_before(3)) == ("sudden", 0, 30, 0)


def test_a_table_without_interruptions_leaves_its_jobs_alone(plans: Plans) -> None:
    assert texts(plans.plan_for("calm-1", {}, is_spot=True)) == []


def test_a_table_takes_what_it_does_not_say_from_the_options(plans: Plans) -> None:
    plan = plans.plan_for("the-one", {}, is_spot=True)
    assert texts(plan) == ["save"]
    assert (plan.profile.warning_seconds, plan.profile.grace_seconds, plan.wait_before(2)) == (5, 7, 3)


def test_other_jobs_get_the_default(plans: Plans) -> None:
    assert texts(plans.plan_for("another", {}, is_spot=True)) == ["60s"]


def test_a_job_without_spot_is_never_interrupted_and_never_waits(plans: Plans) -> None:
    plan = plans.plan_for("night-7", {PLAN_TAG: "5s"}, is_spot=False)
    assert texts(plan) == []
    assert plan.wait_before(2) == 0


def test_a_tag_comes_before_the_file(plans: Plans) -> None:
    plan = plans.plan_for("night-7", {PLAN_TAG: "step=3 5s profile:two-minute grace:9 capacity-gaps:1/2"}, is_spot=True)
    assert texts(plan) == ["step=3", "5s"]
    assert (plan.profile.name, plan.profile.grace_seconds, plan.wait_before(2)) == ("two-minute", 9, 2)


def test_the_tag_none_leaves_a_job_alone(plans: Plans) -> None:
    assert texts(plans.plan_for("night-7", {PLAN_TAG: "none"}, is_spot=True)) == []


@pytest.mark.parametrize("tag", ["soon", "profile:slow", "grace:long", "5s grace:-1"])
def test_a_tag_that_is_not_understood_is_refused(plans: Plans, tag: str) -> None:
    with pytest.raises(UsageError):
        plans.plan_for("a-job", {PLAN_TAG: tag}, is_spot=True)


@pytest.mark.parametrize(
    "text",
    ["jobs = 3", "[other]\n", '[jobs."a"]\nwhen = 3', '[jobs."a"]\ninterrupt = ["soon"]', "[jobs", "jobs = {a = 3}"],
)
def test_a_file_that_is_no_plan_is_refused_with_what_to_do(tmp_path: Path, text: str) -> None:
    file = tmp_path / "plan.toml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_plans(file, DEFAULT)
    assert caught.value.next_step
