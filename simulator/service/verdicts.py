"""A verdict in the words of a server's log, of `exec`'s end and of the live page. Pure."""

from __future__ import annotations

from simulator.verdict import Answer, Verdict

ON_DEMAND = "nothing to prove: on demand, its instance is never taken away"
STOPPED = "nothing proved: it was stopped before its end"


def verdict_told(verdict: Verdict, is_spot: bool, was_stopped: bool = False) -> str:
    """One sentence without its full stop. What proves nothing is no fault of the job, and does not read like one.
    `was_stopped`: by StopTrainingJob."""
    reason = verdict.reason
    if was_stopped and not verdict.completed:
        return STOPPED
    if verdict.verdict is not Answer.ERROR:
        return reason.what if verdict.completed else f"{reason.what}: {reason.why}"
    if not is_spot:
        return ON_DEMAND
    return f"nothing proved: {reason.what}, as {reason.why}" if reason.why else f"nothing proved: {reason.what}"
