"""Down to the simplest schedule that fails: always one that fails, none of whose simpler neighbours does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.explore.points import Points
from simulator.explore.shrink import shrink, simpler, simplicity
from simulator.explore.trial import Schedule
from tests.explore.made import PROFILES, any_points, any_schedule, made

POINTS = made(steps=8, saves=3)


class Script:
    """Fails under some schedules; keeps what it was tried with."""

    def __init__(self, fails: Callable[[Schedule], bool]) -> None:
        self.fails = fails
        self.tried: list[Schedule] = []
        self.batches: list[int] = []

    def __call__(self, schedules: Sequence[Schedule]) -> list[bool]:
        self.tried += schedules
        self.batches.append(len(schedules))
        return [self.fails(schedule) for schedule in schedules]


@st.composite
def bugs(draw: st.DrawFn) -> tuple[Points, Schedule, Callable[[Schedule], bool]]:
    """Points, a failing schedule, and a script that fails under it and an arbitrary half of all others."""
    points = draw(any_points)
    failing = draw(any_schedule(points))
    salt = draw(st.integers(0, 1 << 16))
    return points, failing, lambda s: s == failing or hash((salt, len(str(s)), *map(len, s.interruptions))) % 2 == 0


@given(bugs(), st.integers(1, 9))
@settings(deadline=None)
def test_the_result_fails_and_nothing_simpler_beside_it_does(
    bug: tuple[Points, Schedule, Callable[[Schedule], bool]], at_once: int
) -> None:
    points, failing, fails = bug
    script = Script(fails)
    found = shrink(failing, points, PROFILES, script, at_once, most_tries=10_000)
    assert fails(found)
    assert not any(map(fails, simpler(found, points, PROFILES)))
    assert simplicity(found, points) <= simplicity(failing, points)
    assert len(set(script.tried)) == len(script.tried) and max(script.batches, default=0) <= at_once
    assert shrink(failing, points, PROFILES, Script(fails), at_once, most_tries=10_000) == found


@given(bugs(), st.integers(0, 12))
@settings(deadline=None)
def test_the_tries_are_bounded(bug: tuple[Points, Schedule, Callable[[Schedule], bool]], most: int) -> None:
    points, failing, fails = bug
    script = Script(fails)
    assert fails(shrink(failing, points, PROFILES, script, most_tries=most))
    assert len(script.tried) <= most


@given(bugs())
@settings(deadline=None)
def test_every_candidate_is_simpler_and_none_comes_twice(
    bug: tuple[Points, Schedule, Callable[[Schedule], bool]],
) -> None:
    points, failing, _ = bug
    keys = [simplicity(candidate, points) for candidate in simpler(failing, points, PROFILES)]
    assert keys == sorted(keys) and all(key < simplicity(failing, points) for key in keys)


@pytest.mark.parametrize(
    ("failing", "fails", "smallest"),
    [
        (  # any kill after the sixth step
            Schedule(("step=8", "start", "download"), "two-minute"),
            lambda s: any(when in ("step=6", "step=7", "step=8") for when in s.interruptions),
            Schedule(("step=6",), "sudden"),
        ),
        (  # only where the script is told
            Schedule(("uploaded=2", "save=3"), "two-minute"),
            lambda s: s.profile in ("two-minute", "sagemaker"),
            Schedule(("start",), "sagemaker"),
        ),
        (  # told early, or killed late: the kill is the simpler story, though it comes later
            Schedule(("step=3",), "two-minute"),
            lambda s: (
                s.interruptions[0] in ("step=6", "step=7", "step=8") if s.profile == "sudden" else s.profile != "ec2"
            ),
            Schedule(("step=6",), "sudden"),
        ),
        (  # only a second instance right after a first
            Schedule(("step=7", "start", "step=3"), "ec2"),
            lambda s: "start" in s.interruptions[1:],
            Schedule(("start", "start"), "sudden"),
        ),
        (Schedule(("start",), "sudden"), lambda s: True, Schedule(("start",), "sudden")),
        (  # a WHEN of the user's own
            Schedule(("line=never seen",), "sudden"),
            lambda s: True,
            Schedule(("start",), "sudden"),
        ),
    ],
)
def test_a_bug_is_told_by_its_smallest_schedule(
    failing: Schedule, fails: Callable[[Schedule], bool], smallest: Schedule
) -> None:
    assert shrink(failing, POINTS, PROFILES, Script(fails)) == smallest
