"""SPOT010 checkpoint-growth: every save leaves more behind than the one before, and nothing is ever deleted.

Says nothing of a run with fewer than sixteen saves: a script that keeps the last ten has deleted hardly any by then.
Logs are left out, and so is whatever has ceased to grow.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath

from simulator.checks.durability import Version
from simulator.checks.evidence import Evidence
from simulator.checks.file_names import family, is_named_as_state, is_temporary, may_be_a_checkpoint
from simulator.checks.framework import Framework
from simulator.checks.rule import Finding, Rule, Severity
from simulator.core.timeline import Kind

_SAVES = 16
_TIMES_THE_FIRST = 4  # a single file has grown when it is so many times what it was …
_WORTH_TELLING_BYTES = 100_000  # … and not tiny
_DAY_SECONDS = 86_400


@dataclass(frozen=True)
class _Growth:
    """What grows: `saves` of it, from the first until the last, and what is there then."""

    what: str
    saves: int
    seconds: float
    files: int
    bytes: int
    newest: Version

    @property
    def a_day(self) -> tuple[float, float]:
        """Files and bytes that a day would leave, at this pace."""
        days = _DAY_SECONDS / max(self.seconds, 1e-9)
        return self.files * days, self.bytes * days


def check(evidence: Evidence) -> list[Finding]:
    """At most one finding: for what has grown most."""
    growths = [*_new_files(evidence), *_growing_files(evidence)]
    if not growths:
        return []
    worst = max(growths, key=lambda growth: growth.bytes)
    files, size = worst.a_day
    left = f"{worst.files} files, {_bytes(worst.bytes)}" if worst.files > 1 else _bytes(worst.bytes)
    pace = (f"{files:,.0f} files and " if worst.files > 1 else "") + _bytes(size)
    return [
        RULE.finding(
            worst.newest.attempt,
            f"{worst.saves} saves of {worst.what} in {worst.seconds:.0f} s left {left}, and nothing of it was ever "
            f"deleted: a day at this pace leaves {pace}, all of it restored before every restart.",
            {
                "family": worst.what,
                "saves": worst.saves,
                "seconds": round(worst.seconds, 3),
                "files": worst.files,
                "bytes": worst.bytes,
                "files_a_day": round(files),
                "bytes_a_day": round(size),
                "newest": worst.newest.path,
            },
            fix=RULE.fix_for(evidence),
        )
    ]


def _new_files(evidence: Evidence) -> Iterator[_Growth]:
    """A new name for every save, and no old one ever removed."""
    kinds: dict[tuple[str, str], list[Version]] = defaultdict(list)
    for path, versions in evidence.files.versions.items():
        if may_be_a_checkpoint(path):
            kinds[_kind(path)].append(versions[0])
    gone = {str(event.data["path"]) for event in evidence.timeline.of(Kind.FILE_DELETED)}
    deleted = {_kind(path) for path in gone if not is_temporary(path)}  # what was written aside was renamed
    largest = max((version.bytes for firsts in kinds.values() for version in firsts), default=0)
    for kind, firsts in kinds.items():
        firsts.sort(key=lambda version: version.started_at)
        moments = _moments_of_a_host(evidence, firsts)
        if len(moments) < _SAVES or kind in deleted or not _is_state(firsts, largest) or _has_ceased(evidence, moments):
            continue
        newest = [evidence.files.versions[version.path][-1] for version in firsts]
        seconds = moments[-1] - moments[0]
        name = family(firsts[-1].path)
        yield _Growth(name, len(moments), seconds, len(firsts), sum(version.bytes for version in newest), firsts[-1])


def _growing_files(evidence: Evidence) -> Iterator[_Growth]:
    """One name, and more in it at every save."""
    largest = max((v.bytes for versions in evidence.files.versions.values() for v in versions[-1:]), default=0)
    for path, versions in evidence.files.versions.items():
        if len(versions) < _SAVES or not may_be_a_checkpoint(path) or not _is_state(versions, largest):
            continue
        sizes = [version.bytes for version in versions]
        grown = sizes[-1] - sizes[0]
        lately = sizes[-1] - sizes[2 * len(sizes) // 3]
        never_shrinks = all(after >= before for before, after in pairwise(sizes))
        is_much = sizes[-1] >= max(_TIMES_THE_FIRST * sizes[0], _WORTH_TELLING_BYTES)
        if never_shrinks and is_much and lately >= 0.2 * grown:
            seconds = versions[-1].started_at - versions[0].started_at
            yield _Growth(path, len(versions), seconds, 1, sizes[-1], versions[-1])


def _kind(path: str) -> tuple[str, str]:
    """What files of one sort share, whatever their names tell apart: the folder, numbers aside, and the suffix."""
    name = PurePosixPath(path)
    return family(str(name.parent)), family(name.suffix)


def _moments_of_a_host(evidence: Evidence, versions: Sequence[Version]) -> list[float]:
    """The saves' instants; of several hosts that save side by side, those of the host that saved most often."""
    by_host: dict[str, list[Version]] = defaultdict(list)
    for version in versions:
        by_host[version.host].append(version)
    return max((_moments(evidence, of) for of in by_host.values()), key=len)


