"""report.json: everything about a run that a program may want to read, under names that stay."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from simulator.checks.evidence import Evidence, EvidenceMissing
from simulator.checks.grace_budget import GraceBudget, grace_budget
from simulator.checks.signal_path import SignalPath, signal_path
from simulator.core.attempt import schedule
from simulator.core.billing import billing
from simulator.core.clock import as_iso
from simulator.core.hosts import log_to_read
from simulator.core.plan import Plan
from simulator.core.timeline import Event, Kind, Timeline
from simulator.reports.assumptions import assumptions
from simulator.reports.describe_job import describe_job
from simulator.reports.record import RunRecord
from simulator.verdict import Answer

SCHEMA_VERSION = "1.2"
"""The part before the dot changes when a field goes or changes its meaning; the other when fields come."""


def build_report(record: RunRecord) -> dict[str, Any]:
    """The content of report.json: JSON values only, and numbers that are none (NaN) as text.

    A partial run has the verdict `error`, whatever was seen until then; its findings are kept.
    """
    evidence = Evidence(record.timeline)
    record = replace(record, timeline=evidence.timeline)
    money = billing(record.timeline)
    report = {
        "schema_version": SCHEMA_VERSION,
        **record.verdict.as_dict(),
        **({} if record.partial is None else {"verdict": Answer.ERROR.value, "tier": None}),
        "partial": record.partial is not None,
        "partial_reason": record.partial,
        "exit_code": int(record.exit_code),
        "attempts": [_attempt(record, evidence, number) for number in record.timeline.attempts],
        "job": describe_job(record),
        "billing": {
            "training_seconds": round(money.training_seconds, 3),
            "billable_seconds": round(money.billable_seconds, 3),
            "waiting_seconds": round(money.waiting_seconds, 3),
            "savings_percent": round(money.savings_percent, 1),
        },
        "plan": _plan(record.plan),
        "seed": record.plan.seed,
        "runtime": record.runtime,
        "fidelity_lost": list(record.fidelity_lost),
        "assumptions": [asdict(assumption) for assumption in assumptions(record.plan, record.options)],
        "warnings": [str(event.data.get("message", "")) for event in record.timeline.of(Kind.WARNING)],
        "started_at": as_iso(record.started_at),
        "versions": dict(record.versions),
        "explored": None if record.explored is None else record.explored.as_dict(),
    }
    return {key: as_json(value) for key, value in report.items()}


def as_json(value: Any) -> Any:
    """A value as strict JSON holds it."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): as_json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_json(inner) for inner in value]
    return value if isinstance(value, bool | int | float | str | None) else str(value)


def _plan(plan: Plan) -> dict[str, Any]:
    return {
        "interruptions": [trigger.text for trigger in plan.interruptions],
        "profile": asdict(plan.profile),
        "restart_delay_seconds": plan.restart_delay_seconds,
        "exit_after_sigterm": plan.exit_after_sigterm.value,
    }


def _attempt(record: RunRecord, evidence: Evidence, number: int) -> dict[str, Any]:
    timeline = record.timeline
    began, ended = timeline.first(Kind.ATTEMPT_STARTED, number), timeline.last(Kind.ATTEMPT_ENDED, number)
    began_at = began.at if began else 0.0
    until = ended.at if ended else max((event.at for event in timeline if event.attempt == number), default=began_at)
    finished = timeline.of(Kind.UPLOAD_FINISHED, attempt=number)
    return {
        "attempt": number,
        "started_at": as_iso(record.wall(began_at)),
        "ended_at": as_iso(record.wall(ended.at)) if ended else None,
        "seconds": round(until - began_at, 3),
        "outcome": ended.data.get("outcome") if ended else None,
        "exit_code": ended.data.get("exit_code") if ended else None,
        "interruption": _interruption(record, number),
        "restored": _restored(timeline, number),
        "uploads": {
            "count": len(finished),
            "bytes": sum(int(event.data.get("bytes", 0)) for event in finished),
            "failed": len(timeline.of(Kind.UPLOAD_FAILED, attempt=number)),
            "abandoned": [event.data.get("path") for event in timeline.of(Kind.UPLOAD_ABANDONED, attempt=number)],
        },
        **_steps(timeline, number),
        "manifest_at_kill": _manifest_at_kill(timeline, number),
        "signal_path": _where_known(signal_path, evidence, number),
        "grace_budget": _where_known(grace_budget, evidence, number),
        "log": f"logs/{log_to_read(number, evidence.hosts)}",
    }


def _where_known(
    question: Callable[[Evidence, int], SignalPath | GraceBudget | None], evidence: Evidence, number: int
) -> dict[str, Any] | None:
    """The answer, None where there is none or the timeline (of a run that was cut, say) lacks what it rests on."""
    try:
        answer = question(evidence, number)
    except (EvidenceMissing, KeyError):
        return None
    return None if answer is None else answer.as_dict()


def _interruption(record: RunRecord, attempt: int) -> dict[str, Any] | None:
    """What was to happen to an attempt, and what did; in run seconds. None where nothing was planned."""
    trigger = record.plan.trigger_of(attempt)
    if trigger is None:
        return None
    fired = record.timeline.first(Kind.TRIGGER_FIRED, attempt)
    if fired is None:
        return {"trigger": trigger.text, "triggered_at": None, "notice": None, "sigterm": None, "sigkill": None}
    triggered_at = float(fired.data.get("observed_at", fired.at))
    plan = schedule(record.plan.profile, triggered_at)
    sent = next(
        (event for event in record.timeline.of(Kind.SIGNAL_SENT, attempt=attempt) if event.data["signal"] == "SIGTERM"),
        None,
    )
    killed = record.timeline.first(Kind.KILLED, attempt)
    return {
        "trigger": trigger.text,
        "triggered_at": triggered_at,
        "notice": _instants(plan.notice_at, record.timeline.first(Kind.NOTICE_GIVEN, attempt)),
        "sigterm": _instants(plan.sigterm_at, sent if sent is not None and sent.data.get("delivered") else None),
        "sigkill": _instants(plan.sigkill_at, killed if killed is not None and killed.data.get("observed") else None),
    }


def _instants(scheduled_at: float | None, event: Event | None) -> dict[str, float | None] | None:
    """Scheduled against actual; `actual_at` None: it did not happen, as the process had ended before."""
    if scheduled_at is None:
        return None
    return {"scheduled_at": scheduled_at, "actual_at": event.at if event is not None else None}


def _restored(timeline: Timeline, attempt: int) -> dict[str, Any] | None:
    done = timeline.first(Kind.RESTORE_FINISHED, attempt)
    if done is not None:
        return {key: done.data.get(key) for key in ("objects", "bytes", "seconds")}
    return None


def _steps(timeline: Timeline, attempt: int) -> dict[str, Any]:
    """First and last reading of every metric, and of `step` under names of its own."""
    metrics: dict[str, dict[str, Any]] = {}
    for event in timeline.of(Kind.METRIC, attempt=attempt):
        metric = metrics.setdefault(str(event.data["name"]), {"first": event.data["value"]})
        metric["last"] = event.data["value"]
    step = metrics.get("step", {})
    return {"first_step": step.get("first"), "last_step": step.get("last"), "metrics": metrics}


def _manifest_at_kill(timeline: Timeline, attempt: int) -> dict[str, Any] | None:
    for event in timeline.of(Kind.MANIFEST, attempt=attempt):
        if event.data.get("when") == "kill":
            return dict(event.data["files"])
    return None
