"""Which restored checkpoints are no whole ones: a write or an upload that was cut, a save that lacks a part.

Hints from sizes and times, each with its reason in words. None of them convicts by itself: a rule asks besides what
became of the attempt that was given such a file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from statistics import median

from simulator.checks.durability import DurableFile, Version
from simulator.checks.evidence import Evidence
from simulator.checks.file_names import family, is_named_as_state, may_be_a_checkpoint, numbers

_DIGITS = re.compile(r"\d+")
_CLEARLY_SMALLER = 0.9  # of the smallest of its like, where there are several; of what a write came to
_HALF = 0.5  # of the only other one
_SAVES_TELL = 1  # so many earlier saves of the same files tell what belongs to one
_COMPARED = 50  # sizes of its like
_MOSTLY = 0.8  # of its like that have to be of about one size
_ASKED = 10  # of the newest saves
_NEWEST = 20  # files that are looked at: nobody resumes from older ones


class Flaw(StrEnum):
    """What is wrong with a restored file."""

    CUT = "cut"  # it holds only a part of a write
    MIXED = "mixed"  # a file of the same save is there from another save
    INCOMPLETE = "incomplete"  # a file of the same save is not there at all
    PERHAPS_CUT = "perhaps-cut"  # the instance went before anything showed that the write was over


@dataclass(frozen=True)
class Torn:
    """A restored file that is no whole checkpoint, and why. `other`: the file of the same save that is not there."""

    version: Version
    bytes: int
    flaw: Flaw
    why: str
    other: str = ""

    @property
    def path(self) -> str:
        """Below the checkpoint path."""
        return self.version.path


def torn_files(evidence: Evidence, attempt: int) -> list[Torn]:
    """What an attempt was given back that is no whole checkpoint, newest first; one reason a file, the surest."""
    restored = evidence.manifest("restored", attempt) or {}
    durable = evidence.files.durable(restored, until=attempt - 1)
    files = [file for file in durable if file.version and may_be_a_checkpoint(file.path)]
    files.sort(key=lambda file: file.version.started_at if file.version else 0.0, reverse=True)
    largest = max((file.bytes for file in files), default=0)
    there = {file.path: file.version for file in files if file.version}
    found = []
    for file in files[:_NEWEST]:
        if not (is_named_as_state(file.path) or _usual_bytes(evidence, file) * 2 >= largest):
            continue
        torn = _cut_file(evidence, file) or _lacking(evidence, file, there) or _perhaps(evidence, file)
        if torn is not None:
            found.append(torn)
    return found


def _usual_bytes(evidence: Evidence, file: DurableFile) -> int:
    """What a file of this name has when nothing cuts it."""
    like = evidence.once(_families).get(family(file.path), [])
    host = file.version.host if file.version else ""
    return max((version.bytes for version in like if version.host == host), default=file.bytes)


def is_cut(evidence: Evidence, version: Version) -> bool:
    """Whether a write that was seen to end holds only a part, by what followed it and by the size of its like."""
    return _went_on(evidence, version) is not None or _too_small(evidence, version, version.bytes) is not None


def _cut_file(evidence: Evidence, file: DurableFile) -> Torn | None:
    version, upload = file.version, file.upload
    if version is None or upload is None:
        return None
    if upload.finished_at is not None and not upload.is_whole:
        return Torn(version, file.bytes, Flaw.CUT, "it went up to S3 while it was still being written")
    later = _went_on(evidence, version)
    if later is not None:
        why = f"its write paused at {file.bytes:,} bytes, went up to S3 then, and went on to {later.bytes:,} bytes"
        return Torn(version, file.bytes, Flaw.CUT, why)
    usual = _too_small(evidence, version, file.bytes)
    if usual is not None:
        return Torn(version, file.bytes, Flaw.CUT, f"it has {file.bytes:,} bytes, and its like have {usual:,}")
    return None


def _went_on(evidence: Evidence, version: Version) -> Version | None:
    """The next write of the same file, where it is one with this one: training had not moved on between the two."""
    walk = evidence.walk(version.attempt)
    if version.settled_at is None or walk is None:
        return None
    versions = evidence.files.versions[version.path]
    index = versions.index(version) + 1
    if index >= len(versions) or versions[index].attempt != version.attempt:
        return None
    later = versions[index]
    between = [reading for reading in walk.readings if version.started_at < reading.at <= later.started_at]
    is_one_write = not between and version.bytes < _CLEARLY_SMALLER * later.bytes
    return later if is_one_write and later.started_at < walk.last.at else None


def _too_small(evidence: Evidence, version: Version, size: int) -> int | None:
    """The size of its like, where this one is clearly smaller. A file whose size varies, as a history that grows, has
    no like."""
    known = evidence.once(_SettledSizes).of(family(version.path), version.host)
    others = [bytes_ for other, bytes_ in known if other is not version]
    if not others:
        return None
    usual = median(others)
    alike = [bytes_ for bytes_ in others if abs(bytes_ - usual) <= (1 - _CLEARLY_SMALLER) * usual]
    if len(alike) < _MOSTLY * len(others):
        return None
    share = _CLEARLY_SMALLER if len(others) > 1 else _HALF
    return min(alike) if size < share * min(alike) else None


class _SettledSizes:
    """The sizes that whole writes of a family came to, looked up once: a sample of them, over all of the run. Of one
    host: another's shard may be smaller."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._known: dict[tuple[str, str], list[tuple[Version, int]]] = {}

    def of(self, name: str, host: str) -> list[tuple[Version, int]]:
        """Each with its write."""
        if (name, host) not in self._known:
            writes = [one for one in self._evidence.once(_families).get(name, ()) if one.host == host]
            settled = [one for one in writes if one.settled_at is not None and one.bytes > 0]
            self._known[name, host] = [
                (one, one.bytes)
                for one in settled[:: len(settled) // _COMPARED + 1]
                if _went_on(self._evidence, one) is None and _training_went_on(self._evidence, one)
            ]
        return self._known[name, host]


def _training_went_on(evidence: Evidence, version: Version) -> bool:
    """Whether training was seen after a write: of what came last nobody knows whether it was all."""
    walk = evidence.walk(version.attempt)
    return walk is None or walk.last.at > version.done_at


def _like(evidence: Evidence, version: Version) -> list[Version]:
    """The other writes of the version's family."""
    families = evidence.once(_families)
    return [other for other in families.get(family(version.path), ()) if other is not version]


def _families(evidence: Evidence) -> dict[str, list[Version]]:
    found: dict[str, list[Version]] = {}
    for path, versions in evidence.files.versions.items():
        found.setdefault(family(path), []).extend(versions)
    return found


def _lacking(evidence: Evidence, file: DurableFile, there: Mapping[str, Version]) -> Torn | None:
    """A file of the same save that is there from another save, or not at all."""
    version, slack = file.version, evidence.options.detection_seconds
    if version is None:
        return None
    together = evidence.files.near(version, slack)
    for other in evidence.files.unfinished(version.attempt):
        belongs = _may_belong(version.path, other.path) and _as_often(evidence, version, other)
        if version.host != other.host and not is_named_as_state(other.path):
            continue  # notes that every host keeps are no parts of one save
        if belongs and any(other is near for near in together):
            return _without(version, file.bytes, other.path, there)
    for missing in sorted(_companions(evidence, version) - {family(other.path) for other in together}):
        companion = _with_numbers_of(version.path, missing)
        if numbers(companion) and companion in there and there[companion].attempt == version.attempt:
            continue  # numbered alike: a part of this save, however long after it was written
        return _without(version, file.bytes, companion, there)
    return None


def _with_numbers_of(path: str, name: str) -> str:
    """The path of a family that has the numbers of another path."""
    digits = iter(_DIGITS.findall(path))
    return re.sub("#", lambda _: next(digits, "#"), name)


def _may_belong(path: str, other: str) -> bool:
    """Whether two files may be parts of one save, by their names: not two saves of the same thing."""
    if path == other or not may_be_a_checkpoint(other):
        return False
    if family(path) == family(other):
        folder = PurePosixPath(path).parent
        return folder == PurePosixPath(other).parent and bool(numbers(str(folder)))  # shards
    first, second = numbers(path)[:1], numbers(other)[:1]
    return not first or not second or first == second


def _as_often(evidence: Evidence, version: Version, other: Version) -> bool:
    """Whether two files are written about as often as each other, as the parts of one save are."""
    mine, others = (
        sum(1 for write in [one, *_like(evidence, one)] if write.attempt == version.attempt) for one in (version, other)
    )
    return max(mine, others) <= 1.5 * min(mine, others) + 1


def _without(version: Version, size: int, other: str, there: Mapping[str, Version]) -> Torn:
    if other in there:
        return Torn(version, size, Flaw.MIXED, f"{other}, of the same save, is there from another save", other)
    return Torn(version, size, Flaw.INCOMPLETE, f"{other}, of the same save, is not there", other)


def _companions(evidence: Evidence, version: Version) -> set[str]:
    """The families that every other save of this file wrote too, the newest of them asked."""
    saves = [
        families
        for other, families in evidence.once(_Saves).of(version)
        if other is not version and other.durable_at is not None
    ]
    return set.intersection(*saves) - {family(version.path)} if len(saves) >= _SAVES_TELL else set()


class _Saves:
    """What was written together, looked up once a family."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._known: dict[str, list[tuple[Version, set[str]]]] = {}

    def of(self, version: Version) -> list[tuple[Version, set[str]]]:
        """The newest writes of the version's family, each with the families that were written at the same time."""
        name = family(version.path)
        if name not in self._known:
            files, slack = self._evidence.files, self._evidence.options.detection_seconds
            durable = [one for one in self._evidence.once(_families).get(name, ()) if one.durable_at is not None]
            self._known[name] = [
                (one, {family(near.path) for near in files.near(one, slack) if may_be_a_checkpoint(near.path)})
                for one in durable[-_ASKED:]
            ]
        return self._known[name]


def _perhaps(evidence: Evidence, file: DurableFile) -> Torn | None:
    """The last that was seen of its attempt: nothing was logged after the write."""
    version = file.version
    if version is None or evidence.killed(version.attempt) is None:
        return None
    walk = evidence.walk(version.attempt)
    if walk is None or walk.last.at > version.done_at:
        return None
    return Torn(version, file.bytes, Flaw.PERHAPS_CUT, "the instance went before anything showed that it was whole")
