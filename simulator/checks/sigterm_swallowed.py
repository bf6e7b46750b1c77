"""SPOT005 sigterm-swallowed: SIGTERM reached PID 1, a process with a handler for it was there, and none of it ever ran.

Measured: under the SageMaker SDK v3's `bash -c … sm_train.sh`, under `bash -m`, and under the toolkit's Python driver,
the script's handler never runs. Acquits: PID 1 that acted itself, workers that merely have their library's handler,
and a script without any handler, which is SPOT006. A warning when the regular checkpoints were current all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from simulator.checks.evidence import Evidence, Process
from simulator.checks.rule import Finding, Rule, Severity

_SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh", "ksh", "busybox"})
_KILLED_BY_SIGTERM = 143


def check(evidence: Evidence) -> list[Finding]:
    """A finding for each attempt in which a handler waited for a SIGTERM that went to PID 1 only."""
    findings = []
    for attempt in evidence.reclaimed:
        owners = unreached_owners(evidence, attempt)
        if not owners:
            continue
        processes = evidence.processes_at_sigterm(attempt)
        root = root_of(processes)
        current = evidence.checkpoints_were_current(attempt)
        owner = owners[0]
        if root.catches_sigterm:
            how = "took SIGTERM itself and did not pass it on"
        else:
            how = "has no handler for SIGTERM, and the kernel discards it for a PID 1 without one"
        consequence = (
            "Its regular checkpoints were current, so little was lost this time."
            if current
            else "What it would have saved was lost."
        )
        findings.append(
            RULE.finding(
                attempt,
                f"PID {root.pid} ({_short(root.command)}) {how}: the handler of PID {owner.pid} "
                f"({_short(owner.command)}) never ran. {consequence}",
                {
                    "pid_1": root.as_dict(),
                    "handlers_never_reached": [process.as_dict() for process in owners],
                    "processes": [process.as_dict() for process in processes],
                    "checkpoints_were_current": current,
                },
                severity=Severity.WARNING if current else Severity.ERROR,
            )
        )
    return findings


def unreached_owners(evidence: Evidence, attempt: int) -> list[Process]:
    """The processes whose handler for SIGTERM never ran; empty when that is not what happened."""
    signal = evidence.sigterm(attempt)
    processes = evidence.processes_at_sigterm(attempt)
    if signal is None or not processes:
        return []
    root = root_of(processes)
    owners = [process for process in processes if process.pid != root.pid and _owns_a_handler(process, processes)]
    if not owners:
        return []
    killed, exited = evidence.killed(attempt), evidence.exited(attempt)
    if killed is None:
        died_of_it = exited is not None and exited.data.get("exit_code") == _KILLED_BY_SIGTERM
        unhandled = not (root.catches_sigterm or root.blocks_sigterm or root.ignores_sigterm)
        return owners if died_of_it and unhandled else []
    if root.blocks_sigterm and not _is_shell(root):
        return []  # an init such as tini waits for blocked signals and passes them on: SPOT006 asks on
    if root.catches_sigterm and (not _only_drives(root, owners) or evidence.saves_in_reaction(attempt)):
        return []
    return owners


def root_of(processes: Sequence[Process]) -> Process:
    """PID 1, or the process whose parent is not among them where there is no namespace."""
    pids = {process.pid for process in processes}
    by_rank = sorted(processes, key=lambda process: (process.pid != 1, process.ppid in pids, process.pid))
    return by_rank[0]


def _owns_a_handler(process: Process, processes: Sequence[Process]) -> bool:
    if not process.catches_sigterm or _is_shell(process):
        return False
    parent = next((other for other in processes if other.pid == process.ppid), None)
    # A worker that was forked or spawned by the training process has its library's handler, or its parent's.
    return "multiprocessing" not in process.command and (parent is None or parent.command != process.command)


def _only_drives(root: Process, owners: Sequence[Process]) -> bool:
    """Whether PID 1 merely starts the training: a shell, or a driver that runs another program."""
    return _is_shell(root) or any(owner.ppid == root.pid for owner in owners) or not owners


def _is_shell(process: Process) -> bool:
    words = process.command.split()
    return bool(words) and PurePosixPath(words[0]).name.lstrip("-") in _SHELLS


def _short(command: str) -> str:
    return command if len(command) <= 60 else command[:57] + "..."


RULE = Rule(
    id="SPOT005",
    name="sigterm-swallowed",
    summary="SIGTERM reached PID 1 but no process with a handler for it ever received it",
    why="The service signals PID 1 only. A shell there waits for its child and passes nothing on, and the kernel drops "
    "signals that a PID 1 has no handler for, so a handler in the training script is never called.",
    fix="Let the training process be PID 1, or let PID 1 pass signals on:\n"
    "  - python train.py\n"
    "  + exec python train.py            # last line of the start script\n"
    "  - ENTRYPOINT python train.py\n"
    '  + ENTRYPOINT ["python", "train.py"]\n'
    '  + ENTRYPOINT ["tini", "-g", "--", "python", "train.py"]   # where a driver must stay\n'
    "and never depend on the handler alone: save at regular intervals too.",
    fails="""\
#!/bin/sh
# start.sh, PID 1: SIGTERM ends here, and the handler in train.py is never called
pip install -r requirements.txt
python train.py
""",
    passes="""\
#!/bin/sh
# start.sh: exec makes the training process PID 1
pip install -r requirements.txt
exec python train.py
""",
    source="Amazon SageMaker, How Amazon SageMaker runs your training image (exec form); SDK v3's driver, measured; "
    "aws/sagemaker-training-toolkit #125",
    check=check,
)
