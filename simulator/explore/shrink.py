"""The simplest schedule that still fails: what makes one simpler, and the way down, many candidates at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

from simulator.explore.drawn import is_possible
from simulator.explore.points import Points
from simulator.explore.schedules import sharpness
from simulator.explore.trial import Schedule

AT_ONCE = 8
MOST_TRIES = 60  # each lasts about as long as the script

Key = tuple[int, int, tuple[int, ...]]
TryAll = Callable[[Sequence[Schedule]], Sequence[bool]]


def simplicity(schedule: Schedule, points: Points) -> Key:
    """What schedules are compared by, the simpler the smaller: fewer interruptions, then a profile with less to it
    (`sudden` has neither notice nor signal), then simpler and earlier points. A WHEN that is no point comes last."""
    places = {point.when: place for place, point in enumerate(points.all)}
    return (
        len(schedule.interruptions),
        sharpness(schedule.profile),
        tuple(places.get(when, len(places)) for when in schedule.interruptions),
    )


def simpler(schedule: Schedule, points: Points, profiles: Sequence[str]) -> list[Schedule]:
    """What is tried in place of a failing schedule, the simplest first: some of its interruptions; its interruptions
    with one of them moved, to the first of each kind or along its own kind, under this profile or a simpler one."""
    whens = schedule.interruptions
    found = [Schedule(kept, schedule.profile) for count in range(1, len(whens)) for kept in combinations(whens, count)]
    moved = [whens]
    for place, when in enumerate(whens):
        moved += [(*whens[:place], other, *whens[place + 1 :]) for other in _in_place_of(when, points)]
    found += [Schedule(kept, profile) for profile in {*profiles, schedule.profile} for kept in moved]
    own = simplicity(schedule, points)
    simpler_ones = {s: key for s in found if (key := simplicity(s, points)) < own and _is_possible(s, points)}
    return sorted(simpler_ones, key=simpler_ones.__getitem__)


def shrink(
    failing: Schedule,
    points: Points,
    profiles: Sequence[str],
    try_all: TryAll,
    at_once: int = AT_ONCE,
    most_tries: int = MOST_TRIES,
) -> Schedule:
    """The schedule at the end of the way down from `failing`: at each step the simplest candidate that fails too.

    `try_all` runs schedules side by side and says of each whether it fails; it is given at most `at_once`, nothing
    twice, and `most_tries` in all. The result is `failing` or one that was seen to fail; unless the tries ran out, none
    of its candidates fails.
    """
    seen: dict[Schedule, bool] = {failing: True}
    while True:
        better = _simplest_failing(simpler(failing, points, profiles), seen, try_all, at_once, most_tries + 1)
        if better is None:
            return failing
        failing = better


def _simplest_failing(
    candidates: Sequence[Schedule], seen: dict[Schedule, bool], try_all: TryAll, at_once: int, most: int
) -> Schedule | None:
    left = list(candidates)
    while left:
        batch, left = left[:at_once], left[at_once:]
        new = [candidate for candidate in batch if candidate not in seen][: most - len(seen)]
        if new:
            seen.update(zip(new, try_all(new), strict=True))
        for candidate in batch:
            if seen.get(candidate):
                return candidate
    return None


def _in_place_of(when: str, points: Points) -> list[str]:
    """The first of each kind; of the own kind earlier ones, by halves down to the one before, and two later ones, since
    a simpler profile leaves the script less time to come to where it fails."""
    own = points.named(when)
    if own is None:
        return [point.when for point in points.all]
    of_kind = points.of(own.kind)
    place = of_kind.index(own)
    earlier = {place - (place >> halves) for halves in range(1, place.bit_length())} | {place // 2, place - 1}
    later = {(place + len(of_kind)) // 2, len(of_kind) - 1}
    firsts = {point.kind: point.when for point in reversed(points.all)}
    return [*firsts.values(), *(of_kind[other].when for other in sorted(earlier | later) if other >= 0)]


def _is_possible(schedule: Schedule, points: Points) -> bool:
    chosen = [points.named(when) for when in schedule.interruptions]
    return is_possible([point for point in chosen if point is not None])
