"""Where an interruption can come: what a recorded run did, told by what happened and never by the clock."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from simulator.core.plan import TriggerWatch, parse_when
from simulator.core.timeline import Kind
from simulator.explore.points import MOST_STEPS, Point, PointKind, Points, points_of
from tests.checks.build import Attempt, Run, train


def recorded(script: Callable[[Attempt], None], slowness: float = 0.0) -> Run:
    """An uninterrupted run of a script, on a machine that starts it so much later."""
    run = Run()
    with run.attempt() as attempt:
        attempt.wait(slowness)
        script(attempt)
        attempt.exit(0)
    return run


def periodic(attempt: Attempt) -> None:
    """Steps 1 to 100, a checkpoint every ten."""
    train(attempt, 1, 101, save_every=10)


def of_kind(points: Points, kind: PointKind) -> list[str]:
    return [point.when for point in points.of(kind)]


def test_a_run_without_a_process_has_no_points() -> None:
    assert points_of(Run().timeline()).all == ()


def test_every_kind_of_moment_is_a_point() -> None:
    points = points_of(recorded(periodic).timeline())
    assert of_kind(points, PointKind.START) == ["start"]
    assert of_kind(points, PointKind.SAVE) == [f"save={n}" for n in (1, 2, 3, 4, 6, 8)]
    assert of_kind(points, PointKind.SAVED) == [f"checkpoint={n}" for n in (1, 2, 3, 4, 6, 8)]
    assert of_kind(points, PointKind.UPLOAD) == [f"upload={n}" for n in (1, 2, 3, 4, 6, 8)]
    assert of_kind(points, PointKind.UPLOADED) == [f"uploaded={n}" for n in (1, 2, 3, 4, 6, 8)]
    steps = of_kind(points, PointKind.STEP)
    assert len(steps) == MOST_STEPS and steps[0] == "step=1" and steps[-1] == "step=100"
    assert points.left_out == 100 - MOST_STEPS


def test_only_a_later_attempt_has_something_to_restore() -> None:
    points = points_of(recorded(periodic).timeline())
    assert {point.when for point in points.all} - {point.when for point in points.first} == {"restored", "download"}


def test_the_machines_pace_moves_no_point() -> None:
    quick, slow = (points_of(recorded(periodic, slowness).timeline()) for slowness in (0, 7))
    assert quick == slow
    assert [p.at_share for p in quick.all] != [p.at_share for p in slow.all]


def test_uploads_that_the_recorded_uploader_skipped_are_points_all_the_same() -> None:
    run = recorded(periodic)
    lucky = points_of(run.timeline())
    run.events = [event for event in run.events if event.kind not in (Kind.UPLOAD_STARTED, Kind.UPLOAD_FINISHED)]
    assert points_of(run.timeline()) == lucky


def test_epochs_are_points_beside_the_steps() -> None:
    def script(attempt: Attempt) -> None:
        for step in range(1, 41):
            attempt.log(f"epoch={(step - 1) // 10 + 1} step={step}")
            attempt.wait(1)

    points = points_of(recorded(script).timeline())
    assert of_kind(points, PointKind.EPOCH) == ["epoch=1", "epoch=2", "epoch=3", "epoch=4"]


def test_steps_that_begin_again_are_told_by_their_line() -> None:
    def script(attempt: Attempt) -> None:
        for epoch in range(1, 4):
            for step in range(1, 11):
                attempt.log(f"Epoch {epoch} step {step} loss {0.5 / epoch / step:.4f}")
                attempt.wait(1)

    points = points_of(recorded(script).timeline())
    in_the_second = [p for p in points.of(PointKind.STEP) if p.label.startswith("epoch 2")]
    watch = TriggerWatch(parse_when(in_the_second[-1].when))
    step = int(in_the_second[-1].label.rpartition(" ")[2])
    assert not watch.observe_line(f"Epoch 1 step {step} loss 0.1")
    assert not watch.observe_line(f"Epoch 2 step {step}9 loss 0.1")
    assert watch.observe_line(f"Epoch 2 step {step} loss 7.5e-3")


def test_an_evaluations_result_is_a_point_that_any_attempt_meets() -> None:
    def script(attempt: Attempt) -> None:
        for step in range(1, 41):
            attempt.log(f"step={step}")
            attempt.wait(1)
            if step % 20 == 0:
                attempt.add(Kind.METRIC, name="val_loss", value=4 / step, line=f"val_loss: {4 / step}")

    assert of_kind(points_of(recorded(script).timeline()), PointKind.EVALUATION) == ["val_loss=0.1"]


def test_an_evaluation_that_is_only_announced_is_a_point() -> None:
    log = [
        "step=1 validation-error=0.5\n",
        "2026-11-25 02:34:13,825 | evaluating on 500 samples\n",
        "2026-11-25 02:35:20,113 | evaluating on 400 samples\n",
    ]

    def script(attempt: Attempt) -> None:
        for step in range(1, 4):
            attempt.log(f"step={step} validation-error=0.5")

    [point] = points_of(recorded(script).timeline(), log).of(PointKind.EVALUATION)
    assert point.when.startswith("line=evaluating on ")
    assert TriggerWatch(parse_when(point.when)).observe_line("evaluating on 37 samples")


def test_points_are_in_the_order_of_simplicity_and_differ() -> None:
    points = points_of(recorded(periodic).timeline()).all
    kinds = list(PointKind)
    assert [point.kind for point in points] == sorted((point.kind for point in points), key=kinds.index)
    assert len({point.when for point in points}) == len(points)


@pytest.mark.parametrize("point", points_of(recorded(periodic).timeline()).all, ids=lambda point: point.when)
def test_every_point_can_be_waited_for(point: Point) -> None:
    assert parse_when(point.when).text == point.when
    assert 0 <= point.at_share <= 1
