"""SPOT013 max-wait-exceeded: the job ran out of MaxRuntimeInSeconds, or of MaxWaitTimeInSeconds with its waiting."""

from __future__ import annotations

from simulator.checks.evidence import Evidence
from simulator.checks.rule import Finding, Rule
from simulator.core.lifecycle import SecondaryStatus
from simulator.core.timeline import Kind

_LIMITS = {
    SecondaryStatus.MAX_WAIT_TIME_EXCEEDED: "MaxWaitTimeInSeconds",
    SecondaryStatus.MAX_RUNTIME_EXCEEDED: "MaxRuntimeInSeconds",
}


def check(evidence: Evidence) -> list[Finding]:
    """A finding when the job's last status says that a limit was passed."""
    limit = _LIMITS.get(SecondaryStatus(evidence.final_status)) if evidence.final_status else None
    if limit is None:
        return []
    allowed = (evidence.started.get("StoppingCondition") or {}).get(limit)
    statuses = evidence.timeline.of(Kind.SECONDARY_STATUS)
    took = statuses[-1].at - statuses[0].at
    attempt = evidence.attempts[-1] if evidence.attempts else 0
    walk = evidence.walk(attempt)
    reached = evidence.progress.axis.describe(walk.last.value) if walk and evidence.progress else "no logged progress"
    return [
        RULE.finding(
            attempt,
            f"The job was stopped after {took:.0f} s, in attempt {attempt} at {reached}: it had passed {limit}"
            + (f" ({allowed:g})." if isinstance(allowed, int | float) else "."),
            {
                "limit": limit,
                "allowed_seconds": allowed,
                "took_seconds": round(took, 3),
                "attempts": len(evidence.attempts),
                "interruptions": len(evidence.reclaimed),
                "reached": None if walk is None else walk.last.value,
            },
        )
    ]


RULE = Rule(
    id="SPOT013",
    name="max-wait-exceeded",
    summary="runtime plus waiting passed MaxWaitTimeInSeconds or MaxRuntimeInSeconds",
    why="Work done again after an interruption and the waiting for a new instance both count. A job whose limits leave "
    "no room for them is stopped before its model is written.",
    fix="Leave room for what interruptions cost, and lose less at each (save more often):\n"
    "  - max_run=3600, max_wait=3600\n"
    "  + max_run=5400, max_wait=10800",
    fails="""\
job = dict(StoppingCondition={"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 3600})  # training takes 3500
""",
    passes="""\
job = dict(StoppingCondition={"MaxRuntimeInSeconds": 7200, "MaxWaitTimeInSeconds": 14400})
""",
    source="StoppingCondition of CreateTrainingJob",
    check=check,
)
