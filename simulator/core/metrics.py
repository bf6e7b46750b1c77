"""Numbers read from log lines, by SageMaker's own MetricDefinitions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from simulator.core.errors import UsageError
from simulator.core.job import MetricDefinition

DEFAULT_METRICS: Sequence[MetricDefinition] = (
    MetricDefinition("step", r"(?i)\b(?:global[_ ]?)?step[s]?\s*[=: ]\s*(\d+)"),
    MetricDefinition("epoch", r"(?i)\bepoch\s*[=: ]\s*(\d+)"),
    MetricDefinition("loss", r"(?i)(?<![\w])loss\s*[=: ]\s*([-+]?[0-9.]+(?:e[-+]?\d+)?|nan|inf)"),
)
"""Tried on every line when the user names none: `step=12`, `Epoch 3/10`, `loss: 0.53`."""


@dataclass(frozen=True)
class Reading:
    """One number that a log line gave."""

    name: str
    value: float


class MetricReader:
    """Compiled MetricDefinitions. Raises UsageError for an expression without exactly one group."""

    def __init__(self, definitions: Iterable[MetricDefinition]) -> None:
        self._compiled = [(d.Name, _compile(d)) for d in definitions]

    def read(self, line: str) -> list[Reading]:
        """Every definition's first match on the line; what is not a number is left out, as CloudWatch does."""
        readings = []
        for name, pattern in self._compiled:
            match = pattern.search(line)
            if match is None:
                continue
            try:
                readings.append(Reading(name, float(match.group(1))))
            except (TypeError, ValueError):
                continue
        return readings


def _compile(definition: MetricDefinition) -> re.Pattern[str]:
    try:
        pattern = re.compile(definition.Regex)
    except re.error as error:
        raise _unusable(definition, str(error)) from error
    if pattern.groups != 1:
        raise _unusable(definition, f"it has {pattern.groups} groups")
    return pattern


def _unusable(definition: MetricDefinition, why: str) -> UsageError:
    return UsageError(
        f"the metric {definition.Name!r} has an unusable expression {definition.Regex!r}",
        f"a MetricDefinition's Regex needs exactly one group, and {why}",
        r"write for example --metric 'step=step=(\d+)'",
    )
