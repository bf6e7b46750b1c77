"""SPOT009 wrong-path."""

from __future__ import annotations

import pytest

from simulator.checks.file_names import may_be_a_checkpoint
from simulator.checks.wrong_path import check
from tests.checks.build import Run, only, train


def run(outside: list[tuple[str, int]], resume_at: int = 1, save_every: int = 0, in_model: str = "") -> Run:
    result = Run(interrupt="step=57")
    with result.attempt() as first:
        first.outside = outside
        first.model_when_reclaimed = {in_model: {"bytes": 900, "digest": "x"}} if in_model else {}
        train(first, 1, 58, save_every=save_every)
        first.trigger()
        first.kill()
    with result.attempt() as second:
        train(second, resume_at, 101, save_every=save_every)
        second.exit()
    return result


@pytest.mark.parametrize(
    "path",
    [
        "/tmp/checkpoints/ckpt-50.npz",
        "/root/model.keras",
        "/opt/ml/output/data/state.pt",
        "/work/ckpt/epoch3.bin",
        "/opt/ml/input/data/code/checkpoints/m.ckpt",
    ],
)
def test_state_outside_is_named_when_nothing_was_in_s3(path: str) -> None:
    finding = only(check(run([(path, 5000)]).evidence()))
    assert path in finding.message
    assert finding.evidence["written_outside"] == [{"path": path, "bytes": 5000}]


def test_checkpoints_in_the_model_folder_are_named() -> None:
    finding = only(check(run([], in_model="ckpt-50.h5").evidence()))
    assert "/opt/ml/model/ckpt-50.h5" in finding.message


def test_state_of_unknown_size_is_named() -> None:
    assert len(check(run([("/tmp/a.ckpt", -1)]).evidence())) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/root/.keras/datasets/mnist.npz",
        "/root/.cache/torch/hub/checkpoints/resnet18.pth",
        "/usr/lib/python3/x.pkl",
        "/tmp/train.log",
        "/opt/ml/checkpoints/ckpt.npz",
    ],
)
def test_downloads_and_logs_are_not_state(path: str) -> None:
    assert check(run([(path, 5000)]).evidence()) == []


def test_files_written_aside_by_a_script_that_resumes_are_acquitted() -> None:
    assert check(run([("/tmp/tmpa1b2c3.npz", 5000)], resume_at=51, save_every=10).evidence()) == []


def test_files_written_aside_explain_no_start_over() -> None:
    assert check(run([("/tmp/ckpt-50.npz", 5000)], save_every=10).evidence()) == []


def test_a_start_over_with_other_state_outside_names_it() -> None:
    assert only(check(run([("/tmp/optimizer.pt", 5000)], save_every=10).evidence())).attempt == 1


@pytest.mark.parametrize("path", ["ckpt", "model-00001-of-00002.bin", "part-0.bin", "a/b/state.json", "10/params/d/x"])
def test_a_checkpoint_may_have_any_name(path: str) -> None:
    assert may_be_a_checkpoint(path)


@pytest.mark.parametrize(
    "path", ["a.tmp", "tmp_ckpt.npz", "tmpa8sd7f6g", "x.npz~", "c.part", "9.orbax-checkpoint-tmp-1/a"]
)
def test_temporary_names_are_known(path: str) -> None:
    assert not may_be_a_checkpoint(path)
