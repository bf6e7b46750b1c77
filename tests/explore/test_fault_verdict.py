"""Whose doing it is: the script's, the fault's, or the simulator's own."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.checks import Finding, Severity
from simulator.core.errors import EnvironmentFailure
from simulator.explore.fault_verdict import judge_fault
from simulator.explore.faults import Faults
from simulator.explore.harm import Evidence
from simulator.explore.trial import Outcome, Schedule, Trial, TrialResult
from simulator.services.wire_faults import Harm, WireFault
from simulator.verdict import Answer, Reason, Verdict

SCHEDULE = Schedule(("checkpoint=2",), "sudden")
FAILURE = EnvironmentFailure("a cannot be uploaded", "S3 answered AccessDenied", "look")
CAME = Evidence((2,), claims=5)


def trial(passes: bool = True) -> Trial:
    faults = Faults(("slow-down",), (WireFault(Harm.ERROR, status=503, code="SlowDown"),), passes=passes)
    return Trial(1, SCHEDULE, str(faults), faults=faults.as_dict())


def verdict(answer: Answer, *rules: str, completed: bool = True) -> Verdict:
    findings = [
        Finding(rule, rule.lower(), Severity.ERROR, 1, f"{rule} fired", {}, "mend it")  # type: ignore[arg-type]
        for rule in rules
    ]
    return Verdict(answer, Reason("what", "why", "next"), findings=findings, completed=completed)


def control(outcome: Outcome, *rules: str) -> TrialResult:
    return TrialResult(Trial(0, SCHEDULE, ""), outcome, "the control's evidence", rules)


def judged(ended: Any, evidence: Evidence = CAME, passes: bool = True, without: TrialResult | None = None) -> Any:
    def ask() -> TrialResult:
        assert without is not None, "nobody needed the run without the fault"
        return without

    return judge_fault(trial(passes), ended, evidence, 1.0, ask)


def test_a_run_that_survives_under_the_fault_survives() -> None:
    result = judged(verdict(Answer.SURVIVED))
    assert result.outcome is Outcome.SURVIVED


def test_what_fails_without_the_fault_too_is_the_scripts() -> None:
    result = judged(verdict(Answer.FAILED, "SPOT007", "SPOT017"), without=control(Outcome.FAILED, "SPOT002", "SPOT017"))
    assert (result.outcome, result.rules) == (Outcome.FAILED, ("SPOT017",))
    assert "without the fault too" in result.evidence


def test_a_script_that_fails_otherwise_without_the_fault_is_told_of_that() -> None:
    result = judged(verdict(Answer.FAILED, "SPOT007"), without=control(Outcome.FAILED, "SPOT002"))
    assert (result.outcome, result.rules) == (Outcome.FAILED, ("SPOT002",))


def test_a_checkpoint_that_came_late_for_the_fault_is_not_the_scripts() -> None:
    result = judged(verdict(Answer.FAILED, "SPOT007", "SPOT001"), without=control(Outcome.SURVIVED))
    assert (result.outcome, result.rules) == (Outcome.SURVIVED, ())
    assert "the fault's doing" in result.evidence and "SPOT007" in result.evidence


@pytest.mark.parametrize(
    "ended",
    [verdict(Answer.FAILED, "SPOT017"), verdict(Answer.FAILED, "SPOT007", completed=False), verdict(Answer.ERROR)],
)
def test_anything_else_that_only_the_fault_brings_is_no_word_on_the_script(ended: Verdict) -> None:
    result = judged(ended, without=control(Outcome.SURVIVED))
    assert (result.outcome, result.rules) == (Outcome.UNDECIDED, ())
    assert "the fault's doing" in result.evidence


def test_where_nothing_is_shown_without_the_fault_nothing_is_said() -> None:
    for outcome in (Outcome.MISSED, Outcome.UNPROVED, Outcome.BROKEN):
        result = judged(verdict(Answer.FAILED, "SPOT007"), without=control(outcome))
        assert (result.outcome, result.rules) == (outcome, ())


def test_what_no_fault_explains_is_the_scripts_where_it_does_not_survive_without_one() -> None:
    result = judged(verdict(Answer.FAILED, "SPOT002", "SPOT007"), without=control(Outcome.UNPROVED))
    assert (result.outcome, result.rules) == (Outcome.FAILED, ("SPOT002",))


def test_a_fault_that_did_not_come_proves_nothing() -> None:
    result = judged(verdict(Answer.SURVIVED), Evidence((0,)))
    assert result.outcome is Outcome.MISSED


def test_a_run_that_cannot_go_on_ends_as_it_must() -> None:
    result = judged(FAILURE, passes=False)
    assert result.outcome is Outcome.UNDECIDED
    assert "AccessDenied" in result.evidence


def test_giving_up_under_a_fault_that_passes_is_the_simulators_own_failure() -> None:
    result = judged(FAILURE)
    assert result.outcome is Outcome.BROKEN
    assert "did not outlast" in result.evidence


def test_a_failure_that_no_fault_explains_is_the_simulators_own() -> None:
    assert judged(FAILURE, Evidence((0,)), passes=False).outcome is Outcome.BROKEN


@pytest.mark.parametrize(
    ("evidence", "said"),
    [
        (Evidence((1,), falsehoods=("attempt 1: a is told, S3 holds no such object", "b")), "(1 more)"),
        (Evidence((1,), left=("attempt-1",)), "left behind attempt-1"),
    ],
)
def test_what_the_simulator_does_wrongly_is_told_before_all_else(evidence: Evidence, said: str) -> None:
    for ended in (verdict(Answer.SURVIVED), verdict(Answer.FAILED, "SPOT001"), FAILURE):
        result = judged(ended, evidence, passes=False)
        assert result.outcome is Outcome.BROKEN
        assert said in result.evidence
