"""SPOT010 checkpoint-growth: what piles up, and the many that only look like it."""

from __future__ import annotations

import pytest

from simulator.checks import Severity, checkpoint_growth
from simulator.checks.evidence import Evidence
from simulator.core.timeline import Kind
from tests.checks.build import Run, interrupted, only, train


def keeping(last: int, saves: int = 30) -> Evidence:
    run = Run()
    with run.attempt() as first:
        for number in range(1, saves + 1):
            train(first, number, number + 1, save_every=1)
            if number > last:
                first.add(Kind.FILE_DELETED, path=f"ckpt-{number - last}.npz")
        first.exit()
    return run.evidence()


def growing(sizes: list[int], path: str = "state.pkl") -> Evidence:
    run = Run()
    with run.attempt() as first:
        for number, size in enumerate(sizes, start=1):
            train(first, number, number + 1)
            first.save(path, size)
        first.exit()
    return run.evidence()


@pytest.mark.parametrize("name", ["ckpt-{}.npz", "checkpoint-{}/model.bin", "{}", "model_{}.keras"])
def test_a_new_file_at_every_save_and_none_removed_is_a_warning(name: str) -> None:
    finding = only(checkpoint_growth.check(interrupted(51, save_every=5, name=name).evidence()))
    assert (finding.severity, finding.evidence["files"]) == (Severity.WARNING, 20)
    assert "day" in finding.message


def test_renaming_what_was_written_aside_deletes_nothing() -> None:
    run = Run()
    with run.attempt() as first:
        for number in range(1, 21):
            train(first, number, number + 1)
            first.add(Kind.FILE_CHANGED, path=".tmp.npy", bytes=1000)
            first.add(Kind.FILE_DELETED, path=".tmp.npy")
            first.save(f"iter_{number}.npy", 1000)
        first.exit()
    assert only(checkpoint_growth.check(run.evidence())).evidence["files"] == 20


def test_names_that_no_number_tells_apart_pile_up_too() -> None:
    run = Run()
    with run.attempt() as first:
        for number in range(18):
            train(first, number, number + 1)
            first.save(f"{chr(97 + number)}bcd.pt")
        first.exit()
    assert only(checkpoint_growth.check(run.evidence())).evidence["files"] == 18


@pytest.mark.parametrize("saves", [3, 15])
def test_a_few_saves_tell_nothing(saves: int) -> None:
    assert checkpoint_growth.check(keeping(last=99, saves=saves)) == []


@pytest.mark.parametrize("last", [1, 3, 10])
def test_keeping_the_last_few_is_right(last: int) -> None:
    assert checkpoint_growth.check(keeping(last)) == []


def test_one_file_overwritten_is_right() -> None:
    assert checkpoint_growth.check(interrupted(51, save_every=2, name="state.npz").evidence()) == []


def test_many_shards_of_few_saves_do_not_pile_up() -> None:
    run = Run()
    with run.attempt() as first:
        for number in range(1, 4):
            train(first, number, number + 1)
            for shard in range(16):
                first.save(f"model-{shard:05}-of-00016.safetensors", write=0.01)
        first.exit()
    assert checkpoint_growth.check(run.evidence()) == []


def test_logs_beside_the_state_may_grow() -> None:
    run = Run()
    with run.attempt() as first:
        for number in range(1, 40):
            train(first, number, number + 1)
            first.save("state.npz", 500_000)
            first.save("metrics.csv", 1000 * number)
            first.save(f"sample-{number}.json", 100)
        first.exit()
    assert checkpoint_growth.check(run.evidence()) == []


def test_state_that_holds_more_at_every_save_is_a_warning() -> None:
    finding = only(checkpoint_growth.check(growing([50_000 * number for number in range(1, 20)])))
    assert finding.evidence["bytes"] == 950_000


def test_a_history_that_is_small_against_the_state_is_right() -> None:
    assert checkpoint_growth.check(growing([1_000_000 + 5_000 * number for number in range(30)])) == []


def test_what_has_ceased_to_grow_is_bounded() -> None:
    assert checkpoint_growth.check(growing([50_000 * min(number, 8) for number in range(1, 30)])) == []
    run = Run()
    with run.attempt() as first:
        train(first, 1, 16, save_every=1)
        train(first, 16, 60)
        first.exit()
    assert checkpoint_growth.check(run.evidence()) == []


def test_a_tiny_file_may_double() -> None:
    assert checkpoint_growth.check(growing([10 * number for number in range(1, 30)], "state.json")) == []
