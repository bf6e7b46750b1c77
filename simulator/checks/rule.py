"""What a rule is and what it says: a rule reads the evidence of a finished run and returns findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from simulator.checks.evidence import Evidence
from simulator.checks.framework import Framework, framework_of


class Severity(StrEnum):
    """An error means that the script does not survive; a warning says what it may cost, and never fails a run."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    """One thing that one rule saw in one attempt. `evidence` holds only JSON values."""

    rule: str
    name: str
    severity: Severity
    attempt: int
    message: str
    fix: str
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The finding as report.json holds it."""
        return {
            "rule": self.rule,
            "name": self.name,
            "severity": self.severity.value,
            "attempt": self.attempt,
            "message": self.message,
            "evidence": dict(self.evidence),
            "fix": self.fix,
        }


@dataclass(frozen=True)
class Rule:
    """A hazard: how it is called, why it matters, how it is mended, where that is known from, and what looks for it.

    `fails` and `passes` are the shortest scripts that have the hazard and do not. `fixes` are the fix in a framework's
    own words. `check` may raise: then the question is open and the run is never called survived.
    """

    id: str
    name: str
    summary: str
    why: str
    fix: str
    fails: str
    passes: str
    source: str
    check: Callable[[Evidence], list[Finding]]
    severity: Severity = Severity.ERROR
    fixes: Mapping[Framework, str] = field(default_factory=dict)

    def fix_for(self, evidence: Evidence) -> str:
        """The fix in the words of the framework that the run shows."""
        return self.fixes.get(framework_of(evidence), self.fix)

    def finding(
        self,
        attempt: int,
        message: str,
        evidence: Mapping[str, Any],
        *,
        severity: Severity | None = None,
        fix: str | None = None,
    ) -> Finding:
        """A finding of this rule, with the rule's own severity and fix unless this case has better ones."""
        return Finding(self.id, self.name, severity or self.severity, attempt, message, fix or self.fix, evidence)
