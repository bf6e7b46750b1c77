"""When a zygote is found to change results: on timelines made by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from simulator.core.timeline import Event, Kind, Timeline
from simulator.explore.zygote_proof import Answer, Proof, differences, prove
from tests.checks.build import Run, train


def a_run(
    loss: Callable[[int], float] = lambda step: 1 / step,
    code: int = 0,
    model: str = "m",
    checkpoint: str = "c",
    left: tuple[str, ...] = ("ckpt-20.npz",),
    speed: float = 3.0,
) -> Timeline:
    run = Run()
    with run.attempt() as attempt:
        attempt.model = {"model.keras": {"bytes": 1000, "digest": model}, "log.csv": {"bytes": 9, "digest": f"{speed}"}}
        train(attempt, 1, 21, save_every=10, line=lambda step: f"step={step} loss={loss(step)!r} speed={speed}")
        for path in ("ckpt-10.npz", "ckpt-20.npz"):
            attempt.add(Kind.STATE, **state(path, checkpoint, "written"))
        for path in left:
            attempt.add(Kind.STATE, **state(path, checkpoint, "end"))
        attempt.exit(code)
    return run.timeline()


def state(path: str, digest: str, when: str) -> dict[str, Any]:
    tensors = {"w": {"shape": [2], "dtype": "float32", "digest": digest}}
    return {
        "place": "checkpoints",
        "when": when,
        "path": path,
        "format": "npz",
        "digest": digest,
        "tensors": tensors,
        "bytes": 99,
    }


def test_parts_of_a_checkpoint_that_was_being_written_are_not_compared() -> None:
    timelines = []
    for digest in ("half", "whole"):
        timelines.append(a_run())
        timelines[-1].append(Event(1.0, Kind.STATE, 1, state("ckpt-9_temp/part-0.npz", digest, "written")))

    assert not differences(*timelines)


def never() -> Timeline:
    raise AssertionError("a second cold run is made although the first two agree")


def proved(zygote: Timeline, second_cold: Timeline) -> Proof:
    return prove(a_run(), zygote, lambda: second_cold)


def test_equal_runs_are_the_same_and_need_no_third() -> None:
    proof = prove(a_run(), a_run(speed=5.0), never)
    assert proof.answer is Answer.SAME and proof.holds
    assert "logged numbers" in proof.sentence and "3 files" not in proof.sentence


CHANGED = {
    "the exit code": a_run(code=3),
    "the loss that is logged": a_run(loss=lambda step: 1 / step + (1e-15 if step == 17 else 0)),
    "the model model.keras": a_run(model="another"),
    "the checkpoint ckpt-20.npz": a_run(checkpoint="another"),
    "which checkpoint files are left": a_run(left=("ckpt-10.npz", "ckpt-20.npz")),
}


@pytest.mark.parametrize("what", CHANGED)
def test_what_only_the_zygote_changes_makes_for_cold_starts(what: str) -> None:
    assert what in differences(a_run(), CHANGED[what])
    proof = proved(CHANGED[what], a_run())
    assert proof.answer is Answer.CHANGES and not proof.holds
    assert "cold" in proof.sentence and what.removeprefix("the ").partition(" ckpt")[0] in proof.sentence


@pytest.mark.parametrize("what", CHANGED)
def test_what_two_cold_starts_differ_in_too_is_not_held_against_it(what: str) -> None:
    proof = proved(CHANGED[what], CHANGED[what])
    assert proof.answer is Answer.NOT_REPEATABLE and proof.holds
    assert "does not repeat itself" in proof.sentence


def test_a_difference_of_its_own_counts_beside_one_that_the_script_has() -> None:
    proof = proved(a_run(model="x", loss=lambda step: 2 / step), a_run(model="y"))
    assert proof.answer is Answer.CHANGES
    assert "the loss that is logged" in proof.sentence


def test_a_state_that_could_not_be_read_is_no_difference() -> None:
    run = Run()
    with run.attempt() as attempt:
        attempt.add(Kind.STATE, **{**state("a.npz", "", "end"), "unread": "too large"})
        attempt.exit()
    other = Run()
    with other.attempt() as attempt:
        attempt.add(Kind.STATE, **state("a.npz", "c", "end"))
        attempt.exit()
    assert differences(run.timeline(), other.timeline()) == {}
