"""What a run tried and what it did not: a script survived these moments, and nothing is known of the others.

Only what was seen to happen counts as tried: an instance planned to go while a file was written may have gone after.
"""

from __future__ import annotations

from itertools import pairwise

from simulator.checks.evidence import Evidence, EvidenceMissing
from simulator.checks.ledger import ledger_of
from simulator.core.plan import PROFILES
from simulator.core.timeline import Kind

_QUICK_SECONDS = 60.0


def not_tried(evidence: Evidence) -> list[str]:
    """The moments, warnings and comparisons that this run says nothing of, each with the option that tries it."""
    seen = _moments(evidence)
    lines = [text for moment, text in _MOMENTS.items() if moment not in seen]
    lines += [
        f"the warning of the profile {name}: --profile {name}"
        for name in PROFILES
        if name != evidence.profile.get("name")
    ]
    if not evidence.baselines:
        lines.append("whether the training is the same as without the interruption: --baseline")
    if not ledger_of(evidence).batches:
        lines.append("whether each sample was trained on once an epoch: print `sample-ids` lines (docs/samples.md)")
    if str(evidence.started.get("runtime", "")) == "process":
        lines.append("the training image, its entrypoint and its process tree: --runtime local-mode")
    return lines


_MOMENTS = {
    "before-first": "an instance lost before the first checkpoint was in S3: --interrupt 1s",
    "between": "an instance lost between two checkpoints, in the middle of training: --interrupt checkpoint=2",
    "saving": "an instance lost while a checkpoint was being written: --interrupt save --profile sudden",
    "uploading": "an instance lost while a checkpoint was on its way to S3: --interrupt upload --profile sudden",
    "restoring": "an instance lost while it restored: a second --interrupt download",
    "twice": "two instances lost in quick succession: --interrupt given twice",
}


def _moments(evidence: Evidence) -> set[str]:
    """The moments at which instances were seen to go."""
    seen = {moment for attempt in evidence.reclaimed for moment in _moments_of(evidence, attempt)}
    gone = [evidence.gone_at(attempt) for attempt in evidence.reclaimed]
    if any(after - before < _QUICK_SECONDS for before, after in pairwise(gone)):
        seen.add("twice")
    return seen


def _moments_of(evidence: Evidence, attempt: int) -> set[str]:
    if evidence.began_at(attempt) is None:
        return {"restoring"}
    try:
        durable = evidence.checkpoints_at_kill(attempt)
    except EvidenceMissing:
        durable = []
    seen = {"between" if durable else "before-first"}
    # After a clean exit nothing is cut off any more: only a kill takes a write or an upload along.
    if evidence.killed(attempt) is not None:
        gone_at = evidence.gone_at(attempt)
        slack = evidence.options.detection_seconds
        left = evidence.files.left_behind.get(attempt, {}).values()
        if any(version.settled_at is None and gone_at - version.changed_at < slack for version in left):
            seen.add("saving")
        started = {str(event.data["path"]) for event in evidence.of(Kind.UPLOAD_STARTED, attempt)}
        abandoned = {str(event.data["path"]) for event in evidence.of(Kind.UPLOAD_ABANDONED, attempt)}
        if started & abandoned:
            seen.add("uploading")
    return seen
