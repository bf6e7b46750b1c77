"""In which order schedules are tried: first what tells most, then everything with one interruption, and bursts.

Promise: the same points, profiles and seed give the same schedules in the same order, none of them twice.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from simulator.explore.drawn import drawn, is_possible
from simulator.explore.points import Point, PointKind, Points
from simulator.explore.trial import Schedule

SHARPEST_FIRST = ("sudden", "ec2", "sagemaker", "two-minute")
"""Profiles from the one that leaves the script least time; the last ones tell it, and so try its answer."""
_SINGLES_FOR_A_BURST = 2  # so many schedules with one interruption are tried between two with several
_FRUITLESS = 2000  # draws in a row that gave nothing new: there is hardly any more

K = PointKind


def schedules(points: Points, profiles: Sequence[str], seed: int, most: int | None = None) -> Iterator[Schedule]:
    """At most `most` schedules of these points and profiles, all different, in the seed's order. None where the script
    has no points or `profiles` is empty."""
    if not points.first or not profiles:
        return
    tried: set[Schedule] = set()
    ordered = [
        _first_sweep(points, profiles),
        _two_to_one(_singles(points, profiles, seed), _several(points, profiles, seed)),
    ]
    for schedule in (schedule for part in ordered for schedule in part):
        if most is not None and len(tried) >= most:
            return
        if schedule not in tried:
            tried.add(schedule)
            yield schedule


@dataclass(frozen=True)
class Extent:
    """How many schedules there are, by their number of interruptions."""

    singles: int
    pairs: int
    triples: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.singles + self.pairs + self.triples


def extent(points: Points, profiles: Sequence[str]) -> Extent:
    """Of how many schedules a search tries some: all possible ones, up to three interruptions."""
    first, later = len(points.first), len(points.all) - len(points.first)
    starts = len(points.of(K.START))
    pairs = first * first + (first - starts) * later
    triples = pairs * first + (pairs - starts * starts) * later  # only after two bare starts is nothing restored
    return Extent(first * len(profiles), pairs * len(profiles), triples * len(profiles))


def exhausted(tried: Iterable[Schedule], points: Points, profiles: Sequence[str]) -> bool:
    """Whether everything with one interruption was tried."""
    return {Schedule((point.when,), profile) for point in points.first for profile in profiles} <= set(tried)


# What tells most


@dataclass(frozen=True)
class _Pick:
    """One interruption of the first sweep: the point at this share of its kind's."""

    kind: PointKind
    share: float = 0.0


_MIDDLE, _SOON_AFTER, _LATE = _Pick(K.STEP, 0.5), _Pick(K.STEP, 0.54), _Pick(K.STEP, 0.85)
_SWEEP: Sequence[tuple[bool, Sequence[_Pick]]] = (
    # whether the script is told, and the interruptions
    (True, [_MIDDLE]),  # is anything saved, taken up, and saved on SIGTERM
    (False, [_Pick(K.UPLOADED)]),  # is what reaches S3 first a whole checkpoint
    (False, [_LATE]),  # is the newest of many taken up
    (False, [_Pick(K.UPLOAD, 0.5)]),
    (True, [_Pick(K.EVALUATION)]),
    (False, [_Pick(K.START)]),
    (False, [_Pick(K.SAVE, 0.5)]),
    (False, [_Pick(K.UPLOADED, 0.4)]),
    (False, [_MIDDLE, _SOON_AFTER]),  # is there still something to take up when the next one goes soon
    (True, [_Pick(K.EPOCH, 0.5)]),
    (False, [_Pick(K.SAVED)]),
    (False, [_Pick(K.STEP, 0.0)]),
    (False, [_MIDDLE, _Pick(K.STEP)]),
    (False, [_MIDDLE, _Pick(K.DOWNLOAD)]),
    (False, [_Pick(K.EPOCH, 1.0)]),
    (False, [_Pick(K.STEP, 1.0)]),
    (True, [_MIDDLE, _LATE]),
    (False, [_Pick(K.START), _Pick(K.START), _Pick(K.START)]),
    (False, [_MIDDLE, _Pick(K.RESTORED)]),
    (False, [_MIDDLE, _Pick(K.START)]),
)


