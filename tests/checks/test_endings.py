"""SPOT011 lying-exit, SPOT012 no-model, SPOT013 max-wait-exceeded and SPOT017 crash-on-restore: how jobs end."""

from __future__ import annotations

import pytest

from simulator.checks import Severity, crash_on_restore, lying_exit, max_wait_exceeded, no_model
from simulator.checks.evidence import EvidenceMissing
from simulator.core.timeline import Kind
from tests.checks.build import Run, interrupted, only, train, uninterrupted


def leaves_on_notice(code: int = 0, line: str = "step={}", model: bool = True, save: bool = True) -> Run:
    run = Run(interrupt="step=57", profile="two-minute")
    with run.attempt() as first:
        first.model = first.model if model else {}
        train(first, 1, 58, save_every=10, line=line.format)
        first.trigger()
        first.wait(1)
        if save:
            first.save("notice.npz")
        first.wait(1)
        first.exit(code)
    return run


def test_leaving_with_0_on_the_notice_is_convicted_by_the_baseline() -> None:
    evidence = leaves_on_notice().evidence(uninterrupted(line="step={}".format))
    finding = only(lying_exit.check(evidence))
    assert finding.severity is Severity.ERROR
    assert finding.evidence["uninterrupted_end"] == 100


def test_leaving_with_0_on_the_notice_is_convicted_by_its_own_log() -> None:
    assert only(lying_exit.check(leaves_on_notice(line="step {}/100").evidence())).severity is Severity.ERROR


def test_leaving_with_0_on_the_notice_is_convicted_by_the_missing_model() -> None:
    assert "no model" in only(lying_exit.check(leaves_on_notice(model=False).evidence())).message


def test_leaving_with_0_on_the_notice_is_only_a_warning_where_nothing_tells_the_work() -> None:
    assert only(lying_exit.check(leaves_on_notice().evidence())).severity is Severity.WARNING


@pytest.mark.parametrize("line", ["step {}/58", "step {} of 57"])
def test_ending_in_time_with_all_work_done_is_no_lie(line: str) -> None:
    findings = lying_exit.check(leaves_on_notice(line=line).evidence())
    assert [finding for finding in findings if finding.severity is Severity.ERROR] == []


def test_ending_where_the_baseline_ends_is_no_lie() -> None:
    evidence = leaves_on_notice().evidence(uninterrupted(stop=58, line="step={}".format))
    assert lying_exit.check(evidence) == []


def test_failing_right_after_a_save_is_convicted() -> None:
    finding = only(lying_exit.check(leaves_on_notice(code=143).evidence()))
    assert finding.evidence["saved"] == ["notice.npz"]


def test_failing_without_a_save_is_another_matter() -> None:
    assert lying_exit.check(leaves_on_notice(code=1, save=False).evidence()) == []


@pytest.mark.parametrize("code", [0, 1, 143])
def test_any_exit_after_sigterm_is_part_of_the_interruption(code: int) -> None:
    run = Run(interrupt="step=57", profile="sagemaker")
    with run.attempt() as first:
        train(first, 1, 58, save_every=10)
        first.trigger()
        first.sigterm()
        first.save("ckpt-57.npz")
        first.exit_after_sigterm(code, flush=3)
    with run.attempt() as second:
        train(second, 58, 101)
        second.exit()
    assert lying_exit.check(run.evidence()) == []


def test_completing_with_steps_missing_after_a_resume_is_convicted() -> None:
    run = interrupted(51, stop=60, save_every=10)
    assert only(lying_exit.check(run.evidence(uninterrupted()))).severity is Severity.ERROR


def test_stopping_early_where_uninterrupted_runs_differ_is_a_warning() -> None:
    run = interrupted(51, stop=80, save_every=10)
    findings = lying_exit.check(run.evidence(uninterrupted(stop=90), uninterrupted(stop=101)))
    assert only(findings).severity is Severity.WARNING


