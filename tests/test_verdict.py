"""The verdict: what "survived" needs, and what every lack of it is called."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from simulator.core.errors import ExitCode
from simulator.core.timeline import Event, Kind, Timeline, from_jsonl
from simulator.verdict import Answer, Baseline, Verdict, judge
from tests.checks.build import BASH_DRIVER, NO_HANDLER, SCRIPT_AS_PID_1, Run, interrupted, train, uninterrupted


def verdict_of(run: Run, *baselines: Run) -> Verdict:
    baseline = Baseline([one.timeline() for one in baselines]) if baselines else None
    return judge(run.timeline(), baseline=baseline)


def without(run: Run, kind: Kind, when: Callable[[Event], bool] = lambda event: True) -> Run:
    run.events = [event for event in run.events if event.kind is not kind or not when(event)]
    return run


def good() -> Run:
    return interrupted(51, save_every=10)


def polite(profile: str = "two-minute") -> Run:
    """A script that saves on SIGTERM, leaves, and resumes exactly there."""
    run = Run(interrupt="step=57", profile=profile)
    with run.attempt() as first:
        train(first, 1, 58, save_every=20)
        first.trigger()
        train(first, 58, 71, save_every=20)
        first.sigterm(SCRIPT_AS_PID_1)
        first.save("ckpt-70.npz")
        first.exit_after_sigterm(0, flush=2)
    with run.attempt() as second:
        train(second, 71, 101, save_every=20)
        second.exit()
    return run


def test_a_correct_script_survives() -> None:
    verdict = verdict_of(good())
    assert (verdict.verdict, verdict.exit_code, verdict.tier) == (Answer.SURVIVED, ExitCode.SURVIVED, 3)
    assert verdict.findings == []
    assert "went on at step 51" in verdict.tier_evidence[0] and "ckpt-50.npz" in verdict.tier_evidence[0]


@pytest.mark.parametrize("profile", ["two-minute", "sagemaker"])
def test_a_script_that_saves_on_sigterm_survives_without_loss(profile: str) -> None:
    verdict = verdict_of(polite(profile))
    assert verdict.verdict is Answer.SURVIVED, verdict
    assert verdict.findings == [] and verdict.losses.progress_lost == 0


def test_a_script_that_only_saves_regularly_survives_sigterm_with_a_warning() -> None:
    run = Run(interrupt="step=57", profile="sagemaker")
    with run.attempt() as first:
        train(first, 1, 58, save_every=10, name="checkpoint.npz")
        first.trigger()
        first.sigterm(NO_HANDLER)
        train(first, 58, 178, save_every=10, name="checkpoint.npz")
        first.kill()
    with run.attempt() as second:
        train(second, 171, 201, save_every=10, name="checkpoint.npz")
        second.exit()
    verdict = verdict_of(run)
    assert verdict.verdict is Answer.SURVIVED
    assert [(finding.rule, finding.severity) for finding in verdict.findings] == [("SPOT006", "warning")]


def test_a_swallowed_sigterm_and_nothing_saved_fails() -> None:
    run = Run(interrupt="step=57", profile="sagemaker")
    with run.attempt() as first:
        train(first, 1, 58)
        first.trigger()
        first.sigterm(BASH_DRIVER)
        train(first, 58, 178)
        first.kill()
    with run.attempt() as second:
        train(second, 1, 201)
        second.exit()
    verdict = verdict_of(run)
    assert verdict.exit_code == ExitCode.DOES_NOT_SURVIVE
    assert [finding.rule for finding in verdict.findings] == ["SPOT001", "SPOT005"]


@pytest.mark.parametrize("resumed", [1, 21])
def test_a_finding_of_error_fails(resumed: int) -> None:
    verdict = verdict_of(interrupted(resumed, save_every=10))
    assert (verdict.verdict, verdict.tier) == (Answer.FAILED, None)


def test_nothing_interrupted_is_an_error_that_says_what_to_type() -> None:
    run = Run(interrupt="step=500")
    with run.attempt() as first:
        train(first, 1, 101, save_every=10)
        first.exit()
    verdict = verdict_of(run)
    assert (verdict.verdict, verdict.exit_code) == (Answer.ERROR, ExitCode.USAGE)
    assert "ended before 'step=500' came" in verdict.reason.why
    assert "--interrupt step=50" in verdict.reason.next_step


def test_a_plan_without_interruptions_is_an_error() -> None:
    assert verdict_of(uninterrupted()).verdict is Answer.ERROR


def test_one_interruption_of_two_is_an_error() -> None:
    run = interrupted(51, save_every=10)
    run.events[0] = Event(0.0, Kind.RUN_STARTED, 0, {**run.events[0].data, "interruptions": ["step=57", "step=999"]})
    verdict = verdict_of(run)
    assert verdict.verdict is Answer.ERROR
    assert "interruption 2 of 2 did not happen (1 did)" in verdict.reason.what


@pytest.mark.parametrize("kind", [Kind.TRIGGER_FIRED, Kind.KILLED, Kind.INSTANCE_WIPED])
def test_an_interruption_that_was_not_seen_to_happen_never_counts(kind: Kind) -> None:
    assert verdict_of(without(good(), kind)).verdict is Answer.ERROR


@pytest.mark.parametrize("kind", [Kind.NOTICE_GIVEN, Kind.SIGNAL_SENT])
def test_a_warning_that_was_not_given_never_counts(kind: Kind) -> None:
    assert verdict_of(without(polite(), kind)).verdict is Answer.ERROR


def test_a_kill_that_found_nobody_never_counts() -> None:
    run = good()
    run.events = [
        Event(event.at, event.kind, event.attempt, {**event.data, "observed": False})
        if event.kind is Kind.KILLED
        else event
        for event in run.events
    ]
    assert verdict_of(run).verdict is Answer.ERROR


def test_a_manifest_that_is_missing_leaves_the_question_open() -> None:
    run = without(good(), Kind.MANIFEST)
    verdict = verdict_of(run)
    assert verdict.verdict is Answer.ERROR
    assert "SPOT001" in [check.rule for check in verdict.broken_checks]


def test_a_run_cut_short_is_an_error() -> None:
    run = good()
    run.events = run.events[: len(run.events) // 2]
    assert verdict_of(run).verdict is Answer.ERROR


def test_an_empty_timeline_is_an_error() -> None:
    assert judge(Timeline()).verdict is Answer.ERROR


def test_no_metric_to_read_is_an_error_that_says_what_to_type() -> None:
    verdict = verdict_of(interrupted(51, save_every=10, line=lambda step: "training"))
    assert verdict.verdict is Answer.ERROR
    assert "--metric" in verdict.reason.next_step


def test_a_kill_before_the_first_checkpoint_proves_nothing() -> None:
    verdict = verdict_of(interrupted(1, kill_at=8, save_every=10))
    assert verdict.verdict is Answer.ERROR
    assert "--interrupt checkpoint=2" in verdict.reason.next_step


def test_a_kill_too_early_and_one_that_is_survived_is_survived() -> None:
    run = Run("step=7", "step=57")
    with run.attempt() as first:
        train(first, 1, 8, save_every=10)
        first.trigger()
        first.kill()
    with run.attempt() as second:
        train(second, 1, 58, save_every=10)
        second.trigger()
        second.kill()
    with run.attempt() as third:
        train(third, 51, 101, save_every=10)
        third.exit()
    verdict = verdict_of(run)
    assert verdict.verdict is Answer.SURVIVED
    assert any(line.startswith("interruption 1:") for line in verdict.not_proved)


def test_an_instance_lost_while_it_downloaded_is_survived_with_the_rest() -> None:
    run = Run("step=57", "download")
    with run.attempt() as first:
        train(first, 1, 58, save_every=10)
        first.trigger()
        first.kill()
    with run.attempt() as second:
        second.lost_while_downloading()
    with run.attempt() as third:
        train(third, 51, 101, save_every=10)
        third.exit()
    verdict = verdict_of(run)
    assert verdict.verdict is Answer.SURVIVED, verdict.reason


def test_a_restore_that_is_not_what_was_kept_proves_nothing() -> None:
    run = Run(interrupt="step=57")
    with run.attempt() as first:
        train(first, 1, 58, save_every=10)
        first.trigger()
        first.kill()
    with run.attempt(restored={"ckpt-50.npz": {"bytes": 1000, "digest": "another"}}) as second:
        train(second, 51, 101)
        second.exit()
    assert verdict_of(run).verdict is Answer.ERROR


def test_a_script_that_fails_by_itself_fails_without_a_rule() -> None:
    run = Run(interrupt="step=57")
    with run.attempt() as first:
        train(first, 1, 20)
        first.tail = ["ValueError: bad data"]
        first.exit(1)
    verdict = verdict_of(run)
    assert (verdict.verdict, verdict.findings) == (Answer.FAILED, [])
    assert "exited with 1" in verdict.reason.why and "bad data" in verdict.reason.why


def test_leaving_with_0_in_the_warning_is_not_survived() -> None:
    run = Run(interrupt="step=57", profile="two-minute")
    with run.attempt() as first:
        train(first, 1, 58, save_every=10)
        first.trigger()
        first.wait(3)
        first.exit(0)
    assert verdict_of(run).verdict is Answer.ERROR
    assert verdict_of(run, uninterrupted()).verdict is Answer.FAILED


# Tiers


def noisy(step: int) -> str:
    return f"step={step} loss={1.00001 / (step + 1):.6f}"


def unlike(step: int) -> str:
    return f"step={step} loss={1.1 / (step + 1):.6f}"


def test_equal_to_two_equal_runs_is_tier_1() -> None:
    assert verdict_of(good(), uninterrupted(), uninterrupted()).tier == 1


def test_equal_to_one_run_is_tier_2() -> None:
    verdict = verdict_of(good(), uninterrupted())
    assert verdict.tier == 2
    assert any("only one uninterrupted run" in line for line in verdict.not_proved)


def test_nearly_equal_is_tier_2() -> None:
    verdict = verdict_of(interrupted(51, save_every=10, line=noisy), uninterrupted(), uninterrupted())
    assert verdict.tier == 2


def test_unlike_is_tier_3_and_says_where() -> None:
    verdict = verdict_of(interrupted(51, save_every=10, line=unlike), uninterrupted(), uninterrupted())
    assert verdict.tier == 3
    assert any("loss of step 1: 0.55 instead of 0.5" in line for line in verdict.not_proved)


def test_uninterrupted_runs_that_differ_are_not_blamed_on_the_restart() -> None:
    verdict = verdict_of(good(), uninterrupted(), uninterrupted(line=noisy))
    assert verdict.tier == 2
    assert any("two uninterrupted runs differ" in line for line in verdict.not_proved)


def test_a_different_model_is_not_tier_1() -> None:
    run = good()
    run.events = [
        Event(event.at, event.kind, event.attempt, {"files": {"model.keras": {"bytes": 100, "digest": "other"}}})
        if event.kind is Kind.MODEL_FILES and event.attempt == 2
        else event
        for event in run.events
    ]
    assert verdict_of(run, uninterrupted(), uninterrupted()).tier == 2


def test_a_model_that_could_not_be_read_is_not_taken_for_equal() -> None:
    runs = [good(), uninterrupted(), uninterrupted()]
    for run in runs:
        run.events = [
            Event(event.at, event.kind, event.attempt, {"files": {"m.bin": {"bytes": 9, "digest": "unreadable"}}})
            if event.kind is Kind.MODEL_FILES
            else event
            for event in run.events
        ]
    assert verdict_of(*runs).tier == 2


def test_steps_done_again_must_be_equal_too() -> None:
    run = Run(interrupt="step=57")
    with run.attempt() as first:
        train(first, 1, 55, save_every=10)
        train(first, 55, 58, line=unlike)
        first.trigger()
        first.kill()
    with run.attempt() as second:
        train(second, 51, 101)
        second.exit()
    assert verdict_of(run, uninterrupted(), uninterrupted()).tier == 3


def test_a_run_that_ended_early_is_not_equivalent() -> None:
    verdict = verdict_of(interrupted(51, stop=100, save_every=10), uninterrupted(), uninterrupted(stop=100))
    assert verdict.tier not in (1, 2)


# Losses and form


def test_losses_are_counted() -> None:
    (loss,) = verdict_of(good()).losses.interruptions
    assert (loss.reached, loss.resumed_at, loss.progress_lost) == (57, 51, 7)
    assert 7.0 <= loss.work_seconds <= 8.0
    assert loss.restart_seconds is not None and loss.restart_seconds > 0


def test_the_verdict_is_json() -> None:
    report = json.loads(json.dumps(verdict_of(interrupted(1, save_every=10)).as_dict()))
    assert report["verdict"] == "failed"
    assert {"rule", "name", "severity", "attempt", "message", "evidence", "fix"} == set(report["findings"][0])


@pytest.mark.parametrize("run", [good, polite, lambda: interrupted(1), lambda: interrupted(21, save_every=10)])
def test_a_timeline_read_back_is_judged_the_same(run: Callable[[], Run]) -> None:
    timeline = run().timeline()
    again = from_jsonl(event.to_json() + "\n" for event in timeline)
    assert judge(again).as_dict()["verdict"] == judge(timeline).as_dict()["verdict"]
    assert [f.rule for f in judge(again).findings] == [f.rule for f in judge(timeline).findings]
