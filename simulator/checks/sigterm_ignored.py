"""SPOT006 sigterm-ignored: the script was told by SIGTERM, and was still running when the grace ended.

Acquits: a script that saved in reaction and then waited for its end. A script that only saves at regular intervals is
correct, so where its checkpoints were current this is a warning.
"""

from __future__ import annotations

from simulator.checks.evidence import Evidence
from simulator.checks.rule import Finding, Rule, Severity
from simulator.checks.sigterm_swallowed import unreached_owners


def check(evidence: Evidence) -> list[Finding]:
    """A finding for each attempt that had to be killed after its SIGTERM's grace, unless SPOT005 explains it."""
    findings = []
    for attempt in evidence.reclaimed:
        signal, killed = evidence.sigterm(attempt), evidence.killed(attempt)
        if signal is None or killed is None or killed.at <= signal.at or unreached_owners(evidence, attempt):
            continue
        if any(
            save.started_at >= signal.at and save.settled_at is not None for save in evidence.saves_in_reaction(attempt)
        ):
            continue
        processes = evidence.processes_at_sigterm(attempt)
        handlers = [process for process in processes if process.catches_sigterm]
        cut = [version for version in evidence.files.unfinished(attempt) if version.settled_at is None]
        current = evidence.checkpoints_were_current(attempt)
        grace = killed.at - signal.at
        findings.append(
            RULE.finding(
                attempt,
                f"The script was still running {grace:.1f} s after SIGTERM, when the grace ended"
                f"{_why(bool(processes), bool(handlers), [version.path for version in cut])}. "
                + (
                    "Its regular checkpoints were current."
                    if current
                    else "What it had done since its last checkpoint was lost."
                ),
                {
                    "grace_seconds": round(grace, 3),
                    "processes": [process.as_dict() for process in processes],
                    "handlers": [process.pid for process in handlers],
                    "writes_cut": [version.path for version in cut],
                    "checkpoints_were_current": current,
                },
                severity=Severity.WARNING if current else Severity.ERROR,
            )
        )
    return findings


def _why(processes_known: bool, has_handler: bool, cut: list[str]) -> str:
    if cut:
        return f", in the middle of writing {cut[0]}"
    if not processes_known:
        return ""
    return "; a handler is installed, but nothing came of it" if has_handler else "; no process has a handler for it"


RULE = Rule(
    id="SPOT006",
    name="sigterm-ignored",
    summary="the script was still running when the grace ended (warning when its checkpoints were current)",
    why="SIGTERM is the last call: what is not in S3 when SIGKILL follows is gone. Frameworks that keep a handler of "
    "their own, a flag that is only looked at between epochs, and a save longer than the grace all miss it.",
    fix="Set a flag in a handler, look at it in every step, save, and leave:\n"
    "  + stop = threading.Event()\n"
    "  + signal.signal(signal.SIGTERM, lambda *_: stop.set())\n"
    "    for step in range(start, steps):\n"
    "        train(step)\n"
    "  +     if stop.is_set():\n"
    "  +         save(state, CHECKPOINTS); sys.exit(0)",
    fails="""\
signal.signal(signal.SIGTERM, lambda *_: stop.set())
for epoch in range(epochs):
    train_for_ten_minutes(epoch)
    if stop.is_set():  # looked at long after the 120 s are over
        save(epoch)
        sys.exit(0)
""",
    passes="""\
signal.signal(signal.SIGTERM, lambda *_: stop.set())
for epoch in range(epochs):
    for step, batch in enumerate(batches(epoch)):
        train(batch)
        if stop.is_set():
            save(epoch, step)
            sys.exit(0)
""",
    source="StoppingCondition: SIGTERM, then SIGKILL after 120 s; pytorch-lightning #1455; spd #677, #741",
    check=check,
)
