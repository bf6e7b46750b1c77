"""SPOT007 not-durable-in-time."""

from __future__ import annotations

from simulator.checks import Severity
from simulator.checks.not_durable_in_time import check
from simulator.core.timeline import Kind
from tests.checks.build import SCRIPT_AS_PID_1, Run, interrupted, only, train


def told(upload: float, flush: float = 0.0, save_every: int = 10) -> Run:
    run = Run(interrupt="step=57", profile="sagemaker")
    with run.attempt() as first:
        train(first, 1, 58, save_every=save_every)
        first.trigger()
        first.sigterm(SCRIPT_AS_PID_1)
        first.save("last.npz", size=10**9, upload=upload)
        first.exit_after_sigterm(0, flush)
    with run.attempt() as second:
        train(second, 51 if save_every else 1, 101, save_every=save_every)
        second.exit()
    return run


def test_a_checkpoint_saved_on_sigterm_and_still_uploading_at_the_end_is_lost() -> None:
    finding = only(check(told(upload=60).evidence()))
    assert finding.severity is Severity.ERROR
    assert finding.evidence["files"][0]["saved_in_reaction"] is True


def test_the_same_without_any_other_checkpoint_is_lost() -> None:
    assert only(check(told(upload=60, save_every=0).evidence())).severity is Severity.ERROR


def test_a_checkpoint_that_the_grace_sufficed_for_is_durable() -> None:
    assert check(told(upload=60, flush=61).evidence()) == []


def test_a_regular_save_that_a_kill_cuts_off_is_a_warning() -> None:
    run = interrupted(41, kill_at=53, save_every=10, upload=8.0)
    finding = only(check(run.evidence()))
    assert finding.severity is Severity.WARNING
    assert [file["path"] for file in finding.evidence["files"]] == ["ckpt-50.npz"]


def test_the_last_regular_save_of_a_script_that_came_to_its_end_is_no_answer_to_sigterm() -> None:
    run = Run(interrupt="step=57", profile="sagemaker")
    with run.attempt() as first:
        first.model_when_reclaimed = first.model
        train(first, 1, 58, save_every=10)
        first.trigger()
        first.sigterm(SCRIPT_AS_PID_1)
        train(first, 58, 101, save_every=10, upload=8.0)
        first.exit_after_sigterm(0)
    with run.attempt() as second:
        train(second, 91, 101, save_every=10)
        second.exit()
    assert only(check(run.evidence())).severity is Severity.WARNING


def test_a_first_save_that_a_kill_cuts_off_before_any_could_be_durable_is_a_warning() -> None:
    assert only(check(interrupted(1, kill_at=13, save_every=10, upload=8.0).evidence())).severity is Severity.WARNING


def test_a_write_that_was_itself_cut_was_never_believed_safe() -> None:
    run = Run(interrupt="save")
    with run.attempt() as first:
        train(first, 1, 58, save_every=10)
        first.save("ckpt-58.npz", write=0.05, settles=False)
        first.trigger()
        first.kill()
    assert check(run.evidence()) == []


def test_logs_and_temporary_files_convict_nobody() -> None:
    run = Run(interrupt="step=57")
    with run.attempt() as first:
        train(first, 1, 58, save_every=10)
        for name in ("metrics.csv", "events.out.tfevents.9", "ckpt-60.npz.tmp", "60.orbax-checkpoint-tmp-1/d/a"):
            first.save(name, upload=9)
        first.trigger()
        first.kill()
    assert check(run.evidence()) == []


def test_a_file_written_aside_renamed_and_uploaded_is_durable() -> None:
    run = Run(interrupt="step=12")
    with run.attempt() as first:
        train(first, 1, 11)
        first.save("ckpt.tmp", upload=9)
        first.add(Kind.FILE_DELETED, path="ckpt.tmp")
        first.save("ckpt.npz")
        train(first, 11, 13)
        first.trigger()
        first.kill()
    assert check(run.evidence()) == []


def test_a_regular_save_after_the_notice_is_no_reaction() -> None:
    run = Run(interrupt="step=57", profile="two-minute")
    with run.attempt() as first:
        train(first, 1, 58, save_every=10)
        first.trigger()
        train(first, 58, 178, save_every=10)
        first.sigterm(SCRIPT_AS_PID_1)
        train(first, 178, 291, save_every=10, upload=0.3)
        first.save("ckpt-291.npz", upload=30)
        first.kill()
    assert run.evidence().saves_in_reaction(1) == []
    assert only(check(run.evidence())).severity is Severity.WARNING


def test_a_regular_save_pending_when_sigterm_ends_the_process_is_no_reaction() -> None:
    run = Run(interrupt="step=57", profile="two-minute")
    with run.attempt() as first:
        train(first, 1, 58, save_every=10)
        first.trigger()
        train(first, 58, 181, save_every=10, upload=9)
        first.sigterm()
        first.exit_after_sigterm(143)
    assert only(check(run.evidence())).severity is Severity.WARNING


def test_one_save_on_the_notice_does_not_make_the_later_ones_reactions() -> None:
    run = Run(interrupt="step=57", profile="ec2")
    with run.attempt() as first:
        train(first, 1, 55, save_every=10)
        first.trigger()
        first.wait(1)
        first.save("notice.npz")
        train(first, 55, 181, save_every=10, upload=9)
        first.kill()
    evidence = run.evidence()
    assert [version.path for version in evidence.saves_in_reaction(1)] == ["notice.npz"]
    assert only(check(evidence)).severity is Severity.WARNING


def test_a_first_regular_save_that_happens_to_follow_the_notice_is_no_reaction() -> None:
    run = Run(interrupt="step=43", profile="ec2")
    with run.attempt() as first:
        train(first, 1, 44)
        first.trigger()
        train(first, 44, 56, save_every=50, upload=30)
        first.kill()
    with run.attempt() as second:
        train(second, 1, 201, save_every=50, upload=30)
        second.exit()
    assert only(check(run.evidence())).severity is Severity.WARNING
