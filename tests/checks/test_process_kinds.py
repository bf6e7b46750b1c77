"""What a process is, by its command line."""

from __future__ import annotations

import pytest

from simulator.checks.process_kinds import ProcessKind, brief, is_torchrun, kind_of, passes_signals_on


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("/bin/sh -c python train.py", ProcessKind.SHELL),
        ("-bash", ProcessKind.SHELL),
        ("/bin/bash /opt/ml/code/run.sh", ProcessKind.SHELL),
        ("/bin/bash -c chmod +x /opt/ml/input/data/sm_drivers/sm_train.sh && sm_train.sh", ProcessKind.TOOLKIT),
        ("python3 /opt/ml/input/data/sm_drivers/distributed_drivers/basic_script_driver.py", ProcessKind.TOOLKIT),
        ("/usr/bin/python3 /usr/local/bin/train", ProcessKind.TOOLKIT),
        ("python -m sagemaker_training.cli.train", ProcessKind.TOOLKIT),
        ("/usr/bin/python3 /usr/local/bin/torchrun --nproc_per_node 8 train.py", ProcessKind.LAUNCHER),
        ("python -u -m torch.distributed.run train.py", ProcessKind.LAUNCHER),
        ("mpirun -np 8 python train.py", ProcessKind.LAUNCHER),
        ("python /opt/conda/bin/accelerate launch train.py", ProcessKind.LAUNCHER),
        ("python -m deepspeed.launcher.launch train.py", ProcessKind.LAUNCHER),
        ("/usr/bin/tini -g -- python train.py", ProcessKind.INIT),
        ("/sbin/docker-init -- python train.py", ProcessKind.INIT),
        ("/usr/bin/python3.11 -X dev -W ignore train.py --epochs 3", ProcessKind.PYTHON),
        ("python -c import time", ProcessKind.PYTHON),
        ("/usr/lib/xgboost-train", ProcessKind.OTHER),
        ("", ProcessKind.OTHER),
    ],
)
def test_a_command_line_tells_the_kind(command: str, kind: ProcessKind) -> None:
    assert kind_of(command) is kind


def test_a_users_own_script_named_train_is_not_the_toolkit() -> None:
    assert kind_of("python /opt/program/train", starts_another=False) is ProcessKind.PYTHON


@pytest.mark.parametrize(
    ("command", "passes_on"),
    [
        ("tini -- python train.py", True),
        ("python /usr/local/bin/torchrun train.py", True),
        ("mpirun -np 2 python train.py", True),
        ("python /usr/local/bin/accelerate launch train.py", False),
        ("python -m sagemaker_training.cli.train", False),
        ("bash run.sh", False),
        ("python launch.py", False),
    ],
)
def test_who_is_known_to_pass_signals_on(command: str, passes_on: bool) -> None:
    assert passes_signals_on(command) is passes_on


def test_accelerates_elastic_launcher_is_torchs() -> None:
    assert is_torchrun("python -m torch.distributed.run train.py")
    assert not is_torchrun("python /usr/local/bin/accelerate launch train.py")


def test_a_sentence_names_a_command_without_its_folders() -> None:
    assert brief("/usr/bin/python3 /opt/ml/input/data/code/train.py --lr 0.1") == "python3 train.py --lr 0.1"
    assert len(brief("python " + "x" * 200)) == 60
