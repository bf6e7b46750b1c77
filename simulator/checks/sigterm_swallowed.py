"""SPOT005 sigterm-swallowed: SIGTERM reached PID 1, a process with a handler for it was there, and none of it ever ran.

Measured: under the SageMaker SDK v3's `bash -c … sm_train.sh`, under `bash -m`, and under the toolkit's Python driver,
the script's handler never runs. Acquits: PID 1 that acted itself, workers that merely have their library's handler,
and a script without any handler, which is SPOT006. A warning when the regular checkpoints were current all the same.
"""

from __future__ import annotations

from simulator.checks.evidence import Evidence
from simulator.checks.rule import Finding, Rule, Severity
from simulator.checks.signal_path import root_of, signal_path, unreached_owners

_AND_BESIDES = "and never depend on the handler alone: save at regular intervals too."


def check(evidence: Evidence) -> list[Finding]:
    """A finding for each attempt in which a handler waited for a SIGTERM that went to PID 1 only."""
    findings = []
    for attempt in evidence.reclaimed:
        owners = unreached_owners(evidence, attempt)
        path = signal_path(evidence, attempt) if owners else None
        if path is None:
            continue
        processes = evidence.processes_at_sigterm(attempt)
        current = evidence.checkpoints_were_current(attempt)
        consequence = (
            "Its regular checkpoints were current, so little was lost this time."
            if current
            else "What it would have saved was lost."
        )
        findings.append(
            RULE.finding(
                attempt,
                f"{path.story} {consequence}",
                {
                    "pid_1": root_of(processes).as_dict(),
                    "handlers_never_reached": [process.as_dict() for process in owners],
                    "processes": [process.as_dict() for process in processes],
                    "checkpoints_were_current": current,
                    "signal_path": path.as_dict(),
                },
                severity=Severity.WARNING if current else Severity.ERROR,
                fix=f"{path.fix}\n{_AND_BESIDES}" if path.fix else None,
            )
        )
    return findings


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
