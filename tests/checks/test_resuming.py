"""SPOT002 restarted-from-scratch and SPOT003 lost-progress: who is convicted, and the many who only look like it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from simulator.checks import Finding, Severity, lost_progress, restarted_from_scratch
from simulator.checks.evidence import Evidence
from tests.checks.build import Attempt, Run, interrupted, only, train


def scratch(evidence: Evidence) -> list[Finding]:
    return restarted_from_scratch.check(evidence)


def older(evidence: Evidence) -> list[Finding]:
    return lost_progress.check(evidence)


def both(evidence: Evidence) -> list[Finding]:
    return scratch(evidence) + older(evidence)


STYLES: dict[str, dict[str, Any]] = {
    "one file a checkpoint": {"save_every": 10},
    "one file overwritten": {"save_every": 10, "name": "checkpoint.npz"},
    "names without a suffix": {"save_every": 10, "name": "state"},
    "folders": {"save_every": 10, "name": "checkpoint-{}/model.bin"},
    "json": {"save_every": 10, "name": "booster-{}.json"},
    "big and slow": {"save_every": 10, "size": 10**9, "write": 3.0, "upload": 6.0},
    "fast steps": {"save_every": 10, "seconds": 0.2},
    "logging every ten": {"save_every": 10, "log_every": 10},
}


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_a_script_that_never_loads_is_convicted(style: dict[str, Any]) -> None:
    finding = only(scratch(interrupted(1, **style).evidence()))
    assert (finding.severity, finding.attempt) == (Severity.ERROR, 2)


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_a_script_that_resumes_from_the_newest_durable_one_is_acquitted(style: dict[str, Any]) -> None:
    # The big and slow one's save of step 50 is still on its way when the instance goes a few steps later.
    assert both(interrupted(51, **style).evidence()) == []


def test_a_script_that_never_loads_and_is_saved_by_sigterm_only_is_convicted() -> None:
    run = Run(interrupt="step=57", profile="sagemaker")
    with run.attempt() as first:
        train(first, 1, 58)
        first.trigger()
        first.sigterm()
        first.save("on-sigterm.ckpt")
        first.exit_after_sigterm(0, flush=2)
    with run.attempt() as second:
        train(second, 1, 101)
        second.exit()
    assert only(scratch(run.evidence())).evidence["restored_checkpoint"] == "on-sigterm.ckpt"


def test_saying_restored_and_starting_over_is_convicted() -> None:
    run = interrupted(1, save_every=10, before=lambda attempt: attempt.log("restored at step=50"))
    assert len(scratch(run.evidence())) == 1


def test_a_static_file_beside_the_checkpoints_excuses_nothing() -> None:
    run = Run(interrupt="step=57")
    with run.attempt() as first:
        first.save("config.json", size=50)
        train(first, 1, 58, save_every=10)
        first.trigger()
        first.kill()
    with run.attempt() as second:
        train(second, 1, 101, save_every=10)
        second.exit()
    assert len(scratch(run.evidence())) == 1


@pytest.mark.parametrize(
    "banner",
    ["step=0 compiling", "epoch 0 warmup", "python train.py --steps 1000", "resuming from step=50", "loss: 9.9"],
)
def test_a_banner_before_the_restore_is_not_a_start_over(banner: str) -> None:
    run = interrupted(51, save_every=10, before=lambda attempt: attempt.log(banner))
    assert both(run.evidence()) == []


def test_a_checkpoint_of_the_first_step_proves_nothing() -> None:
    def begin(attempt: Attempt) -> None:
        attempt.wait(1)
        attempt.log("step=1 loss=1")
        attempt.save("ckpt-1.npz")
        attempt.wait(1)

    run = Run(interrupt="step=1")
    with run.attempt() as first:
        begin(first)
        first.trigger()
        first.kill()
    with run.attempt() as second:
        train(second, 1, 101)
        second.exit()
    assert both(run.evidence()) == []


def test_a_checkpoint_that_lacks_a_file_need_not_be_loaded() -> None:
    run = Run(interrupt="step=11")
    with run.attempt() as first:
        train(first, 1, 11)
        first.save("checkpoint-10/model.bin", upload=0.1)
        first.save("checkpoint-10/optimizer.bin", size=10**9, upload=60)
        train(first, 11, 14)
        first.trigger()
        first.kill()
    with run.attempt() as second:
        train(second, 1, 101)
        second.exit()
    assert both(run.evidence()) == []


def test_a_checkpoint_cut_while_its_other_files_were_to_come_need_not_be_loaded() -> None:
    run = Run(interrupt="upload")
    with run.attempt() as first:
        train(first, 1, 11)
        first.save("checkpoint-10/model.bin", upload=0.1)
        first.wait(0.2)
        first.trigger()
        first.kill()
    with run.attempt() as second:
        train(second, 1, 101)
        second.exit()
    assert both(run.evidence()) == []


def test_falling_back_from_an_incomplete_checkpoint_is_acquitted() -> None:
    run = Run(interrupt="step=53")
    with run.attempt() as first:
        for start in (1, 11, 21, 31, 41):
            train(first, start, start + 10)
            last = start == 41
            first.save(f"checkpoint-{start + 9}/model.bin")
            first.save(f"checkpoint-{start + 9}/optimizer.bin", upload=90 if last else 0.3)
        train(first, 51, 54)
        first.trigger()
        first.kill()
    with run.attempt() as second:
        train(second, 41, 101)
        second.exit()
    assert both(run.evidence()) == []


def test_a_metrics_file_that_changes_with_every_step_is_no_checkpoint() -> None:
    def style(name: str) -> Run:
        run = Run(interrupt="step=57")
        with run.attempt() as first:
            for step in range(1, 58):
                first.wait(1)
                first.log(f"step={step}")
                first.save(name, size=100 + step, write=0.01, upload=0.05)
                if step % 10 == 0:
                    first.save(f"ckpt-{step}.npz", size=5000)
            first.trigger()
            first.kill()
        with run.attempt() as second:
            train(second, 51, 101)
            second.exit()
        return run

    for name in ("metrics.csv", "history.json", "events.out.tfevents.1.host", "log"):
        assert both(style(name).evidence()) == [], name


@pytest.mark.parametrize("resumed", [41, 21, 11])
def test_an_older_checkpoint_than_the_newest_is_convicted(resumed: int) -> None:
    finding = only(older(interrupted(resumed, save_every=10).evidence()))
    assert finding.severity is Severity.ERROR
    assert finding.evidence["newest_checkpoint"] == "ckpt-50.npz"
    assert finding.evidence["resumed_from"] == f"ckpt-{resumed - 1}.npz"


def test_ninety_sorted_behind_one_hundred_is_convicted() -> None:
    finding = only(older(interrupted(91, kill_at=206, stop=250, save_every=10).evidence()))
    assert "ckpt-90.npz" in finding.message


def test_epochs_sorted_as_strings_are_convicted() -> None:
    run = interrupted(10, kill_at=14, stop=31, save_every=1, seconds=30.0, line=lambda epoch: f"Epoch {epoch}/30")
    assert only(older(run.evidence())).evidence["metric"] == "epoch"


def test_fast_steps_and_late_detection_do_not_convict() -> None:
    """A hundred steps a second: what is seen of a file lags behind what the log says."""
    run = Run(interrupt="step=570")
    with run.attempt() as first:
        for step in range(1, 571):
            first.wait(0.01)
            first.log(f"step={step}")
            if step >= 30 and (step - 30) % 100 == 0:  # seen 0.3 s after step 100, 200, … was saved
                first.save("checkpoint.bin", write=0.001, upload=0.05)
        first.trigger()
        first.kill()
    with run.attempt() as second:
        train(second, 501, 700)
        second.exit()
    assert both(run.evidence()) == []


def test_an_asynchronous_save_that_ends_steps_later_is_acquitted() -> None:
    run = Run(interrupt="step=59")
    with run.attempt() as first:
        for step in range(1, 60):
            first.wait(1)
            first.log(f"step={step}")
            if step % 10 == 5 and step > 5:  # the snapshot of the last full ten comes to the disk five steps later
                first.save(f"async-{'abcdefg'[step // 10]}.pt")
        first.trigger()
        first.kill()
    with run.attempt() as second:
        train(second, 51, 101)
        second.exit()
    assert [f for f in both(run.evidence()) if f.severity is Severity.ERROR] == []


def test_resuming_at_the_start_of_the_epoch_that_was_saved_is_only_a_warning() -> None:
    def line(step: int) -> str:
        return f"epoch {1 + (step - 1) // 40} step {step}"

    run = interrupted(41, kill_at=78, save_every=10, name="backup.keras", line=line)
    assert only(older(run.evidence())).severity is Severity.WARNING


def test_loading_the_best_instead_of_the_last_is_a_warning() -> None:
    run = Run(interrupt="step=57")
    with run.attempt() as first:
        for step in range(1, 58):
            first.wait(1)
            first.log(f"step={step}")
            if step % 10 == 0:
                first.save("last.ckpt")
            if step == 20:
                first.save("best.ckpt")
        first.trigger()
        first.kill()
    with run.attempt() as second:
        train(second, 21, 101)
        second.exit()
    assert only(older(run.evidence())).evidence["resumed_from"] == "best.ckpt"


def test_two_slots_in_turn_are_acquitted() -> None:
    run = Run(interrupt="step=57")
    with run.attempt() as first:
        for step in range(1, 58):
            first.wait(1)
            first.log(f"step={step}")
            if step % 10 == 0:
                first.save("ab"[step // 10 % 2] + ".ckpt")
        first.trigger()
        first.kill()
    with run.attempt() as second:
        train(second, 51, 101)
        second.exit()
    assert both(run.evidence()) == []


def test_steps_within_epochs_are_followed() -> None:
    def line(step: int) -> str:
        return f"epoch {(step - 1) // 20} step {(step - 1) % 20}"

    assert both(interrupted(51, save_every=10, line=line).evidence()) == []
    assert len(scratch(interrupted(1, save_every=10, line=line).evidence())) == 1
    assert len(older(interrupted(21, save_every=10, line=line).evidence())) == 1


def test_logging_by_time_is_followed() -> None:
    def timed(attempt: Attempt, first: int, stop: int) -> None:
        for step in range(first, stop):
            attempt.wait(1)
            if step * 7 % 5 in (0, 3):
                attempt.log(f"step={step}")
            if step % 20 == 0:
                attempt.save(f"{step}.pt")

    def run_from(step: int) -> Run:
        run = Run(interrupt="step=95")
        with run.attempt() as first:
            timed(first, 1, 96)
            first.trigger()
            first.kill()
        with run.attempt() as second:
            timed(second, step, 201)
            second.exit()
        return run

    assert both(run_from(81).evidence()) == []
    assert len(scratch(run_from(1).evidence())) == 1
    assert len(older(run_from(21).evidence())) == 1


def test_each_of_several_interruptions_is_judged() -> None:
    def three(resume: Callable[[int], int]) -> Run:
        run = Run("step=33", "step=66")
        with run.attempt() as first:
            train(first, 1, 34, save_every=10)
            first.trigger()
            first.kill()
        with run.attempt() as second:
            train(second, 31, 67, save_every=10)
            second.trigger()
            second.kill()
        with run.attempt() as third:
            train(third, resume(61), 101, save_every=10)
            third.exit()
        return run

    assert both(three(lambda step: step).evidence()) == []
    assert only(scratch(three(lambda step: 1).evidence())).attempt == 3
    assert only(older(three(lambda step: 31).evidence())).attempt == 3


def test_a_restore_that_is_itself_interrupted_is_looked_through() -> None:
    run = Run("step=57", "download")
    with run.attempt() as first:
        train(first, 1, 58, save_every=10)
        first.trigger()
        first.kill()
    with run.attempt() as second:
        second.lost_while_downloading()
    with run.attempt() as third:
        train(third, 1, 101, save_every=10)
        third.exit()
    assert only(scratch(run.evidence())).attempt == 3


def test_a_pair_of_files_of_different_saves_need_not_be_loaded() -> None:
    """Both are overwritten in place, and the kill came when one of the two was up."""
    run = Run(interrupt="step=37")
    with run.attempt() as first:
        for step in range(1, 38):
            first.wait(1)
            first.log(f"step={step}")
            if step % 6 == 0:
                first.save("weights.npz", write=1, upload=0.1)
                first.save("optimizer.npz", write=1, upload=0.1 if step < 36 else 9)
        first.trigger()
        first.kill()
    with run.attempt() as second:
        train(second, 1, 101)
        second.exit()
    assert both(run.evidence()) == []


def test_a_number_that_is_only_announced_was_never_reached() -> None:
    run = Run(interrupt="checkpoint=1")
    with run.attempt() as first:
        first.log("train.py --steps 500")
        first.wait(5)
        first.save("ckpt-2.npz")
        first.wait(9)
        first.trigger()
        first.kill()
    with run.attempt() as second:
        second.log("train.py --steps 500")
        train(second, 10, 101, log_every=10)
        second.exit()
    assert both(run.evidence()) == []