def test_stopping_early_without_a_baseline_is_no_lie() -> None:
    run = interrupted(51, stop=80, save_every=10, line="step {}/1000".format)
    assert lying_exit.check(run.evidence()) == []


def test_failing_after_all_work_was_done_is_convicted() -> None:
    run = uninterrupted(save_every=10, line="step {}/100".format)
    run.events = [
        event if event.kind is not Kind.ATTEMPT_ENDED else type(event)(event.at, event.kind, 1, {"outcome": "failed"})
        for event in run.events
    ]
    assert "reached its end" in only(lying_exit.check(run.evidence())).message


def completed_with(files: dict[str, int]) -> Run:
    run = Run()
    with run.attempt() as first:
        first.model = {path: {"bytes": size, "digest": "d"} for path, size in files.items()}
        train(first, 1, 20)
        first.exit()
    return run


@pytest.mark.parametrize("files", [{}, {"model.keras": 0}])
def test_completing_without_a_model_is_convicted(files: dict[str, int]) -> None:
    assert only(no_model.check(completed_with(files).evidence())).severity is Severity.ERROR


def test_completing_with_a_model_is_acquitted() -> None:
    assert no_model.check(completed_with({"model.keras": 1}).evidence()) == []


def test_a_model_that_the_harness_cannot_read_is_one() -> None:
    assert no_model.check(completed_with({"model.keras": -1}).evidence()) == []


def test_leaving_on_the_notice_without_a_model_is_told_once() -> None:
    assert no_model.check(leaves_on_notice(model=False).evidence()) == []


def test_a_model_folder_that_nobody_looked_into_is_an_open_question() -> None:
    run = completed_with({})
    run.events = [event for event in run.events if event.kind is not Kind.MODEL_FILES]
    with pytest.raises(EvidenceMissing):
        no_model.check(run.evidence())


@pytest.mark.parametrize(
    ("status", "limit"),
    [("MaxWaitTimeExceeded", "MaxWaitTimeInSeconds"), ("MaxRuntimeExceeded", "MaxRuntimeInSeconds")],
)
def test_passing_a_limit_is_convicted(status: str, limit: str) -> None:
    run = interrupted(51, save_every=10)
    run.events = [event for event in run.events if event.data.get("status") != "Completed"]
    run.status("Stopping")
    run.status(status)
    assert only(max_wait_exceeded.check(run.evidence())).evidence["limit"] == limit


def test_a_completed_job_kept_its_limits() -> None:
    assert max_wait_exceeded.check(interrupted(51, save_every=10).evidence()) == []


def crashing(banner: str = "", trained: int = 0, code: int = 1, save_every: int = 10) -> Run:
    run = Run(interrupt="step=57")
    with run.attempt() as first:
        train(first, 1, 58, save_every=save_every)
        first.trigger()
        first.kill()
    with run.attempt() as second:
        if banner:
            second.log(banner)
        train(second, 51, 51 + trained)
        second.tail = ["Traceback (most recent call last):", "zipfile.BadZipFile: File is not a zip file"]
        second.exit(code)
    return run


@pytest.mark.parametrize("banner", ["", "step=0", "resuming at step=50"])
def test_dying_before_any_progress_is_a_crash_on_restore(banner: str) -> None:
    finding = only(crash_on_restore.check(crashing(banner).evidence()))
    assert "BadZipFile" in finding.message
    assert "os.replace" in finding.fix


def test_dying_after_progress_is_not_the_restore() -> None:
    assert crash_on_restore.check(crashing(trained=5).evidence()) == []


def test_dying_with_nothing_restored_is_not_the_restore() -> None:
    assert crash_on_restore.check(crashing(save_every=0).evidence()) == []


def test_an_exit_with_0_is_no_crash() -> None:
    assert crash_on_restore.check(crashing(code=0).evidence()) == []


def test_dying_in_the_first_attempt_is_not_the_restore() -> None:
    run = Run(interrupt="step=57")
    with run.attempt() as first:
        first.exit(1)
    assert crash_on_restore.check(run.evidence()) == []