def _moments(evidence: Evidence, versions: Sequence[Version]) -> list[float]:
    """The instants of the saves: files that were begun at the same progress, or nearly at once, are one save."""
    moments: list[float] = []
    places: set[tuple[int, float]] = set()
    for version in versions:
        walk = evidence.walk(version.attempt)
        reading = walk.at(version.started_at) if walk else None
        if reading is not None:
            is_new = (version.attempt, reading.value) not in places
            places.add((version.attempt, reading.value))
        else:
            is_new = not moments or version.started_at - moments[-1] > evidence.options.detection_seconds
        if is_new:
            moments.append(version.started_at)
    return moments


def _is_state(versions: Sequence[Version], largest: int) -> bool:
    return any(is_named_as_state(version.path) or version.bytes * 2 >= largest for version in versions)


def _has_ceased(evidence: Evidence, moments: Sequence[float]) -> bool:
    """Whether training went on for much longer than it ever did between two saves, and nothing new came."""
    gaps = [after - before for before, after in pairwise(moments)]
    last = evidence.attempts[-1]
    return evidence.gone_at(last) - moments[-1] > max(3 * max(gaps), 0.5 * (moments[-1] - moments[0]))


def _bytes(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:,.0f} {unit}"
        size /= 1000
    return f"{size:,.0f} TB"


RULE = Rule(
    id="SPOT010",
    name="checkpoint-growth",
    summary="bytes or files in the checkpoint prefix grow without bound",
    why="Everything under the prefix is downloaded before every restart, and that time is billed; the volume fills up "
    "in the middle of a long run. A local delete deletes the object too, so keeping the last few is enough.",
    fix="Remove the old ones once the new one is written, and keep a few to fall back on:\n"
    "        save(state, path)\n"
    '  +     for old in sorted(folder.glob("ckpt-*.npz"), key=step_of)[:-3]:\n'
    "  +         old.unlink()",
    fails="""\
for step in range(1, 1_000_001):
    train(step)
    if step % 100 == 0:
        save(f"/opt/ml/checkpoints/ckpt-{step:08}.npz")  # 10,000 files in the end
""",
    passes="""\
for step in range(1, 1_000_001):
    train(step)
    if step % 100 == 0:
        save(f"/opt/ml/checkpoints/ckpt-{step:08}.npz")
        for old in sorted(Path("/opt/ml/checkpoints").glob("ckpt-*.npz"))[:-3]:
            old.unlink()
""",
    source="Amazon SageMaker, Use checkpoints (all objects are copied in at every start; a local delete deletes the "
    "object); huggingface/notebooks PR #138",
    check=check,
    severity=Severity.WARNING,
    fixes={
        Framework.KERAS: "Let the manager keep a few, or write one name:\n"
        "  - checkpoint.save(prefix)\n"
        "  + manager = tf.train.CheckpointManager(checkpoint, folder, max_to_keep=3)\n"
        "  + manager.save()\n"
        "With ModelCheckpoint, remove the old ones in on_epoch_end; BackupAndRestore keeps one by itself.",
        Framework.PYTORCH: "Keep the last few:\n"
        '        torch.save(state, folder / f"step-{step:08}.pt")\n'
        '  +     for old in sorted(folder.glob("step-*.pt"))[:-3]:\n'
        "  +         old.unlink()\n"
        "Lightning: ModelCheckpoint(save_top_k=3); transformers: TrainingArguments(save_total_limit=3).",
    },
)