def _first_sweep(points: Points, profiles: Sequence[str]) -> Iterator[Schedule]:
    """One of every kind with the profile that tells most, then the middle of the run with every profile."""
    for told, picks in _SWEEP:
        chosen = [point for pick in picks if (point := _picked(points, pick)) is not None]
        if len(chosen) == len(picks):
            yield _schedule(chosen, _most_telling(profiles, told))
    middle = _picked(points, _MIDDLE) or points.first[len(points.first) // 2]
    for profile in profiles:
        yield _schedule([middle], profile)


def _picked(points: Points, pick: _Pick) -> Point | None:
    """The point; where the script counts no steps, of its epochs."""
    of_kind = points.of(pick.kind)
    if not of_kind and pick.kind is K.STEP:
        of_kind = points.of(K.EPOCH)
    return of_kind[round(pick.share * (len(of_kind) - 1))] if of_kind else None


def _most_telling(profiles: Sequence[str], told: bool) -> str:
    ordered = sorted(profiles, key=sharpness)
    return ordered[-1] if told else ordered[0]


def sharpness(profile: str) -> int:
    """A profile's place among `SHARPEST_FIRST`, unknown ones last."""
    return SHARPEST_FIRST.index(profile) if profile in SHARPEST_FIRST else len(SHARPEST_FIRST)


# Everything with one interruption


def _singles(points: Points, profiles: Sequence[str], seed: int) -> Iterator[Schedule]:
    """Every point, first with the profile that tells most of its kind and then with the others."""
    shuffle = random.Random(f"singles {seed}")
    by_turn: list[list[Schedule]] = [[] for _ in profiles]
    for point in points.first:
        sharpest_first = sorted(profiles, key=sharpness, reverse=point.kind in (K.EPOCH, K.EVALUATION))
        for turn, profile in enumerate(sharpest_first):
            by_turn[turn].append(_schedule([point], profile))
    for alike in by_turn:
        shuffle.shuffle(alike)
        yield from alike


# Several


def _several(points: Points, profiles: Sequence[str], seed: int) -> Iterator[Schedule]:
    """Bursts, by turns with what is drawn, until nothing new is drawn."""
    bursts = iter(_bursts(points, _most_telling(profiles, told=False), seed))
    known: set[Schedule] = set()
    fruitless = 0
    for schedule in drawn(points, profiles, f"drawn {seed}"):
        if schedule in known:
            fruitless += 1
            if fruitless == _FRUITLESS:
                break
            continue
        fruitless = 0
        known.add(schedule)
        yield from islice(bursts, 1)
        yield schedule
    yield from bursts


def _bursts(points: Points, profile: str, seed: int) -> list[Schedule]:
    """One interruption right after another, up to three in a row: before the first checkpoint, and at each place of a
    run that was under way."""
    soon = [
        point for kind in (K.START, K.STEP, K.SAVE, K.UPLOADED, K.RESTORED, K.DOWNLOAD) for point in points.of(kind)[:1]
    ]
    before = points.of(K.STEP, K.EPOCH) + points.of(K.UPLOADED)[:1]
    rows = [[point] * count for point in soon for count in (2, 3)]
    rows += [[first, *[point] * count] for first in before for point in soon for count in (1, 2)]
    found = [_schedule(row, profile) for row in rows if is_possible(row)]
    random.Random(f"bursts {seed}").shuffle(found)
    return found


def _two_to_one(singles: Iterator[Schedule], several: Iterator[Schedule]) -> Iterator[Schedule]:
    while some := list(islice(singles, _SINGLES_FOR_A_BURST)):
        yield from some
        yield from islice(several, 1)
    yield from several


def _schedule(chosen: Sequence[Point], profile: str) -> Schedule:
    return Schedule(tuple(point.when for point in chosen), profile)
