"""SPOT001 no-checkpoint."""

from __future__ import annotations

from simulator.checks import Severity
from simulator.checks.no_checkpoint import check
from simulator.core.timeline import Kind
from tests.checks.build import Run, interrupted, only, train


def test_a_script_that_never_saves_is_convicted() -> None:
    finding = only(check(interrupted(1).evidence()))
    assert (finding.rule, finding.severity, finding.attempt) == ("SPOT001", Severity.ERROR, 1)


def test_a_script_that_saves_only_at_its_end_is_convicted() -> None:
    run = Run(interrupt="step=57")
    with run.attempt() as first:
        train(first, 1, 58)
        first.trigger()
        first.kill()
    with run.attempt() as second:
        train(second, 1, 101)
        second.save("final.npz")
        second.exit()
    assert only(check(run.evidence())).severity is Severity.ERROR


def test_an_empty_file_and_a_marker_are_no_checkpoint() -> None:
    run = Run(interrupt="step=57")
    with run.attempt() as first:
        first.save("ckpt.npz", size=0)
        first.save("ckpt.npz.sagemaker-uploaded", size=10)
        train(first, 1, 58)
        first.trigger()
        first.kill()
    with run.attempt() as second:
        train(second, 1, 101)
        second.exit()
    assert only(check(run.evidence())).evidence["in_s3"] == {"ckpt.npz": 0, "ckpt.npz.sagemaker-uploaded": 10}


def test_only_logs_in_s3_and_a_start_over_is_convicted() -> None:
    finding = only(check(interrupted(1, save_every=1, name="metrics.csv").evidence()))
    assert "metrics.csv" in finding.message


def test_state_in_a_text_file_that_is_resumed_from_is_acquitted() -> None:
    assert check(interrupted(58, save_every=1, name="state.txt").evidence()) == []


def test_a_kill_before_the_first_checkpoint_was_due_is_a_warning() -> None:
    finding = only(check(interrupted(1, kill_at=8, save_every=10).evidence()))
    assert finding.severity is Severity.WARNING


def test_a_slower_machine_is_given_until_the_progress_at_which_others_had_saved() -> None:
    run = Run("save")
    with run.attempt() as first:
        train(first, 1, 11, seconds=5)
        first.trigger()
        first.kill()
    with run.attempt() as second:
        train(second, 1, 101, save_every=10)
        second.exit()
    assert only(check(run.evidence())).severity is Severity.WARNING


def test_a_checkpoint_that_was_due_by_what_others_had_saved_is_missed_on_a_slower_machine_too() -> None:
    run = Run("step=14")
    with run.attempt() as first:
        train(first, 1, 15, seconds=5)
        first.trigger()
        first.kill()
    with run.attempt() as second:
        train(second, 1, 101, save_every=10)
        second.exit()
    assert only(check(run.evidence())).severity is Severity.ERROR


def test_an_instance_that_goes_before_any_progress_has_lost_none_even_of_a_script_that_never_saves() -> None:
    run = Run("start", "step=57")
    with run.attempt() as first:
        first.trigger()
        first.kill()
    with run.attempt() as second:
        train(second, 1, 58)
        second.trigger()
        second.kill()
    with run.attempt() as third:
        train(third, 1, 101)
        third.exit()
    assert [(f.attempt, f.severity) for f in check(run.evidence())] == [(1, Severity.WARNING), (2, Severity.ERROR)]


def test_a_script_that_deletes_what_was_restored_for_it_is_convicted_however_soon_it_went() -> None:
    run = Run("step=57", "step=53")
    with run.attempt() as first:
        train(first, 1, 58, save_every=10, name="ckpt.npz")
        first.trigger()
        first.kill()
    with run.attempt() as second:
        second.add(Kind.FILE_DELETED, path="ckpt.npz")
        second.add(Kind.OBJECT_DELETED, path="ckpt.npz")
        run.s3 = {}
        train(second, 51, 54)
        second.trigger()
        second.kill()
    with run.attempt() as third:
        train(third, 1, 101, save_every=10, name="ckpt.npz")
        third.exit()
    finding = only(check(run.evidence()))
    assert (finding.severity, finding.attempt) == (Severity.ERROR, 2)
    assert "ckpt.npz" in finding.message


def test_a_later_attempt_that_saved_nothing_new_is_acquitted() -> None:
    run = Run("step=57", "step=53")
    with run.attempt() as first:
        train(first, 1, 58, save_every=10)
        first.trigger()
        first.kill()
    with run.attempt() as second:
        train(second, 51, 54, save_every=10)
        second.trigger()
        second.kill()
    with run.attempt() as third:
        train(third, 51, 101, save_every=10)
        third.exit()
    assert check(run.evidence()) == []


def test_an_instance_lost_while_it_downloaded_had_nothing_to_save() -> None:
    run = Run("download")
    with run.attempt() as first:
        first.lost_while_downloading()
    with run.attempt() as second:
        train(second, 1, 101)
        second.exit()
    assert check(run.evidence()) == []
