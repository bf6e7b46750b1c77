"""The interruptions that faults are tried under."""

from __future__ import annotations

from simulator.explore.fault_schedules import fault_schedules
from simulator.explore.points import Point, PointKind, Points
from simulator.explore.trial import Schedule

K = PointKind
POINTS = Points(
    (
        Point("start", K.START, 0.0, ""),
        *(Point(f"step={step}", K.STEP, step / 10, "") for step in (1, 5, 9)),
        *(Point(f"uploaded={number}", K.UPLOADED, number / 10, "") for number in (1, 2, 3)),
        Point("download", K.DOWNLOAD, 0.0, ""),
    )
)
PROFILES = ("two-minute", "sudden", "sagemaker")


def test_the_middle_of_everything_comes_with_the_sharpest_profile_and_an_early_step_with_the_gentlest() -> None:
    assert fault_schedules(POINTS, PROFILES) == [
        Schedule(("uploaded=2",), "sudden"),
        Schedule(("step=5",), "sudden"),
        Schedule(("uploaded=2", "uploaded=2"), "sudden"),
        Schedule(("uploaded=2", "download"), "sudden"),
        Schedule(("step=1",), "two-minute"),
    ]


def test_a_script_that_tells_nothing_is_interrupted_at_its_start() -> None:
    assert fault_schedules(Points(POINTS.all[:1]), PROFILES) == [Schedule(("start",), "sudden")]


def test_without_points_or_profiles_there_are_none() -> None:
    assert fault_schedules(Points(()), PROFILES) == []
    assert fault_schedules(POINTS, ()) == []
