"""SPOT018 shared-path-collision: several processes or hosts wrote the same checkpoint files, time after time.

Acquits: one rank that saves, ranks with names of their own, a saver process, a fork for every save, and workers that
take turns. Only processes that live on together and write the same file at about the same moments are convicted; a log
or a lock that all of them write is none of it.

Hosts share no disk but the prefix: what counts is what they uploaded to one path. The same bytes from all of them are
no harm, whoever comes last. Uploads may leave out versions, so other bytes are told only by more contents than anyone
made saves. A Keras archive holds the second at which it was made: there, other bytes may be the same model, and the
finding is a warning.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any

from simulator.checks.durability import FILE_KINDS, Version, file_history
from simulator.checks.evidence import Evidence
from simulator.checks.file_names import family, is_bookkeeping, is_marker, is_named_as_state
from simulator.checks.framework import Framework
from simulator.checks.rule import Finding, Rule, Severity
from simulator.core.hosts import host_of
from simulator.core.timeline import Kind

_MOMENTS = 2  # at which two of them wrote one file: once may be a handing over
_SIDE_BY_SIDE = 0.25  # of the time between two writes of one process
_MORE_CONTENTS = 1.5  # than saves: uploads of one content are at most as many as its saves
_SMALL = 10  # what is so many times smaller than the largest is a note beside the state
_POINTER = "checkpoint"  # TensorFlow's own, a few lines with the times of the saves
_DATED = ".keras"
_NO_STATE = frozenset({".lock", ".pid", ".sock", ".done", ".heartbeat"})
_SHOWN = 10


@dataclass(frozen=True)
class _Run:
    """Writes of one file by one process or host, with none by another in between."""

    pid: str
    first_at: float
    last_at: float
    writes: int


@dataclass(frozen=True)
class _Collision:
    """Two processes (or hosts, by their names) that wrote files of one family at the same moments."""

    pids: tuple[str, str]
    paths: list[str]
    moments: int


def check(evidence: Evidence) -> list[Finding]:
    """At most one finding an attempt for processes, and one for hosts, naming them and the files."""
    return [*_of_processes(evidence), *_of_hosts(evidence)]


def _of_processes(evidence: Evidence) -> list[Finding]:
    findings = []
    for attempt in evidence.attempts:
        # Each host tells of its own processes; their ids mean nothing beyond it.
        hosts = [
            (told.data, list(_collisions(evidence, told.data))) for told in evidence.of(Kind.FILE_WRITERS, attempt)
        ]
        told, collisions = max(hosts, key=lambda host: max((c.moments for c in host[1]), default=0), default=({}, []))
        if not collisions:
            continue
        worst = max(collisions, key=lambda collision: collision.moments)
        processes = {str(pid): facts for pid, facts in told.get("processes", {}).items()}
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


def _of_hosts(evidence: Evidence) -> list[Finding]:
    findings = []
    for attempt in evidence.attempts if evidence.hosts else ():
        collisions = list(_host_collisions(evidence, attempt))
        if not collisions:
            continue
        worst = max(collisions, key=lambda collision: (not _is_dated(collision), collision.moments))
        one, other = sorted(worst.pids, key=evidence.hosts.index)
        hosts = {host for collision in collisions for host in collision.pids}
        dated = all(map(_is_dated, collisions))
        told = f"{one} and {other} both uploaded {worst.paths[-1]} with other bytes"
        findings.append(
            RULE.finding(
                attempt,
                f"{told}, {worst.moments} times in all: the object in S3 is the last one's, and every host is given "
                "that one back."
                + (f" A {_DATED} file holds its date, so that the models in them may be equal." if dated else ""),
                {
                    "files": sorted({path for collision in collisions for path in collision.paths})[:_SHOWN],
                    "hosts": sorted(hosts, key=evidence.hosts.index),
                    "moments": worst.moments,
                },
                severity=Severity.WARNING if dated else Severity.ERROR,
                fix=_OF_ITS_HOST,
            )
        )
    return findings


def _host_collisions(evidence: Evidence, attempt: int) -> Iterator[_Collision]:
    """Pairs of hosts that uploaded other bytes to the same paths, a family each."""
    families: dict[str, dict[str, dict[str, list[Version]]]] = defaultdict(lambda: defaultdict(dict))
    events = evidence.whole.of(*FILE_KINDS, attempt=attempt)
    for host in evidence.hosts:
        for path, versions in file_history(event for event in events if host_of(event) == host).versions.items():
            families[family(path)][path][host] = versions
    largest = max(
        (v.bytes for files in families.values() for of in files.values() for vs in of.values() for v in vs), default=0
    )
    for files in families.values():
        shared = {path: of for path, of in files.items() if len(of) > 1 and _is_hosts_state(path, of, largest)}
        runs = {path: _runs_of(of) for path, of in shared.items()}
        pauses = _pauses(run for of in runs.values() for run in of)
        for index, one in enumerate(evidence.hosts):
            for other in evidence.hosts[index + 1 :]:
                both = {path: (of[one], of[other]) for path, of in shared.items() if one in of and other in of}
                saves = sum(max(len(mine), len(theirs)) for mine, theirs in both.values())
                contents = {path: _contents(mine) | _contents(theirs) for path, (mine, theirs) in both.items()}
                paths = [
                    path
                    for path, (mine, theirs) in both.items()
                    for _ in range(_moments_of(mine, theirs, runs[path], pauses, (one, other)))
                ]
                if len(paths) >= _MOMENTS and sum(map(len, contents.values())) >= _MORE_CONTENTS * saves:
                    yield _Collision((one, other), list(dict.fromkeys(paths)), len(paths))


def _moments_of(
    mine: Sequence[Version],
    theirs: Sequence[Version],
    runs: Sequence[_Run],
    pauses: Mapping[str, float],
    pair: tuple[str, str],
) -> int:
    """How often two hosts wrote one path side by side with other bytes. A path that each of them wrote once (it is
    numbered) tells that at whatever distance of time."""
    if len(mine) == len(theirs) == 1:
        one, other = _contents(mine), _contents(theirs)
        return 1 if one and other and one != other else 0
    between = [run for run in runs if run.pid in pair]
    return sum(1 for found in _side_by_side(between, pauses) if found == tuple(sorted(pair)))


def _contents(versions: Sequence[Version]) -> set[str]:
    """The digests of what went up whole."""
    return {upload.digest for version in versions for upload in version.uploads if upload.is_whole and upload.digest}


def _runs_of(versions: Mapping[str, Sequence[Version]]) -> list[_Run]:
    """Each host's writes of one path, in order of time."""
    writes = sorted((version.started_at, version.done_at, host) for host, of in versions.items() for version in of)
    return [_Run(host, started_at, done_at, 1) for started_at, done_at, host in writes]


