"""The grace budget: what the time from the notice to SIGKILL went on, and how large a checkpoint would fit."""

from __future__ import annotations

import pytest

from simulator.checks.grace_budget import GraceBudget, grace_budget
from simulator.core.timeline import Kind
from tests.checks.build import NO_HANDLER, SCRIPT_AS_PID_1, Attempt, Run, train

MB = 1_000_000


def start(profile: str) -> tuple[Run, Attempt]:
    """A script at step 20, as its interruption begins."""
    run = Run(interrupt="step=20", profile=profile)
    context = run.attempt()
    attempt = context.__enter__()
    train(attempt, 1, 21)
    attempt.trigger()
    return run, attempt


def budget_of(run: Run) -> GraceBudget:
    budget = grace_budget(run.evidence(), 1)
    assert budget is not None
    return budget


def parts(budget: GraceBudget) -> list[tuple[str, float]]:
    return [(segment.name, segment.seconds) for segment in budget.segments]


def test_a_save_on_sigterm_is_split_into_what_it_took() -> None:
    run, attempt = start("sagemaker")
    attempt.sigterm(SCRIPT_AS_PID_1)
    attempt.wait(0.5)
    attempt.add(Kind.LOG_LINE, line="received SIGTERM, leaving after this step")
    attempt.wait(4.5)
    attempt.save("ckpt.npz", size=100 * MB, write=10, upload=20)
    attempt.exit_after_sigterm(0, flush=105)
    budget = budget_of(run)
    assert (budget.window_seconds, budget.start, budget.bytes) == (120.0, "sigterm", 100 * MB)
    assert parts(budget) == [
        ("notice-seen", 0.5),
        ("step-finished", 4.5),
        ("save", 10.0),
        ("upload", 20.0),
        ("margin", 85.0),
    ]
    assert budget.fits_bytes == 50e6 * (120 - 15)
    assert budget.upload_bytes_per_second == pytest.approx(100 * MB / 20)
    assert budget.sentence == (
        "Of the 120 s from SIGTERM to SIGKILL: 0.5 s until it was seen, 4.5 s until the save began, "
        "10.0 s to save 100 MB, 20.0 s to upload 100 MB, 85.0 s were left. "
        "At 50 MB/s this fits checkpoints up to 5.2 GB."
    )


def test_the_segments_lie_end_to_end_and_fill_the_window() -> None:
    run, attempt = start("two-minute")
    attempt.wait(120)
    attempt.sigterm(SCRIPT_AS_PID_1)
    attempt.wait(1)
    attempt.save("ckpt.npz", size=MB, write=2, upload=3)
    attempt.exit_after_sigterm(0, flush=10)
    budget = budget_of(run)
    assert (budget.start, budget.window_seconds) == ("notice", 240.0)
    for before, after in zip(budget.segments, budget.segments[1:], strict=False):
        assert after.started_at == pytest.approx(before.started_at + before.seconds)
    assert sum(segment.seconds for segment in budget.segments) == pytest.approx(budget.window_seconds)


def test_a_notice_that_was_not_answered_costs_its_time() -> None:
    run, attempt = start("two-minute")
    train(attempt, 21, 141)
    attempt.sigterm(SCRIPT_AS_PID_1)
    attempt.wait(1)
    attempt.save("ckpt.npz", size=MB, write=2, upload=3)
    attempt.exit_after_sigterm(0, flush=10)
    budget = budget_of(run)
    assert parts(budget)[:2] == [("notice-seen", 120.0), ("step-finished", 1.0)]
    assert "120 s until SIGTERM, which it answered" in budget.sentence


def test_an_answer_to_the_notice_without_a_word_has_no_instant_of_seeing() -> None:
    run, attempt = start("two-minute")
    attempt.wait(1.5)
    attempt.save("ckpt.npz", size=MB, write=2, upload=3)
    attempt.wait(116.5)
    attempt.sigterm(SCRIPT_AS_PID_1)
    attempt.exit_after_sigterm(0, flush=10)
    assert parts(budget_of(run)) == [("step-finished", 1.5), ("save", 2.0), ("upload", 3.0), ("margin", 233.5)]


def test_the_profile_without_sigterm_has_a_budget_until_its_end() -> None:
    run, attempt = start("ec2")
    attempt.wait(1)
    attempt.save("ckpt.npz", size=MB, write=2, upload=3)
    attempt.wait(117)
    attempt.kill()
    budget = budget_of(run)
    assert (budget.start, budget.window_seconds) == ("notice", 120.0)
    assert parts(budget)[-1] == ("margin", 114.0)


