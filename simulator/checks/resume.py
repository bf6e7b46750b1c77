"""Where a later attempt began, held against what was durable: continued, from scratch, from older, or unclear.

A checkpoint convicts only when it is surely one: written wholly, wholly in S3, restored, its save over, no file of the
same save still missing, and made after progress that the later attempt then logged again. Everything else is unclear.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from math import inf
from pathlib import PurePosixPath

from simulator.checks.durability import DurableFile, Version
from simulator.checks.evidence import Evidence
from simulator.checks.file_names import family, is_named_as_state, may_be_a_checkpoint, numbers
from simulator.checks.progress import Progress, Walk
from simulator.checks.wholeness import is_cut


class Began(StrEnum):
    """How a later attempt began."""

    CONTINUED = "continued"
    FROM_SCRATCH = "from-scratch"
    FROM_OLDER = "from-older"
    FROM_OTHER_COPY = "from-other-copy"
    FROM_EPOCH_START = "from-epoch-start"
    UNCLEAR = "unclear"


@dataclass(frozen=True)
class Resume:
    """How attempt `attempt` began after `after` was interrupted. `newest` is the newest sure checkpoint that it could
    have resumed from, `newest_value` the least progress in it; `older` the one that explains where it began."""

    attempt: int
    after: int
    began: Began
    why: str
    first_value: float
    reached: float
    newest: DurableFile | None = None
    newest_value: float = -inf
    older: DurableFile | Version | None = None

    @property
    def shows_progress(self) -> bool:
        """Whether it went on from restored state at all, be it newer or older."""
        return self.began not in (Began.FROM_SCRATCH, Began.UNCLEAR)


@dataclass(frozen=True)
class _Bounds:
    low: float
    high: float


class _Contents:
    """The progress that a file version holds, between bounds: by when it was written, and by a number in its name where
    the names of its whole family agree with the log."""

    def __init__(self, evidence: Evidence, progress: Progress) -> None:
        self._evidence = evidence
        self._progress = progress
        self._slack = evidence.options.detection_seconds
        self._numbered: dict[str, int | None] = {}
        self._families: dict[str, list[Version]] = {}
        for path, versions in evidence.files.versions.items():
            own = [version for version in versions if version.host in evidence.leading]
            self._families.setdefault(family(path), []).extend(own)

    def versions_of(self, path: str) -> list[Version]:
        """Every write of the path's family."""
        return self._families.get(family(path), [])

    def bounds(self, version: Version) -> _Bounds:
        by_time = self._by_time(version)
        place = self._numbered_at(family(version.path))
        if place is None:
            return by_time
        number, stride = numbers(version.path)[place], self._progress.stride
        return _Bounds(max(by_time.low, number - stride), min(by_time.high, number + stride))

    def _by_time(self, version: Version) -> _Bounds:
        walk = self._progress.walks.get(version.attempt)
        if walk is None:
            return _Bounds(-inf, inf)
        before = walk.at(version.started_at - self._slack)
        after = walk.at(version.done_at + self._slack)
        return _Bounds(before.value if before else -inf, after.value if after else walk.first.value)

    def _numbered_at(self, name: str) -> int | None:
        if name not in self._numbered:
            self._numbered[name] = self._find_number(self._families.get(name, []))
        return self._numbered[name]

    def _find_number(self, versions: Sequence[Version]) -> int | None:
        """Which of the numbers in the family's names is the progress, if one is."""
        stride = self._progress.stride
        named = {numbers(version.path): version for version in versions}
        if len(named) < 2:
            return None
        bounds = {tokens: self._by_time(version) for tokens, version in named.items()}
        for place in range(len(next(iter(named)))):
            if len({tokens[place] for tokens in named}) > 1 and all(
                known.low - stride <= tokens[place] <= known.high + stride for tokens, known in bounds.items()
            ):
                return place
        return None


def resumes(evidence: Evidence) -> list[Resume]:
    """How every later attempt began that logged progress. Empty when the log tells no progress."""
    return evidence.once(_resumes)


def _resumes(evidence: Evidence) -> list[Resume]:
    progress = evidence.progress
    if progress is None:
        return []
    comparison = _Comparison(evidence, progress)
    return [
        comparison.resume(before, attempt)
        for before, attempt in pairwise(evidence.attempts)
        if attempt in progress.walks
    ]


