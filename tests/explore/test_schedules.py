"""The order in which schedules are tried: every kind soon, each once, the same for the same seed everywhere."""

from __future__ import annotations

from itertools import islice, product

import pytest
from hypothesis import given, settings

from simulator.explore.drawn import drawn, is_possible
from simulator.explore.points import Point, PointKind, Points
from simulator.explore.schedules import exhausted, extent, schedules
from simulator.explore.trial import Schedule
from tests.explore.made import PROFILES, any_points, any_profiles, made


def chosen(schedule: Schedule, points: Points) -> list[Point]:
    found = [points.named(when) for when in schedule.interruptions]
    assert None not in found
    return [point for point in found if point is not None]


some_scripts = pytest.mark.parametrize(
    "points", [made(), made(6, 2, 3), made(1, 0), made(3, 1, start=False)], ids=["steps", "epochs", "bare", "no start"]
)


@some_scripts
@pytest.mark.parametrize(("profiles", "seed"), [(["sudden"], 0), (["ec2", "two-minute"], 7), (list(PROFILES), 99)])
def test_schedules_differ_are_possible_and_come_again_with_their_seed(
    points: Points, profiles: list[str], seed: int
) -> None:
    once = list(schedules(points, profiles, seed, 150))
    assert len(set(once)) == len(once)
    assert all(is_possible(chosen(schedule, points)) and schedule.profile in profiles for schedule in once)
    assert list(schedules(points, profiles, seed, 150)) == once
    assert list(schedules(points, profiles, seed, 20)) == once[:20], "a larger budget goes on where a smaller one ends"


def test_another_seed_tries_in_another_order() -> None:
    one, other = (list(schedules(made(), PROFILES, seed, 100)) for seed in (1, 2))
    assert one != other


def test_no_points_and_no_profiles_give_nothing_to_try() -> None:
    assert list(schedules(Points(()), PROFILES, 0, 10)) == []
    assert list(schedules(made(), (), 0, 10)) == []


def test_the_first_schedules_have_every_kind_of_moment() -> None:
    points = made(epochs=3)
    soon = list(schedules(points, PROFILES, 0, 25))
    assert {point.kind for schedule in soon for point in chosen(schedule, points)} == set(PointKind) - {
        PointKind.EVALUATION
    }
    assert {schedule.profile for schedule in soon} == set(PROFILES)
    assert ("start",) * 3 in {schedule.interruptions for schedule in soon}


@some_scripts
@pytest.mark.parametrize("profiles", [["sudden"], list(PROFILES)])
def test_everything_with_one_interruption_comes_where_the_budget_allows(points: Points, profiles: list[str]) -> None:
    tried = list(schedules(points, profiles, 0, 3 * extent(points, profiles).singles + 60))
    assert exhausted(tried, points, profiles)


def test_what_was_left_out_is_told() -> None:
    assert not exhausted([Schedule(("start",), "sudden")], made(), ["sudden"])


@given(any_points, any_profiles)
@settings(deadline=None)
def test_the_extent_is_what_can_be_counted(points: Points, profiles: list[str]) -> None:
    counted = [sum(is_possible(row) for row in product(points.all, repeat=count)) * len(profiles) for count in (1, 2)]
    told = extent(points, profiles)
    assert [told.singles, told.pairs] == counted
    assert told.total == told.singles + told.pairs + told.triples


@pytest.mark.parametrize("points", [made(2, 1), made(2, 0), made(1, 1, start=False)])
def test_triples_are_counted_too(points: Points) -> None:
    assert extent(points, ["sudden"]).triples == sum(is_possible(row) for row in product(points.all, repeat=3))


def test_a_small_script_is_tried_wholly() -> None:
    points = made(steps=1, saves=0)
    tried = set(schedules(points, ["sudden"], 0))
    assert len(tried) == extent(points, ["sudden"]).total


def test_instances_that_go_right_after_another_are_frequent() -> None:
    some = [s.interruptions for s in islice(drawn(made(steps=20, saves=0), ["sudden"], "3"), 400)]
    assert sum("start" in whens or "step=1" in whens[1:] for whens in some) > 100


def test_a_restore_is_only_waited_for_after_something_can_have_been_saved() -> None:
    points = made()
    start, download = points.of(PointKind.START)[0], points.of(PointKind.DOWNLOAD)[0]
    assert not is_possible([download]) and not is_possible([start, download])
    assert is_possible([points.of(PointKind.STEP)[0], download, download])
