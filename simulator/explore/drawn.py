"""Schedules of several interruptions, drawn by Hypothesis from a seed: anywhere, or in bursts as real ones come.

Promise: a seed draws the same schedules on every machine. For that every choice is made of coin tosses: Hypothesis
mixes numbers that it finds in the modules loaded at that moment into the integers that it draws, never into booleans.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from statistics import NormalDist
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from simulator.explore.points import Point, PointKind, Points
from simulator.explore.trial import Schedule

T = TypeVar("T")
Draw = Callable[[st.SearchStrategy[bool]], bool]

MOST_INTERRUPTIONS = 3
"""CrashMonkey (OSDI '18): most crash-consistency bugs that were reported need at most three operations."""
BURSTINESS = (1.8, 3.2)
"""The coefficient of variation of real spot instances' up-times, in the traces that SkyPilot's authors published
(skypilot-org/spot-traces); of a Poisson process it is 1. The larger, the more instances go right after another."""
_COINS = 10  # tosses a choice
_SOON = 0.02  # of the run: an instance that lives no longer goes in its first moments


@st.composite
def schedule_strategy(draw: Draw, points: Points, profiles: Sequence[str]) -> Schedule:
    """Schedules of two to `MOST_INTERRUPTIONS` possible interruptions. `points` must have one for a first attempt."""
    count = 2 + _index(draw, MOST_INTERRUPTIONS - 1)
    profile = profiles[_index(draw, len(profiles))]
    chosen = _burst(draw, points, count) if draw(st.booleans()) else _anywhere(draw, points, count)
    return Schedule(tuple(point.when for point in chosen), profile)


def drawn(points: Points, profiles: Sequence[str], number: int, most: int) -> Iterator[Schedule]:
    """`most` schedules of a seed, doubles among them."""
    found: list[Schedule] = []

    @seed(number)
    @settings(
        max_examples=most,
        database=None,
        deadline=None,
        derandomize=False,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(schedule_strategy(points, profiles))
    def collect(schedule: Schedule) -> None:
        found.append(schedule)

    collect()
    return iter(found)


def is_possible(chosen: Sequence[Point]) -> bool:
    """Whether every restore that is waited for can come: an attempt before it has to have come as far as a save."""
    started = False
    for point in chosen:
        if point.kind in (PointKind.RESTORED, PointKind.DOWNLOAD) and not started:
            return False
        started = started or point.kind is not PointKind.START
    return True


def _anywhere(draw: Draw, points: Points, count: int) -> list[Point]:
    """Points of any kind; a kind first, so that those with few points come as often as those with many."""
    chosen: list[Point] = []
    while len(chosen) < count:
        kinds = [kind for kind in PointKind if any(is_possible([*chosen, point]) for point in points.of(kind)[:1])]
        of_kind = points.of(kinds[_index(draw, len(kinds))])
        chosen.append(of_kind[_index(draw, len(of_kind))])
    return chosen


def _burst(draw: Draw, points: Points, count: int) -> list[Point]:
    """Interruptions whose up-times have the real ones' variation, on average so long that all fit into the run."""
    low, high = BURSTINESS
    variation = low + (high - low) * _share(draw)
    sigma = math.sqrt(math.log(1 + variation**2))  # of a log-normal distribution with this coefficient of variation
    along = points.of(PointKind.STEP) or points.of(PointKind.EPOCH) or points.first
    starts = points.of(PointKind.START) or points.first[:1]
    place, chosen = 0.0, list[Point]()
    for _ in range(count):
        lived = math.exp(sigma * NormalDist().inv_cdf(_share(draw)) - sigma**2 / 2) / (count + 1)
        place = min(place + lived, 1.0)
        chosen.append(starts[0] if lived < _SOON else along[min(int(place * len(along)), len(along) - 1)])
    return chosen


def _share(draw: Draw) -> float:
    """Between 0 and 1, both excluded."""
    steps = 1 << _COINS
    return (_index(draw, steps) + 0.5) / steps


def _index(draw: Draw, size: int) -> int:
    """Below `size`, which is at most a thousand, nearly evenly."""
    tossed = 0
    for _ in range(_COINS):
        tossed = 2 * tossed + draw(st.booleans())
    return tossed * size >> _COINS
