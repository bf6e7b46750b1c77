"""Judges a finished run: one rule a file, named after its hazard, listed in RULES; evidence in, findings out.

A new rule is a module with a `check(evidence)` and a `RULE`, and one line in the table below.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from simulator.checks import (
    checkpoint_growth,
    crash_on_restore,
    diverged,
    lost_progress,
    lying_exit,
    max_wait_exceeded,
    no_checkpoint,
    no_model,
    not_durable_in_time,
    restarted_from_scratch,
    sample_replay,
    save_overhead,
    shared_path_collision,
    sigterm_ignored,
    sigterm_swallowed,
    spot_without_checkpoints,
    torn_checkpoint,
    wrong_path,
)
from simulator.checks.evidence import Evidence
from simulator.checks.rule import Finding, Rule, Severity

__all__ = ["RULES", "BrokenCheck", "Evidence", "Finding", "Rule", "Severity", "check_all"]

RULES: Mapping[str, Rule] = {
    rule.id: rule
    for rule in (
        no_checkpoint.RULE,
        restarted_from_scratch.RULE,
        lost_progress.RULE,
        torn_checkpoint.RULE,
        sigterm_swallowed.RULE,
        sigterm_ignored.RULE,
        not_durable_in_time.RULE,
        diverged.RULE,
        wrong_path.RULE,
        checkpoint_growth.RULE,
        lying_exit.RULE,
        no_model.RULE,
        max_wait_exceeded.RULE,
        save_overhead.RULE,
        sample_replay.RULE,
        spot_without_checkpoints.RULE,
        crash_on_restore.RULE,
        shared_path_collision.RULE,
    )
}


@dataclass(frozen=True)
class BrokenCheck:
    """A rule that could not answer: the question stays open."""

    rule: str
    name: str
    error: str


def check_all(evidence: Evidence) -> tuple[list[Finding], list[BrokenCheck]]:
    """Every rule's findings, errors first, and the rules that could not answer."""
    findings: list[Finding] = []
    broken: list[BrokenCheck] = []
    for rule in RULES.values():
        try:
            findings += rule.check(evidence)
        except Exception as error:  # noqa: BLE001 - whatever a rule trips over, the answer is "unknown", not a crash
            broken.append(BrokenCheck(rule.id, rule.name, f"{type(error).__name__}: {error}"))
    findings.sort(key=lambda finding: (finding.severity is Severity.WARNING, finding.rule, finding.attempt))
    return findings, broken
