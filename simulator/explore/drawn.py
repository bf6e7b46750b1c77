"""Schedules of several interruptions, drawn from a seed: anywhere, or in bursts as real ones come.

Promise: a seed draws the same schedules in every process and on every machine. That is why they are drawn by `random`
and not by Hypothesis: it mixes numbers from whatever modules are loaded into what it draws, repeats two of three draws
where few points are to choose from, and cannot be used below another of its tests.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence

from simulator.explore.points import LATER_ONLY, Point, PointKind, Points
from simulator.explore.trial import Schedule

MOST_INTERRUPTIONS = 3
"""CrashMonkey (OSDI '18): most crash-consistency bugs that were reported need at most three operations."""
BURSTINESS = (1.8, 3.2)
"""The coefficient of variation of real spot instances' up-times, in the traces that SkyPilot's authors published
(skypilot-org/spot-traces); of a Poisson process it is 1. The larger, the more instances go right after another."""
_SOON = 0.02  # of the run: an instance that lives no longer goes in its first moments


def drawn(points: Points, profiles: Sequence[str], seed: str) -> Iterator[Schedule]:
    """Without end, and with repetitions: possible schedules of two to `MOST_INTERRUPTIONS` interruptions. There must be
    a profile, and a point for a first attempt."""
    draw = random.Random(seed)
    while True:
        count, profile = draw.randint(2, MOST_INTERRUPTIONS), draw.choice(profiles)
        chosen = _burst(draw, points, count) if draw.random() < 0.5 else _anywhere(draw, points, count)
        yield Schedule(tuple(point.when for point in chosen), profile)


def is_possible(chosen: Sequence[Point]) -> bool:
    """Whether every restore that is waited for can come: an attempt before it has to have come as far as a save."""
    started = False
    for point in chosen:
        if point.kind in LATER_ONLY and not started:
            return False
        started = started or point.kind is not PointKind.START
    return True


def _anywhere(draw: random.Random, points: Points, count: int) -> list[Point]:
    """Points of any kind; a kind first, so that those with few points come as often as those with many."""
    chosen: list[Point] = []
    while len(chosen) < count:
        kinds = [kind for kind in PointKind if any(is_possible([*chosen, point]) for point in points.of(kind)[:1])]
        chosen.append(draw.choice(points.of(draw.choice(kinds))))
    return chosen


def _burst(draw: random.Random, points: Points, count: int) -> list[Point]:
    """Interruptions whose up-times have the real ones' variation, on average so long that all fit into the run."""
    sigma = math.sqrt(
        math.log(1 + draw.uniform(*BURSTINESS) ** 2)
    )  # of a log-normal with this coefficient of variation
    along = points.of(PointKind.STEP) or points.of(PointKind.EPOCH) or points.first
    soon = [*points.of(PointKind.START), along[0]]  # before the script runs, and at its first sign of life
    place, chosen = 0.0, list[Point]()
    for _ in range(count):
        lived = draw.lognormvariate(-(sigma**2) / 2, sigma) / (count + 1)
        place = min(place + lived, 1.0)
        chosen.append(draw.choice(soon) if lived < _SOON else along[min(int(place * len(along)), len(along) - 1)])
    return chosen