def test_an_upload_that_did_not_end_has_no_margin() -> None:
    run, attempt = start("sagemaker")
    attempt.sigterm(SCRIPT_AS_PID_1)
    attempt.wait(1)
    attempt.save("ckpt.npz", size=900 * MB, write=100, upload=50)
    attempt.wait(19)
    attempt.kill()
    budget = budget_of(run)
    assert [name for name, _ in parts(budget)] == ["notice-seen", "step-finished", "save", "upload"]
    assert parts(budget)[-1] == ("upload", 19.0)
    assert budget.upload_bytes_per_second is None
    assert budget.fits_bytes == 50e6 * 19
    assert "That was not enough" in budget.sentence


def test_a_write_that_did_not_end_tells_nothing_of_what_fits() -> None:
    run, attempt = start("sagemaker")
    attempt.sigterm(SCRIPT_AS_PID_1)
    attempt.wait(1)
    attempt.save("huge.pt", write=119, settles=False)
    attempt.kill()
    budget = budget_of(run)
    assert parts(budget)[-1] == ("save", 119.0)
    assert budget.fits_bytes is None


def test_several_files_of_one_save_are_taken_together() -> None:
    run, attempt = start("sagemaker")
    attempt.sigterm(SCRIPT_AS_PID_1)
    attempt.wait(1)
    for name in ("model.npz", "optimizer.npz"):
        attempt.save(name, size=10 * MB, write=2, upload=1)
    attempt.exit_after_sigterm(0, flush=10)
    budget = budget_of(run)
    assert budget.bytes == 20 * MB
    assert parts(budget)[2:4] == [("save", 4.0), ("upload", 1.0)]


def test_a_regular_save_is_no_reaction() -> None:
    run, attempt = start("sagemaker")
    attempt.sigterm(NO_HANDLER)
    train(attempt, 21, 140, save_every=10)
    attempt.kill()
    budget = budget_of(run)
    assert (budget.segments, budget.bytes, budget.fits_bytes) == ([], 0, None)
    assert budget.sentence == "Of the 120 s from SIGTERM to SIGKILL none was used: nothing was saved in reaction."


def test_a_late_save_after_which_the_script_waited_is_its_answer() -> None:
    run, attempt = start("sagemaker")
    attempt.sigterm(SCRIPT_AS_PID_1)
    attempt.wait(30)
    attempt.save("ckpt.npz", size=MB, write=2, upload=3)
    attempt.wait(88)
    attempt.kill()
    assert parts(budget_of(run)) == [
        *(("notice-seen", 0.0), ("step-finished", 30.0), ("save", 2.0), ("upload", 3.0), ("margin", 85.0)),
    ]


def test_leaving_without_a_save_uses_little() -> None:
    run, attempt = start("sagemaker")
    attempt.sigterm(SCRIPT_AS_PID_1)
    attempt.wait(3)
    attempt.exit_after_sigterm(0)
    budget = budget_of(run)
    assert parts(budget) == [("notice-seen", 0.0), ("step-finished", 3.0), ("margin", 117.0)]
    assert "left without saving" in budget.sentence


def test_the_time_until_an_unanswered_notices_sigterm_is_not_called_the_scripts() -> None:
    run, attempt = start("two-minute")
    attempt.wait(120)
    attempt.sigterm(SCRIPT_AS_PID_1)
    attempt.wait(3)
    attempt.exit_after_sigterm(0)
    assert "used 123 s, 3.0 s of it after SIGTERM, and left without saving" in budget_of(run).sentence


def test_the_report_holds_it_under_the_documented_names() -> None:
    run, attempt = start("sagemaker")
    attempt.sigterm(SCRIPT_AS_PID_1)
    attempt.save("ckpt.npz")
    attempt.exit_after_sigterm(0, flush=1)
    told = budget_of(run).as_dict()
    assert set(told) == {
        *("window_seconds", "from", "segments", "bytes", "upload_bytes_per_second", "fits", "sentence"),
    }
    assert set(told["fits"]) == {"bytes_per_second", "bytes"}
    assert set(told["segments"][0]) == {"name", "started_at", "seconds"}


def test_a_sudden_end_has_no_budget() -> None:
    run, attempt = start("sudden")
    attempt.kill()
    assert grace_budget(run.evidence(), 1) is None


def test_an_attempt_that_ended_by_itself_has_no_budget() -> None:
    run, attempt = start("two-minute")
    attempt.wait(5)
    attempt.exit(0)
    assert grace_budget(run.evidence(), 1) is None
