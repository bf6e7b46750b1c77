"""Search over training jobs: which descriptions a SearchExpression lets through. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from simulator.service.errors import ValidationException

_MISSING = object()
_ORDERED: Mapping[str, Callable[[Any, Any], bool]] = {
    "GreaterThan": lambda one, other: bool(one > other),
    "GreaterThanOrEqualTo": lambda one, other: bool(one >= other),
    "LessThan": lambda one, other: bool(one < other),
    "LessThanOrEqualTo": lambda one, other: bool(one <= other),
}


def passes(job: Mapping[str, Any], expression: Mapping[str, Any]) -> bool:
    """Whether a job, as `described` below has it, fits. Raises ValidationException for what is not imitated."""
    if expression.get("NestedFilters"):
        raise ValidationException("spot-simulator does not search by NestedFilters; use Filters")
    answers = [_fits(job, each) for each in expression.get("Filters", [])]
    answers += [passes(job, each) for each in expression.get("SubExpressions", [])]
    return any(answers) if answers and expression.get("Operator") == "Or" else all(answers)


def described(description: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, Any]:
    """The properties of a job by the names that a search has for them: its own, `Tags.KEY`, `Metrics.NAME`, and paths
    as in `ResourceConfig.InstanceType`."""
    metrics = {f"Metrics.{each['MetricName']}": each["Value"] for each in description.get("FinalMetricDataList", [])}
    return dict(_paths(description)) | {f"Tags.{key}": value for key, value in tags.items()} | metrics


def sort_value(job: Mapping[str, Any], name: str) -> tuple[bool, Any]:
    """What jobs are sorted by; those without the property come first."""
    value = _instant(job.get(name, _MISSING))
    return (False, "") if value is _MISSING else (True, value)


def _paths(value: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, each in value.items():
        if isinstance(each, Mapping):
            yield from _paths(each, f"{before}{name}.")
        elif not isinstance(each, Sequence) or isinstance(each, str):
            yield f"{before}{name}", each


def _fits(job: Mapping[str, Any], condition: Mapping[str, Any]) -> bool:
    value = job.get(condition["Name"], _MISSING)
    wanted = str(condition.get("Value", ""))
    match operator := condition.get("Operator", "Equals"):
        case "Exists" | "NotExists":
            return bool((value is not _MISSING) == (operator == "Exists"))
        case "NotEquals":
            return value is _MISSING or not _is(value, wanted)
    if value is _MISSING:
        return False
    match operator:
        case "Equals":
            return _is(value, wanted)
        case "In":
            return any(_is(value, each.strip()) for each in wanted.split(","))
        case "Contains":
            return wanted in str(value)
    try:
        return _ORDERED[operator](*_comparable(value, wanted))
    except (TypeError, ValueError) as error:
        raise ValidationException(f"{condition['Name']} cannot be compared with {wanted!r}: {error}") from error


def _is(value: Any, wanted: str) -> bool:
    try:
        one, other = _comparable(value, wanted)
    except ValueError:
        return False
    return bool(one == other)


def _instant(value: Any) -> Any:
    """Instants are texts in a description, and datetimes here."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return value
    return value.replace(tzinfo=value.tzinfo or UTC) if isinstance(value, datetime) else value


def _comparable(value: Any, wanted: str) -> tuple[Any, Any]:
    """A property and a filter's text as two of a kind. Raises ValueError."""
    value = _instant(value)
    if isinstance(value, datetime):
        other = datetime.fromisoformat(wanted)
        return value, other.replace(tzinfo=other.tzinfo or UTC)
    if isinstance(value, bool):
        return str(value).lower(), wanted.lower()
    return (float(value), float(wanted)) if isinstance(value, int | float) else (str(value), wanted)
