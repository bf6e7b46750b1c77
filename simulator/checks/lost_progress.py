"""SPOT003 lost-progress: a later attempt resumed, but from clearly before the newest durable checkpoint.

Promise: work done again convicts only where an older write of the same checkpoint explains it, and no other durable
file does. Limit: where a script logs no oftener than it saves, being one checkpoint behind cannot be seen.
"""

from __future__ import annotations

from simulator.checks.evidence import Evidence
from simulator.checks.resume import Began, Resume, resumes
from simulator.checks.rule import Finding, Rule, Severity


def check(evidence: Evidence) -> list[Finding]:
    """A finding for each later attempt that did work again which the newest durable checkpoint held."""
    return [
        finding for resume in resumes(evidence) for finding in _findings(evidence, resume) if resume.newest is not None
    ]


def _findings(evidence: Evidence, resume: Resume) -> list[Finding]:
    if evidence.progress is None or resume.newest is None or resume.older is None:
        return []
    tell = evidence.progress.axis.describe
    message = (
        f"Attempt {resume.attempt} resumed at {tell(resume.first_value)}, although {resume.newest.path}, written at "
        f"{tell(resume.newest_value)} or later, had been restored"
    )
    facts = {
        "metric": evidence.progress.axis.label,
        "began_at": resume.first_value,
        "log_line": evidence.progress.walks[resume.attempt].first.text,
        "newest_checkpoint": resume.newest.path,
        "newest_checkpoint_holds_at_least": resume.newest_value,
        "resumed_from": resume.older.path,
        "done_again_at_least": resume.newest_value - resume.first_value,
    }
    match resume.began:
        case Began.FROM_OLDER:
            return [RULE.finding(resume.attempt, f"{message}: {_older(resume)} explains where it began.", facts)]
        case Began.FROM_OTHER_COPY:
            return [
                RULE.finding(
                    resume.attempt,
                    f"{message}: it seems to have taken {resume.older.path}, of the same kind and size but older.",
                    facts,
                    severity=Severity.WARNING,
                )
            ]
        case Began.FROM_EPOCH_START:
            return [
                RULE.finding(
                    resume.attempt,
                    f"{message}: it went back to the start of the epoch in which that was saved.",
                    facts,
                    severity=Severity.WARNING,
                    fix="Save the position within the epoch (the step, and the data order's seed or state), and skip "
                    "to it after the restore; or save only at the end of an epoch.",
                )
            ]
    return []


def _older(resume: Resume) -> str:
    if resume.older is None or resume.newest is None or resume.older.path == resume.newest.path:
        return "an earlier write of the same file"
    return f"the older {resume.older.path}"


RULE = Rule(
    id="SPOT003",
    name="lost-progress",
    summary="work redone exceeds the budget (default: more than what the newest durable checkpoint explains)",
    why='A loader that sorts names as strings takes epoch 9 for newer than 10 ("99" > "100"), one that sorts by a time '
    "that the restore rewrote takes any, and one that loads the best instead of the last goes back as far as that.",
    fix="Choose the newest checkpoint by the number that it holds, not by name or time:\n"
    '  - newest = sorted(folder.glob("ckpt-*"))[-1]\n'
    '  + newest = max(folder.glob("ckpt-*"), key=lambda p: int(re.findall(r"\\d+", p.name)[-1]))\n'
    "or write names with zeros in front (ckpt-000100).",
    fails="""\
newest = sorted(Path("/opt/ml/checkpoints").glob("epoch-*.pt"))[-1]  # epoch-9.pt, though epoch-10.pt is there
""",
    passes="""\
newest = max(Path("/opt/ml/checkpoints").glob("epoch-*.pt"), key=lambda path: int(path.stem.split("-")[1]))
""",
    source="sagemaker-xgboost-container #154; AWS's checkpoint sample picks epoch 9 over 10 to 20 (measured)",
    check=check,
)
