"""SPOT018 shared-path-collision: who wrote the same file side by side, and the many ways to share a folder rightly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from simulator.checks import Finding, Severity, shared_path_collision
from simulator.checks.evidence import Evidence
from simulator.core.timeline import Event, Kind, Timeline
from tests.checks.build import Run, interrupted, only, train
from tests.checks.several_hosts import Change, event_with, on_hosts, only_lives, renamed, saves_too

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


# Several hosts, one prefix.


def of_hosts(
    name: str = "ckpt-{}.npz",
    late: float = 0.1,
    digest: str = " of rank 1",
    hosts: Sequence[str] = ("algo-1", "algo-2"),
) -> list[Finding]:
    """What is found where the other hosts save what the first one does, a little later, with other bytes."""
    alone = interrupted(51, save_every=10, name=name).timeline()
    return shared_path_collision.check(Evidence(on_hosts(alone, saves_too(alone, late, digest=digest), hosts)))


@pytest.mark.parametrize("name", ["ckpt-{}.npz", "state.npz", "step-{}/model.pt"])
def test_hosts_that_upload_other_bytes_to_the_same_paths_are_convicted_by_name(name: str) -> None:
    first, second = of_hosts(name)
    assert (first.attempt, second.attempt, first.severity) == (1, 2, Severity.ERROR)
    assert first.evidence["hosts"] == ["algo-1", "algo-2"] and first.evidence["moments"] == 5
    assert first.evidence["files"][0] == name.format(10)
    assert first.message.startswith(f"algo-1 and algo-2 both uploaded {name.format(50)} with other bytes, 5 times")
    assert "SM_CURRENT_HOST" in first.fix


def test_hosts_far_apart_in_time_collide_in_numbered_files_all_the_same() -> None:
    assert [finding.evidence["moments"] for finding in of_hosts(late=7.0)] == [5, 5]


def test_three_hosts_are_one_finding_an_attempt() -> None:
    first, second = of_hosts(hosts=("algo-1", "algo-2", "algo-10"))
    assert first.evidence["hosts"] == ["algo-1", "algo-2", "algo-10"]
    assert (first.attempt, second.attempt) == (1, 2)


@pytest.mark.parametrize("name", ["ckpt-{}.npz", "state.npz"])
@pytest.mark.parametrize("late", [0.0, 0.1, 3.0])
def test_the_same_bytes_from_all_hosts_are_no_harm(name: str, late: float) -> None:
    assert of_hosts(name, late, digest="") == []


@pytest.mark.parametrize(
    "name", ["train.log", "metrics.csv", "ckpt.lock", "rank.pid", "events.out.tfevents.{}", "model.sagemaker-uploaded"]
)
def test_logs_locks_and_markers_of_all_hosts_are_no_checkpoints(name: str) -> None:
    assert of_hosts(name) == []


def test_tensorflows_pointer_with_its_times_is_no_state() -> None:
    run = Run()
    with run.attempt() as first:
        for step in range(10, 101, 10):
            train(first, step, step + 1, save_every=10, name="ckpt-{}.data-00000-of-00001", size=50_000)
            first.save("checkpoint", 300)
        first.exit()
    alone = run.timeline()
    other = saves_too(alone, 0.1, digest=" with another time")
    same = saves_too(alone, 0.1)

    def follow(event: Event) -> Event | None:
        return (other if event.data.get("path") == "checkpoint" else same)(event)

    assert shared_path_collision.check(Evidence(on_hosts(alone, follow))) == []


def test_archives_with_a_date_in_them_are_a_warning() -> None:
    first, _ = of_hosts("model-{}.keras")
    assert first.severity is Severity.WARNING and "may be equal" in first.message


def test_names_of_their_own_are_no_collision() -> None:
    alone = interrupted(51, save_every=10).timeline()
    own = renamed(saves_too(alone, 0.1, digest=" of rank 1"), lambda path: f"algo-2/{path}")
    assert shared_path_collision.check(Evidence(on_hosts(alone, own))) == []


def test_a_single_handing_over_is_no_collision() -> None:
    alone = interrupted(51, save_every=50).timeline()
    assert len(alone.of(Kind.UPLOAD_FINISHED, attempt=1)) == 1
    assert shared_path_collision.check(Evidence(on_hosts(alone, saves_too(alone, 0.1, digest="x")))) == []


def uninterrupted(save_every: int) -> Timeline:
    """A hundred steps, and saves under one name."""
    run = Run()
    with run.attempt() as first:
        train(first, 1, 101, save_every=save_every, name="state.npz")
        first.exit()
    return run.timeline()


def test_hosts_that_take_turns_with_one_file_are_no_collision() -> None:
    alone = uninterrupted(save_every=10)
    later = on_hosts(alone, saves_too(alone, 5.0, digest="x"))
    assert shared_path_collision.check(Evidence(later)) == []


def test_uploads_that_each_host_leaves_out_are_not_other_bytes() -> None:
    """S3 is slower than the saves: one host sent the odd versions, the other the even ones, all of the same bytes."""
    alone = uninterrupted(save_every=5)
    uploads = [event.data["digest"] for event in alone.of(Kind.UPLOAD_FINISHED)]

    def every_second(event: Event, of: int) -> Event | None:
        if event.kind is Kind.UPLOAD_FINISHED and uploads.index(event.data["digest"]) % 2 != of:
            return event_with(event, digest="")
        return event

    def follow(event: Event) -> Event | None:
        copy = saves_too(alone, 0.1)(event)
        return every_second(copy, 1) if copy is not None else None

    both = on_hosts(alone, follow)
    left_out = [every_second(event, 0) if event.data.get("host") == "algo-1" else event for event in both]
    assert shared_path_collision.check(Evidence(Timeline(event for event in left_out if event is not None))) == []


def test_processes_that_collide_on_another_host_are_found_by_that_hosts_own_word() -> None:
    run = Run()
    with run.attempt() as first:
        train(first, 1, 101, save_every=10, name="state.npz")
        first.add(Kind.FILE_WRITERS, writes=0, files={}, processes={})
        first.exit()

    def collides(event: Event) -> Event | None:
        return event_with(event, **told(saves(71, 72))) if event.kind is Kind.FILE_WRITERS else only_lives(event)

    follow: Change = collides
    finding = only(shared_path_collision.check(Evidence(on_hosts(run.timeline(), follow))))
    assert "PID 71" in finding.message and finding.evidence["moments"] == 5
