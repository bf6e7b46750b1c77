"""SPOT011 lying-exit: the exit code and what was done disagree, and SageMaker believes the exit code.

Looks at exits that SageMaker takes at their word: before SIGTERM, or without any. An exit after SIGTERM is part of the
interruption, whatever its code (the XGBoost container's handler exits with 0).

Without an uninterrupted run nobody knows how much work there was, so an exit with 0 within the warning convicts only
when the script's own log says so ("step 50/200"), or no model was left; else it is a warning, and the verdict is open.
"""

from __future__ import annotations

import re

from simulator.checks.evidence import Evidence
from simulator.checks.no_model import has_model
from simulator.checks.rule import Finding, Rule, Severity
from simulator.core.timeline import Event, Kind


def check(evidence: Evidence) -> list[Finding]:
    """Findings for attempts whose own exit ended the job."""
    findings = []
    for attempt in evidence.attempts:
        exited = evidence.exited(attempt)
        outcome = evidence.outcome(attempt)
        if exited is None or outcome not in ("completed", "failed"):
            continue
        told_at = evidence.warned_at(attempt)
        if outcome == "completed":
            findings += _success(evidence, attempt, exited, told_at)
        else:
            findings += _failure(evidence, attempt, exited, told_at)
    return findings


def _success(evidence: Evidence, attempt: int, exited: Event, told_at: float | None) -> list[Finding]:
    facts = _facts(evidence, attempt, exited, told_at)
    missing, severity = _missing_work(evidence, attempt, told_at)
    if missing is None and told_at is not None and not evidence.baselines:
        return [
            RULE.finding(
                attempt,
                f"The script exited with 0, {exited.at - told_at:.1f} s after it was told that the instance goes: "
                "SageMaker calls that Completed and does not restart it. Whether work was missing is not known.",
                facts,
                severity=Severity.WARNING,
            )
        ]
    if missing is None:
        return []
    when = f", {exited.at - told_at:.1f} s after it was told that the instance goes," if told_at is not None else ""
    return [
        RULE.finding(
            attempt,
            f"The script exited with 0{when} and the job was Completed, but {missing}.",
            facts,
            severity=severity,
        )
    ]


def _failure(evidence: Evidence, attempt: int, exited: Event, told_at: float | None) -> list[Finding]:
    code = exited.data.get("exit_code")
    facts, host = _facts(evidence, attempt, exited, told_at), evidence.ended_by(attempt)
    script = f"the script on {host}" if host else "the script"
    if told_at is not None:
        saved = [save for save in evidence.saves_in_reaction(attempt) if save.settled_at is not None]
        if not saved:
            return []
        facts["saved"] = sorted(save.path for save in saved)
        return [
            RULE.finding(
                attempt,
                f"{script.capitalize()} saved {saved[-1].path} when it was told, and then exited with {code}: "
                "SageMaker calls the job Failed and does not restart it, so that the checkpoint is of no use.",
                facts,
                fix="Stay until SIGTERM, or go on training; a non-zero exit before it fails the job:\n"
                "        save(state, CHECKPOINTS)\n"
                "  -     sys.exit(143)\n"
                "  +     stop.wait()   # until SIGTERM, then sys.exit(0)",
            )
        ]
    if _work_was_complete(evidence, attempt):
        return [
            RULE.finding(
                attempt,
                f"Training reached its end and the model was written, and then {script} exited with {code}: "
                "SageMaker calls the job Failed.",
                facts,
                fix="Return 0 when the work is done; let no clean-up after it raise.",
            )
        ]
    return []


def _missing_work(evidence: Evidence, attempt: int, told_at: float | None) -> tuple[str | None, Severity]:
    """What was not done, as far as anything tells; a warning where uninterrupted runs end at different places."""
    progress, walk = evidence.progress, evidence.walk(attempt)
    ends = _baseline_ends(evidence)
    if progress is not None and ends:
        tell = progress.axis.describe
        reached = max((walk.last.value for walk in progress.walks.values()), default=float("-inf"))
        tolerance = 0.0 if progress.regular and len(set(ends)) == 1 else progress.stride
        if reached < min(ends) - tolerance:
            severity = Severity.ERROR if len(set(ends)) == 1 else Severity.WARNING
            return f"it ended at {tell(reached)}, and the uninterrupted run at {tell(min(ends))}", severity
    if told_at is None:
        return None, Severity.ERROR
    if progress is not None and walk is not None and not ends:
        total = _total(walk.last.text, walk.last.value)
        if total is not None and walk.last.value + progress.stride < total:
            return f'its last line of progress was "{walk.last.text.strip()}"', Severity.ERROR
    if evidence.last(Kind.MODEL_FILES, attempt) is not None and not has_model(evidence, attempt):
        return "it left no model", Severity.ERROR
    return None, Severity.ERROR


def _work_was_complete(evidence: Evidence, attempt: int) -> bool:
    progress, walk = evidence.progress, evidence.walk(attempt)
    if progress is None or walk is None or not has_model(evidence, attempt):
        return False
    ends = _baseline_ends(evidence)
    if ends:
        return walk.last.value >= min(ends)
    total = _total(walk.last.text, walk.last.value)
    return total is not None and walk.last.value + progress.stride >= total


def _baseline_ends(evidence: Evidence) -> list[float]:
    axis = evidence.progress.axis if evidence.progress else None
    walks = [
        baseline.walk(baseline.attempts[-1])
        for baseline in evidence.baselines
        if baseline.attempts and baseline.progress and baseline.progress.axis == axis
    ]
    return [walk.last.value for walk in walks if walk is not None]


def _total(text: str, value: float) -> float | None:
    """The total that a line names behind its value, as in `step 50/200`."""
    match = re.search(rf"(?<![\d.]){value:g}\s*(?:/|of)\s*(\d+)(?![\d.])", text)
    return float(match.group(1)) if match else None


def _facts(evidence: Evidence, attempt: int, exited: Event, told_at: float | None) -> dict[str, object]:
    walk, ends, host = evidence.walk(attempt), _baseline_ends(evidence), evidence.ended_by(attempt)
    return {
        "exit_code": exited.data.get("exit_code"),
        **({"host": host} if host else {}),
        "seconds_after_told": None if told_at is None else round(exited.at - told_at, 3),
        "last_progress": None if walk is None else walk.last.value,
        "last_progress_line": None if walk is None else walk.last.text,
        "uninterrupted_end": min(ends) if ends else None,
    }


RULE = Rule(
    id="SPOT011",
    name="lying-exit",
    summary="exit code and outcome disagree: success claimed with work missing, or failure after a clean save",
    why="Exit 0 is Completed and anything else is Failed; neither is ever restarted. A script that saves when it gets "
    "the notice and then leaves by itself ends the job, with its work unfinished and perhaps without a model.",
    fix="Do not leave on the notice. Save, go on training, and leave when SIGTERM comes:\n"
    "    if notice_seen and not saved:\n"
    "        save(state, CHECKPOINTS); saved = True\n"
    "  -     sys.exit(0)",
    fails="""\
if notice.exists():
    save(step)
    sys.exit(0)  # Completed: nobody will train the other steps
""",
    passes="""\
if notice.exists() and not saved:
    save(step)
    saved = True  # and train on: the instance is taken away by the service, not by the script
""",
    source="Amazon SageMaker, How Amazon SageMaker signals success or failure; XGBoost container's handler",
    check=check,
)