class _Comparison:
    def __init__(self, evidence: Evidence, progress: Progress) -> None:
        self._evidence = evidence
        self._progress = progress
        self._contents = _Contents(evidence, progress)
        self._unfinished = {
            attempt: [v for v in evidence.files.unfinished(attempt) if may_be_a_checkpoint(v.path)]
            for attempt in evidence.attempts
        }
        self._largest = max(
            (v.bytes for vs in evidence.files.by_attempt.values() for v in vs if may_be_a_checkpoint(v.path)), default=0
        )

    def resume(self, before: int, attempt: int) -> Resume:
        progress = self._progress
        walk = progress.walks[attempt]
        earlier = [progress.walks[number] for number in sorted(progress.walks) if number < attempt]
        reached = max((other.last.value for other in earlier), default=-inf)
        unclear = Resume(attempt, before, Began.UNCLEAR, "", walk.first.value, reached)
        if not earlier:
            return replace(unclear, why="no earlier attempt logged any progress")
        restored = self._evidence.restored(attempt)
        if not restored:
            return replace(unclear, why="nothing was restored")

        # Where another host was in its training when it wrote its part, nobody knows.
        durable = [
            file for file in restored if file.version is not None and file.version.host in self._evidence.leading
        ]
        newest = next(self._sure(durable), None)
        least = self._least(newest) if newest else -inf
        known = replace(unclear, newest=newest, newest_value=least)
        if walk.first.value <= earlier[0].first.value + progress.noise:
            return self._at_the_start(known, walk)
        if newest is None or walk.first.value >= least:
            return replace(known, began=Began.CONTINUED)
        return self._behind(known, walk, durable, newest)

    def _at_the_start(self, known: Resume, walk: Walk) -> Resume:
        second = walk.second_value()
        if known.newest_value > known.first_value and second is not None and second <= known.newest_value:
            return replace(known, began=Began.FROM_SCRATCH)
        return replace(
            known,
            why=f"it began at {self._progress.axis.describe(known.first_value)}, as a start from scratch does, and "
            "no checkpoint that surely holds more was in S3",
        )

    def _behind(self, known: Resume, walk: Walk, durable: Sequence[DurableFile], newest: DurableFile) -> Resume:
        """It began past the start and before the newest checkpoint: look for what explains that."""
        other = [file for file in _newest_of_families(durable) if file is not newest and self._explains(file, known)]
        if any(not _are_copies(file, newest) for file in other):
            return replace(known, began=Began.CONTINUED, why=f"{other[0].path} explains where it began")
        if other:
            return replace(known, began=Began.FROM_OTHER_COPY, older=other[0])
        older = self._older_of_its_family(known, durable, newest)
        if older is None:
            return replace(known, began=Began.CONTINUED, why="no older checkpoint explains where it began")
        began = Began.FROM_EPOCH_START if self._is_epoch_start(walk, newest) else Began.FROM_OLDER
        return replace(known, began=began, older=older)

    def _explains(self, file: DurableFile, known: Resume) -> bool:
        if file.version is None:
            return False
        bounds, stride = self._contents.bounds(file.version), self._progress.stride
        return bounds.low - stride <= known.first_value <= bounds.high + 2 * stride

    def _older_of_its_family(
        self, known: Resume, durable: Sequence[DurableFile], newest: DurableFile
    ) -> Version | None:
        """The newest earlier write of the same family from which the attempt may have begun: one that is still there,
        or one overwritten since that holds more than where the attempt began."""
        there = {id(file.version) for file in durable}
        found = None
        for version in self._contents.versions_of(newest.path):
            if newest.version is None or version.started_at >= newest.version.started_at or version.durable_at is None:
                continue
            bounds = self._contents.bounds(version)
            explains = (
                known.first_value <= bounds.high + self._progress.stride
                if id(version) in there
                else known.first_value < bounds.low
            )
            # The highest-numbered write that the attempt could not have started beyond tells the story best.
            if explains and (found is None or abs(bounds.high - known.first_value) < self._distance(found, known)):
                found = version
        return found

    def _distance(self, version: Version, known: Resume) -> float:
        return abs(self._contents.bounds(version).high - known.first_value)

    def _is_epoch_start(self, walk: Walk, newest: DurableFile) -> bool:
        """Whether the attempt began at the start of the very epoch in which the newest checkpoint was written: it did
        resume from it, by whole epochs."""
        version, epoch = newest.version, walk.first.epoch
        if version is None or epoch is None:
            return False
        written_in = self._progress.walks[version.attempt].at(
            version.started_at - self._evidence.options.detection_seconds
        )
        if written_in is None or written_in.epoch != epoch:
            return False
        least = min(
            reading.value
            for other in self._progress.walks.values()
            for reading in other.readings
            if reading.epoch == epoch
        )
        return walk.first.value <= least + self._progress.stride

    def _least(self, file: DurableFile) -> float:
        return self._contents.bounds(file.version).low if file.version else -inf

    def _sure(self, durable: Sequence[DurableFile]) -> Iterator[DurableFile]:
        """The files that are surely whole checkpoints, of a save that was over and complete; those that hold most
        progress first."""
        there = {file.path: file.version for file in durable}
        for file in sorted(durable, key=self._least, reverse=True):
            version = file.version
            if version is None or not file.is_whole or not may_be_a_checkpoint(file.path) or not self._is_state(file):
                continue
            if is_cut(self._evidence, version):
                continue
            lacks = self._lacks_a_part(version) or self._lacks_a_hosts_part(version)
            if self._save_was_over(version) and not lacks and not self._is_mixed(version, there):
                yield file

    def _is_state(self, file: DurableFile) -> bool:
        """Named as state, or as large as anything that the run ever wrote; a list of metrics is smaller."""
        return file.bytes > 0 and (is_named_as_state(file.path) or file.bytes * 2 >= self._largest)

    def _is_mixed(self, version: Version, there: Mapping[str, Version | None]) -> bool:
        """Whether a file of the same save is there in another version: then the save as a whole is not there. A file
        written far more often than this one is no part of its save."""
        slack = self._evidence.options.detection_seconds
        writes = Counter(other.path for other in self._evidence.files.by_attempt[version.attempt])
        often = 1.5 * sum(1 for other in self._contents.versions_of(version.path) if other.attempt == version.attempt)
        return any(
            other.path != version.path
            and there.get(other.path, other) is not other
            and writes[other.path] <= often
            and may_be_a_checkpoint(other.path)
            for other in self._evidence.files.near(version, slack)
        )

    def _save_was_over(self, version: Version) -> bool:
        """Training had gone on, the process had ended by itself, or all had long been quiet."""
        walk = self._progress.walks.get(version.attempt)
        if walk is None or walk.second_value() is None:
            return False  # a single reading may be a banner, and tells no progress
        if walk.last.at > version.done_at:
            return True
        quiet = self._evidence.gone_at(version.attempt) - version.done_at
        lasted = version.done_at - version.started_at
        return self._evidence.exited_by_itself(version.attempt) or quiet >= max(1.0, 3 * lasted)

    def _lacks_a_part(self, version: Version) -> bool:
        """Whether another file of the same save never wholly reached S3; then nobody need be able to load it."""
        slack = self._evidence.options.detection_seconds
        walk = self._progress.walks.get(version.attempt)
        written_at = walk.at(version.started_at) if walk else None
        for other in self._unfinished[version.attempt]:
            if other.path == version.path:
                continue
            together = other.started_at <= version.done_at + slack and version.started_at <= other.done_at + slack
            at_once = written_at is not None and walk is not None and walk.at(other.started_at) is written_at
            same_number = numbers(other.path)[:1] == numbers(version.path)[:1] != ()
            if together or at_once or same_number:
                return True
        return False

    def _lacks_a_hosts_part(self, version: Version) -> bool:
        """Whether another host that saves about as often has not come to its part of the same save, or not brought it
        to S3: hosts drift apart, and the save's number among those of its host tells which belong together."""
        evidence, attempt = self._evidence, version.attempt
        if not evidence.hosts:
            return False
        mine = evidence.saves(attempt, version.host)
        place = sum(1 for save in mine if save.started_at <= version.started_at)
        for host in evidence.hosts:
            theirs = evidence.saves(attempt, host) if host != version.host else []
            most, least = max(len(mine), len(theirs)), min(len(mine), len(theirs))
            if theirs and most <= 1.5 * least + 1 and not _is_durable(theirs[place - 1 : place]):
                return True
        return False


def _is_durable(versions: Sequence[Version]) -> bool:
    return any(version.durable_at is not None for version in versions)


def _newest_of_families(durable: Sequence[DurableFile]) -> Iterator[DurableFile]:
    newest: dict[str, DurableFile] = {}
    for file in durable:
        known = newest.get(family(file.path))
        if known is None or _written_at(file) > _written_at(known):
            newest[family(file.path)] = file
    yield from newest.values()


def _written_at(file: DurableFile) -> float:
    return file.version.started_at if file.version else -inf


def _are_copies(one: DurableFile, other: DurableFile) -> bool:
    """Same kind and nearly same size, as `best.ckpt` and `last.ckpt` are."""
    same_kind = PurePosixPath(one.path).suffix == PurePosixPath(other.path).suffix and is_named_as_state(one.path)
    return same_kind and abs(one.bytes - other.bytes) <= 0.05 * max(one.bytes, other.bytes)
