"""What a process is in a training container, told by its command line: shell, toolkit, launcher, Python, init."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import PurePosixPath


class ProcessKind(StrEnum):
    """What stands between the service's SIGTERM and the training script."""

    INIT = "init"
    SHELL = "shell"
    TOOLKIT = "toolkit"  # SageMaker's: SDK v3's driver scripts, sagemaker-training's `train`
    LAUNCHER = "launcher"
    PYTHON = "python"
    OTHER = "other"


_SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh", "ksh", "busybox"})
_INITS = frozenset({"tini", "tini-static", "dumb-init", "docker-init", "catatonit", "init", "systemd", "s6-svscan"})
_MPI = frozenset({"mpirun", "mpiexec", "orterun", "prterun", "orted", "prted", "hydra_pmi_proxy"})
_LAUNCHERS = _MPI | frozenset(
    {"torchrun", "accelerate", "deepspeed", "horovodrun", "smddprun", "composer", "colossalai"}
)
_LAUNCHER_MODULES = (
    *("torch.distributed.run", "torch.distributed.launch", "accelerate.commands", "deepspeed.launcher"),
    *("torch/distributed/run.py", "torch/distributed/launch.py", "accelerate/commands", "deepspeed/launcher"),
)
_SDK_DRIVERS = ("sm_drivers/", "sm_train.sh")
_TOOLKITS = ("sagemaker_training", "sagemaker-training", "sagemaker_containers", "sagemaker_sklearn_container")
_TOOLKIT_SCRIPTS = frozenset({"train", "sagemaker-training"})
_PYTHON = re.compile(r"^(python|pypy)[\d.]*$")
_OPTIONS_WITH_A_VALUE = frozenset({"-W", "-X"})


def kind_of(command: str, starts_another: bool = True) -> ProcessKind:
    """The kind of a process by its command line (words separated by spaces). `starts_another`: it has a child; without
    one a script named `train` is the user's own (/opt/program/train), and not the toolkit's."""
    words = command.split()
    if not words:
        return ProcessKind.OTHER
    program = program_of(command)
    if program in _INITS:
        return ProcessKind.INIT
    if is_sdk_driver(command):
        return ProcessKind.TOOLKIT
    if program in _SHELLS:
        return ProcessKind.SHELL
    if _PYTHON.match(program):
        return _kind_of_python(_script_of(words), starts_another)
    if program in _LAUNCHERS:
        return ProcessKind.LAUNCHER
    return ProcessKind.TOOLKIT if program in _TOOLKIT_SCRIPTS else ProcessKind.OTHER


def program_of(command: str) -> str:
    """The program's name without its folder; a login shell's dash left out."""
    words = command.split()
    return PurePosixPath(words[0]).name.lstrip("-") if words else ""


def is_shell(command: str) -> bool:
    """Whether a shell runs it, be it one of the SDK's own scripts."""
    return program_of(command) in _SHELLS


def is_sdk_driver(command: str) -> bool:
    """Whether it is SDK v3's: it wraps every SourceCode in these scripts, which users cannot change."""
    return any(mark in command for mark in _SDK_DRIVERS)


def is_torchrun(command: str) -> bool:
    """Whether it is torch's elastic launcher, also where accelerate starts it."""
    script = _script_of(command.split())
    return (
        program_of(command) == "torchrun" or PurePosixPath(script).name == "torchrun" or "torch.distributed" in script
    )


def passes_signals_on(command: str) -> bool:
    """Whether this program is known to send its children the SIGTERM that it takes: inits, torchrun, MPI's launchers,
    deepspeed's. accelerate's simple launcher only waits for its child."""
    kind = kind_of(command)
    if kind is ProcessKind.INIT:
        return True
    script = _script_of(command.split())
    names = {program_of(command), PurePosixPath(script).name}
    return kind is ProcessKind.LAUNCHER and (is_torchrun(command) or bool(names & _MPI) or "deepspeed" in script)


def brief(command: str, most: int = 60) -> str:
    """A command line for a sentence: folders left out, and not endless."""
    words = [PurePosixPath(word).name if word.startswith("/") and len(word) > 1 else word for word in command.split()]
    text = " ".join(words)
    return text if len(text) <= most else text[: most - 1] + "…"


def _kind_of_python(script: str, starts_another: bool) -> ProcessKind:
    name = PurePosixPath(script).name
    if name in _LAUNCHERS or any(module in script for module in _LAUNCHER_MODULES):
        return ProcessKind.LAUNCHER
    if (name in _TOOLKIT_SCRIPTS and starts_another) or any(toolkit in script for toolkit in _TOOLKITS):
        return ProcessKind.TOOLKIT
    return ProcessKind.PYTHON


def _script_of(words: Sequence[str]) -> str:
    """What a Python runs: its script's path or its module's name; empty for `-c` and for none."""
    rest = iter(words[1:])
    for word in rest:
        if word == "-m":
            return next(rest, "")
        if word == "-c":
            return ""
        if word in _OPTIONS_WITH_A_VALUE:
            next(rest, None)
        elif not word.startswith("-"):
            return word
    return ""
