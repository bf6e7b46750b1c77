"""What is named as not tried, and what seeing it happen takes off that list."""

from __future__ import annotations

from simulator.checks.tried import not_tried
from simulator.core.timeline import Kind
from simulator.verdict import judge
from tests.checks.build import Run, interrupted, train, uninterrupted


def untried(run: Run, *baselines: Run) -> str:
    return "\n".join(not_tried(run.evidence(*baselines)))


def test_a_kill_between_two_checkpoints_leaves_the_other_moments() -> None:
    told = untried(interrupted(51, save_every=10))
    assert "between two checkpoints" not in told
    for moment in ("before the first checkpoint", "being written", "on its way to S3", "while it restored", "quick"):
        assert moment in told


def test_a_kill_before_the_first_checkpoint_was_tried() -> None:
    assert "before the first checkpoint" not in untried(interrupted(1, kill_at=5, save_every=10))


def test_every_profile_but_the_one_used_is_named() -> None:
    told = untried(interrupted(51, save_every=10, profile="sudden"))
    assert "--profile ec2" in told and "--profile two-minute" in told and "profile sudden:" not in told


def test_a_kill_in_the_middle_of_a_write_was_tried() -> None:
    run = Run(interrupt="save")
    with run.attempt() as attempt:
        train(attempt, 1, 58, save_every=10)
        attempt.save("ckpt-58.npz", settles=False)
        attempt.trigger()
        attempt.kill()
    with run.attempt() as attempt:
        train(attempt, 51, 101)
        attempt.exit()
    assert "being written" not in untried(run)


def test_a_write_that_was_planned_to_be_cut_and_was_not_is_not_tried() -> None:
    assert "being written" in untried(interrupted(51, save_every=10))


def test_a_kill_in_the_middle_of_an_upload_was_tried() -> None:
    run = Run(interrupt="upload")
    with run.attempt() as attempt:
        train(attempt, 1, 58, save_every=10)
        attempt.save("ckpt-58.npz", upload=5)
        attempt.trigger()
        attempt.wait(0.5)
        attempt.kill()
    with run.attempt() as attempt:
        train(attempt, 51, 101)
        attempt.exit()
    assert "on its way to S3" not in untried(run)


def test_an_instance_lost_while_it_restored_and_two_in_a_row_were_tried() -> None:
    run = Run("step=57", "download")
    with run.attempt() as attempt:
        train(attempt, 1, 58, save_every=10)
        attempt.trigger()
        attempt.kill()
    with run.attempt() as attempt:
        attempt.lost_while_downloading()
    with run.attempt() as attempt:
        train(attempt, 51, 101, save_every=10)
        attempt.exit()
    told = untried(run)
    assert "while it restored" not in told and "quick succession" not in told


def test_a_comparison_is_untried_until_there_is_one() -> None:
    run = interrupted(51, save_every=10)
    assert "--baseline" in untried(run)
    assert "--baseline" not in untried(run, uninterrupted(), uninterrupted())


def test_samples_are_untried_until_they_are_told() -> None:
    run = interrupted(51, save_every=10)
    assert "sample-ids" in untried(run)
    run.add(Kind.SAMPLES, 1, epoch=0, step=1, ids=["1"], source="log")
    assert "sample-ids" not in untried(run)


def test_the_verdict_holds_it() -> None:
    verdict = judge(interrupted(51, save_every=10).timeline())
    assert verdict.as_dict()["not_tried"] == not_tried(interrupted(51, save_every=10).evidence())
