"""Points as tests need them, and strategies of points and schedules."""

from __future__ import annotations

from hypothesis import strategies as st

from simulator.explore.drawn import is_possible
from simulator.explore.points import Point, PointKind, Points
from simulator.explore.trial import Schedule

PROFILES = ("two-minute", "sagemaker", "ec2", "sudden")


def made(steps: int = 5, saves: int = 3, epochs: int = 0, start: bool = True) -> Points:
    """A script's points: so many steps, checkpoints and epochs."""
    found = [Point("start", PointKind.START, 0.0, "")] if start else []
    found += [Point(f"step={n}", PointKind.STEP, n / 10, "") for n in range(1, steps + 1)]
    found += [Point(f"epoch={n}", PointKind.EPOCH, n / 10, "") for n in range(1, epochs + 1)]
    for kind in (PointKind.SAVED, PointKind.UPLOADED, PointKind.SAVE, PointKind.UPLOAD):
        name = "checkpoint" if kind is PointKind.SAVED else kind.value
        found += [Point(f"{name}={n}", kind, n / 10, "") for n in range(1, saves + 1)]
    if saves:
        found += [Point(kind.value, kind, 0.0, "") for kind in (PointKind.RESTORED, PointKind.DOWNLOAD)]
    return Points(tuple(found))


any_points = st.builds(
    made, steps=st.integers(1, 6), saves=st.integers(0, 3), epochs=st.integers(0, 3), start=st.booleans()
)
any_profiles = st.lists(st.sampled_from(PROFILES), min_size=1, unique=True)


def any_schedule(points: Points) -> st.SearchStrategy[Schedule]:
    """Possible schedules of these points."""
    rows = st.lists(st.sampled_from(points.all), min_size=1, max_size=3).filter(is_possible)
    return st.builds(
        lambda row, profile: Schedule(tuple(point.when for point in row), profile), rows, st.sampled_from(PROFILES)
    )