def _is_hosts_state(path: str, versions: Mapping[str, Sequence[Version]], largest: int) -> bool:
    size = max((version.bytes for of in versions.values() for version in of), default=0)
    named = is_named_as_state(path) and PurePosixPath(path).name != _POINTER and size * _SMALL >= largest
    return _may_be_state(path) and size > 0 and (named or 2 * size >= largest)


def _is_dated(collision: _Collision) -> bool:
    return all(PurePosixPath(path).suffix == _DATED for path in collision.paths)


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


_OF_ITS_HOST = (
    "Let one host save, or put the host's name (algo-1, algo-2 …) into the names of its files:\n"
    '  - save(state, CHECKPOINTS / f"ckpt-{step:08}.npz")\n'
    '  + host = os.environ["SM_CURRENT_HOST"]   # algo-1, algo-2 …\n'
    '  + save(state, CHECKPOINTS / f"ckpt-{step:08}-{host}.npz")\n'
    "where all hosts hold the same state, the first one is enough:\n"
    '  + if host == json.loads(os.environ["SM_HOSTS"])[0]:\n'
    '  +     save(state, CHECKPOINTS / f"ckpt-{step:08}.npz")'
)

RULE = Rule(
    id="SPOT018",
    name="shared-path-collision",
    summary="several hosts or processes wrote the same checkpoint files",
    why="All hosts and processes of a job share one checkpoint prefix. Where each of them writes the same name, the "
    "last one wins, one reads what another is writing, and a restored file may be of any of them. Every host is given "
    "all files back, so hosts with names of their own lose nothing.",
    fix="Let one process save, or give each a name of its own:\n"
    '  - save(state, CHECKPOINTS / f"ckpt-{step:08}.npz")\n'
    "  + if rank == 0:\n"
    '  +     save(state, CHECKPOINTS / f"ckpt-{step:08}.npz")\n'
    "or, where every rank has state of its own:\n"
    '  + save(state, CHECKPOINTS / f"ckpt-{step:08}-rank-{rank}.npz")\n'
    "or, where it is the hosts that collide, the name of each (algo-1, algo-2 …):\n"
    "  + save(state, CHECKPOINTS / f\"ckpt-{step:08}-{os.environ['SM_CURRENT_HOST']}.npz\")",
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
