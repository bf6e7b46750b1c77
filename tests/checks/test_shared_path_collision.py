"""SPOT018 shared-path-collision: who wrote the same file side by side, and the many ways to share a folder rightly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from simulator.checks import Finding, Severity, shared_path_collision
from simulator.core.timeline import Kind
from tests.checks.build import Run, only, train

Writes = Sequence[tuple[float, int, str]]


def told(writes: Writes, size: int = 1000) -> dict[str, Any]:
    """What the engine records of writes: (at, pid, path)."""
    files: dict[str, list[dict[str, Any]]] = {}
    for at, pid, path in sorted(writes):
        runs = files.setdefault(path, [])
        if runs and runs[-1]["pid"] == pid:
            runs[-1] |= {"last_at": at, "writes": runs[-1]["writes"] + 1}
        else:
            runs.append({"pid": pid, "first_at": at, "last_at": at, "writes": 1, "bytes": size})
    shared = {path: runs for path, runs in files.items() if len({run["pid"] for run in runs}) > 1}
    pids = {pid for _, pid, _ in writes}
    return {
        "writes": len(writes),
        "files": shared,
        "processes": {pid: {"pid": pid, "ppid": 1, "command": f"train.py --rank {pid}"} for pid in pids},
    }


def findings(writes: Writes, size: int = 1000) -> list[Finding]:
    run = Run()
    with run.attempt() as first:
        train(first, 1, 101, save_every=10, name="state.npz")
        first.add(Kind.FILE_WRITERS, **told(writes, size))
        first.exit()
    return shared_path_collision.check(run.evidence())


def saves(*pids: int, path: str = "state.npz", apart: float = 0.01, number: int = 5) -> Writes:
    """Every pid writes at each of the moments 10, 20 …, a little after the one before."""
    return [
        (10.0 * save + apart * place, pid, path.format(save * 10))
        for save in range(1, number + 1)
        for place, pid in enumerate(pids)
    ]


def test_ranks_that_all_overwrite_one_file_are_convicted_by_pid() -> None:
    finding = only(findings(saves(71, 72)))
    assert (finding.severity, finding.evidence["files"], finding.evidence["moments"]) == (
        Severity.ERROR,
        ["state.npz"],
        5,
    )
    assert "PID 71 (train.py --rank 71) and PID 72" in finding.message


def test_ranks_that_all_write_each_numbered_file_are_convicted() -> None:
    assert only(findings(saves(71, 72, path="ckpt-{}.npz"))).evidence["moments"] == 5


def test_a_file_aside_that_they_share_is_a_collision_too() -> None:
    assert only(findings(saves(71, 72, path="state.npz.tmp"))).evidence["files"] == ["state.npz.tmp"]


def test_four_ranks_in_changing_order_are_one_finding() -> None:
    writes = [
        (10.0 * save + 0.01 * (rank * save % 4), 70 + rank, "state.npz") for save in range(1, 9) for rank in range(4)
    ]
    assert only(findings(writes)).attempt == 1


@pytest.mark.parametrize(
    "writes",
    [
        saves(71),
        [*saves(71, path="rank-0.npz"), *saves(72, path="rank-1.npz")],
        [(10.0 * save, 100 + save, "state.npz") for save in range(1, 20)],
        [(10.0 * save, 71 + save % 2, "state.npz") for save in range(1, 20)],
        [*saves(72, number=9), (0.0, 71, "state.npz"), (90.1, 71, "state.npz")],
        [
            *[(10.0 * save, 71, "state.npz") for save in range(1, 5)],
            *[(10.0 * s, 72, "state.npz") for s in range(5, 9)],
        ],
        [
            (10.0 * save + shard / 9, 71 + (save + shard) % 2, f"shard-{shard}.npz")
            for save in range(9)
            for shard in range(4)
        ],
        [(10.0, 71, "ckpt-10.npz"), (10.1, 72, "ckpt-10.npz")],
    ],
    ids=[
        "one saver",
        "a name a rank",
        "a fork for every save",
        "two workers that take turns",
        "a saver and the main process at start and end",
        "one handed over to the next",
        "a pool that shares out the shards",
        "once only",
    ],
)
def test_right_ways_to_share_a_folder_are_acquitted(writes: Writes) -> None:
    assert findings(writes) == []


@pytest.mark.parametrize("path", ["train.log", "metrics.csv", "ckpt.lock", "events.out.tfevents.1", "rank.pid"])
def test_logs_and_locks_that_all_write_are_no_checkpoints(path: str) -> None:
    assert findings(saves(71, 72, path=path)) == []


def test_small_notes_and_empty_files_are_no_state() -> None:
    assert findings(saves(71, 72, path="note.json"), size=20) == []
    assert findings(saves(71, 72, path="model.npz"), size=0) == []


def test_a_timeline_that_does_not_tell_the_writers_convicts_nobody() -> None:
    run = Run()
    with run.attempt() as first:
        train(first, 1, 101, save_every=10, name="state.npz")
        first.exit()
    assert shared_path_collision.check(run.evidence()) == []
