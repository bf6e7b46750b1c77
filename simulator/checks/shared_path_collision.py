"""SPOT018 shared-path-collision: several processes wrote the same checkpoint files, time after time, side by side.

Acquits: one rank that saves, ranks with names of their own, a saver process, a fork for every save, and workers that
take turns. Only processes that live on together and write the same file at about the same moments are convicted; a log
or a lock that all of them write is none of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any

from simulator.checks.evidence import Evidence
from simulator.checks.file_names import family, is_bookkeeping, is_marker, is_named_as_state
from simulator.checks.framework import Framework
from simulator.checks.rule import Finding, Rule
from simulator.core.timeline import Kind

_MOMENTS = 2  # at which two of them wrote one file: once may be a handing over
_SIDE_BY_SIDE = 0.25  # of the time between two writes of one process
_NO_STATE = frozenset({".lock", ".pid", ".sock", ".done", ".heartbeat"})
_SHOWN = 10


@dataclass(frozen=True)
class _Run:
    """Writes of one file by one process, with none by another in between."""

    pid: str
    first_at: float
    last_at: float
    writes: int


@dataclass(frozen=True)
class _Collision:
    """Two processes that wrote files of one family at the same moments."""

    pids: tuple[str, str]
    paths: list[str]
    moments: int


def check(evidence: Evidence) -> list[Finding]:
    """At most one finding an attempt, naming the processes and the files."""
    findings = []
    for attempt in evidence.attempts:
        told = evidence.last(Kind.FILE_WRITERS, attempt)
        collisions = list(_collisions(evidence, told.data)) if told is not None else []
        if told is None or not collisions:
            continue
        worst = max(collisions, key=lambda collision: collision.moments)
        processes = {str(pid): facts for pid, facts in told.data.get("processes", {}).items()}
        pids = sorted({pid for collision in collisions for pid in collision.pids})
        one, other = (_name(pid, processes) for pid in worst.pids)
        findings.append(
            RULE.finding(
                attempt,
                f"{one} and {other} both wrote {worst.paths[-1]}, {worst.moments} times at the same moment: what is "
                "left is the last one's, or parts of both.",
                {
                    "files": sorted({path for collision in collisions for path in collision.paths})[:_SHOWN],
                    "processes": [dict(processes.get(pid, {"pid": pid})) for pid in pids],
                    "moments": worst.moments,
                },
                fix=RULE.fix_for(evidence),
            )
        )
    return findings


def _collisions(evidence: Evidence, told: Mapping[str, Any]) -> Iterator[_Collision]:
    largest = max((v.bytes for versions in evidence.files.versions.values() for v in versions), default=0)
    families: dict[str, dict[str, list[_Run]]] = defaultdict(dict)
    for path, runs in told.get("files", {}).items():
        size = max((int(run.get("bytes", 0)) for run in runs), default=0)
        if _may_be_state(path) and size > 0 and (is_named_as_state(path) or 2 * size >= largest):
            families[family(path)][path] = [
                _Run(str(run["pid"]), float(run["first_at"]), float(run["last_at"]), int(run["writes"])) for run in runs
            ]
    for files in families.values():
        pauses = _pauses(run for runs in files.values() for run in runs)
        met: dict[tuple[str, str], list[str]] = defaultdict(list)
        for path, runs in files.items():
            for pair in _side_by_side(runs, pauses):
                met[pair].append(path)
        for pair, paths in met.items():
            if len(paths) >= _MOMENTS:
                yield _Collision(pair, paths, len(paths))


def _may_be_state(path: str) -> bool:
    suffix = PurePosixPath(path).suffix.lower()
    return not (is_marker(path) or is_bookkeeping(path) or suffix in _NO_STATE)


def _side_by_side(runs: Sequence[_Run], pauses: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    """Each moment at which two processes wrote a file much closer together than either of them writes by itself: so
    workers that take turns are none. A process that wrote only once was a fork for this save, or handed over."""
    for before, after in pairwise(runs):
        usual = min(pauses.get(before.pid, 0.0), pauses.get(after.pid, 0.0))
        if usual > 0 and after.first_at - before.last_at <= _SIDE_BY_SIDE * usual:
            yield (min(before.pid, after.pid), max(before.pid, after.pid))


def _pauses(runs: Iterable[_Run]) -> dict[str, float]:
    """The usual time between two writes of a process, of those that wrote more than once."""
    known: dict[str, list[_Run]] = defaultdict(list)
    for run in runs:
        known[run.pid].append(run)
    writes = {pid: sum(run.writes for run in of) for pid, of in known.items()}
    return {
        pid: (max(run.last_at for run in of) - min(run.first_at for run in of)) / (writes[pid] - 1)
        for pid, of in known.items()
        if writes[pid] > 1
    }


def _name(pid: str, processes: Mapping[str, Mapping[str, Any]]) -> str:
    facts = processes.get(pid, {})
    command = str(facts.get("command", ""))
    shown = command if len(command) <= 50 else "..." + command[-47:]
    return f"PID {facts.get('pid', pid)}" + (f" ({shown})" if shown else "")


RULE = Rule(
    id="SPOT018",
    name="shared-path-collision",
    summary="several hosts or processes wrote the same checkpoint files",
    why="All hosts and processes of a job share one checkpoint prefix. Where each of them writes the same name, the "
    "last one wins, one reads what another is writing, and a restored file may be of any of them.",
    fix="Let one process save, or give each a name of its own:\n"
    '  - save(state, CHECKPOINTS / f"ckpt-{step:08}.npz")\n'
    "  + if rank == 0:\n"
    '  +     save(state, CHECKPOINTS / f"ckpt-{step:08}.npz")\n'
    "or, where every rank has state of its own:\n"
    '  + save(state, CHECKPOINTS / f"ckpt-{step:08}-rank-{rank}.npz")',
    fails="""\
def worker(rank):
    for step in range(1, steps + 1):
        train(step, rank)
        if step % 100 == 0:
            save("/opt/ml/checkpoints/state.npz")  # in every rank
""",
    passes="""\
def worker(rank):
    for step in range(1, steps + 1):
        train(step, rank)
        if step % 100 == 0 and rank == 0:
            save("/opt/ml/checkpoints/state.npz")
""",
    source="Amazon SageMaker, Use checkpoints (distributed training: every host needs file names of its own)",
    check=check,
    fixes={
        Framework.KERAS: "Let the chief write the checkpoint, and the others elsewhere:\n"
        "  - checkpoint.save(prefix)\n"
        '  + own = folder if is_chief else f"/tmp/worker-{task_id}"\n'
        '  + checkpoint.save(f"{own}/ckpt")\n'
        "BackupAndRestore under tf.distribute does it by itself.",
        Framework.PYTORCH: "Save in rank 0, and let the others wait:\n"
        "  - torch.save(state, path)\n"
        "  + if dist.get_rank() == 0:\n"
        "  +     torch.save(state, path)\n"
        "  + dist.barrier()\n"
        "or torch.distributed.checkpoint.save(state, checkpoint_id=path), which names a file a rank.",
    },
)
