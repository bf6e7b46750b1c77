"""Which framework a fix is written for: told by words first, by names second, and by neither where they disagree."""

from __future__ import annotations

import pytest

from simulator.checks.framework import Framework, framework_of
from tests.checks.build import Run, process, train


def framework(name: str = "state", tail: str = "", command: str = "", model: str = "") -> Framework:
    run = Run(interrupt="step=20", profile="sagemaker")
    with run.attempt() as first:
        first.tail = [tail]
        first.model_when_reclaimed = {model: {"bytes": 1, "digest": "m"}} if model else {}
        train(first, 1, 21, save_every=10, name=name)
        first.trigger()
        first.sigterm([process(1, 0, command)])
        first.kill()
    return framework_of(run.evidence())


@pytest.mark.parametrize("name", ["epoch-{}.keras", "w-{}.weights.h5", "ckpt-{}.data-00000-of-00001"])
def test_keras_and_tensorflow_are_told_by_their_files(name: str) -> None:
    assert framework(name) is Framework.KERAS


@pytest.mark.parametrize("name", ["step-{}.pt", "model_{}.pth", "checkpoint-{}/pytorch_model.bin", "epoch={}-s.ckpt"])
def test_pytorch_is_told_by_its_files(name: str) -> None:
    assert framework(name) is Framework.PYTORCH


@pytest.mark.parametrize("name", ["state", "state-{}.json", "ckpt-{}.npz", "model.ckpt-{}"])
def test_names_that_anyone_uses_tell_nothing(name: str) -> None:
    assert framework(name) is Framework.PLAIN


def test_words_go_before_names() -> None:
    assert framework("ckpt-{}.h5", tail='  File "/usr/lib/python3/torch/serialization.py", line 9') is Framework.PYTORCH
    assert framework("state", command="torchrun --nproc-per-node 2 train.py") is Framework.PYTORCH


def test_two_frameworks_are_none() -> None:
    assert framework("state", tail="tensorflow and torch are both installed") is Framework.PLAIN


def test_the_exported_model_tells_where_nothing_else_does() -> None:
    assert framework("state", model="model.keras") is Framework.KERAS
