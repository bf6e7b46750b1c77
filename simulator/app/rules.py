"""What `spot-simulator rules` prints."""

from __future__ import annotations

from simulator.checks import RULES
from simulator.core.errors import UsageError


def explain(rule_id: str | None) -> str:
    """The table of rules, or all of one. Raises UsageError for an unknown id."""
    if rule_id is None:
        return "\n".join(f"{rule.id}  {rule.name:24}  {rule.summary}" for rule in RULES.values())
    rule = RULES.get(rule_id.upper())
    if rule is None:
        raise UsageError(
            f"there is no rule {rule_id!r}", f"the rules are {', '.join(RULES)}", "list them: spot-simulator rules"
        )
    head = f"{rule.id} {rule.name} ({rule.severity})\n\n{rule.summary}"
    return f"{head}\n\nWhy:    {rule.why}\nFix:    {rule.fix}\nSource: {rule.source}"
