"""Requests and answers by botocore's model of the service: what has the wrong type, what breaks a constraint.

The texts are the service's: "1 validation error detected: Value … at '…' failed to satisfy constraint: …".
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from botocore.model import ServiceModel
from botocore.session import Session

from simulator.service.errors import SerializationException, ValidationException

MAX_DEPTH = 40
AnyShape = Any  # botocore's Shape: which attributes it has depends on its type_name


@cache
def sagemaker_model() -> ServiceModel:
    """SageMaker as the installed botocore has it."""
    return Session().get_service_model("sagemaker")


def description_of(described: object) -> dict[str, Any]:
    """DescribeTrainingJob's answer as JSON."""
    shape = sagemaker_model().operation_model("DescribeTrainingJob").output_shape
    answer: dict[str, Any] = answer_of(shape, described)
    return answer


def checked(shape: AnyShape, value: object) -> dict[str, Any]:
    """The request with its types as the model has them, members that the model does not know left out, as the service
    leaves them. Raises SerializationException for wrong types and ValidationException for broken constraints."""
    parsed = _typed(shape, value, 0)
    broken = list(_broken(shape, parsed, ""))
    if broken:
        errors = "error" if len(broken) == 1 else "errors"
        raise ValidationException(f"{len(broken)} validation {errors} detected: {'; '.join(broken)}")
    assert isinstance(parsed, dict)
    return parsed


def answer_of(shape: AnyShape, value: Any, seconds_are: float = 1) -> Any:
    """An answer as JSON: the model's members alone, those that are None left out, instants as epoch seconds, each
    counted as `seconds_are` (1000: milliseconds)."""
    match shape.type_name:
        case "structure":
            members = shape.members
            return {
                name: answer_of(members[name], value[name], seconds_are)
                for name in members
                if isinstance(value, Mapping) and value.get(name) is not None
            }
        case "list":
            return [answer_of(shape.member, item, seconds_are) for item in value]
        case "map":
            return {str(key): answer_of(shape.value, item, seconds_are) for key, item in value.items()}
        case "timestamp":
            moment = round(_epoch(value), 3)
            return moment if seconds_are == 1 else int(moment * seconds_are)
        case "string":
            return str(value)
        case "integer" | "long":
            return int(value)
    return value


def _epoch(value: Any) -> float:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value.timestamp() if isinstance(value, datetime) else float(value)


def _structure(shape: AnyShape, value: object, depth: int) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SerializationException(f"{_json_name(value)} can not be converted to a structure")
    return {
        name: _typed(member, value[name], depth + 1)
        for name, member in shape.members.items()
        if value.get(name) is not None
    }


def _map(shape: AnyShape, value: object, depth: int) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SerializationException(f"{_json_name(value)} can not be converted to a Map")
    return {key: _typed(shape.value, item, depth + 1) for key, item in value.items() if item is not None}


def _list(shape: AnyShape, value: object, depth: int) -> list[Any]:
    if not isinstance(value, list):
        raise SerializationException(f"{_json_name(value)} can not be converted to a List")
    return [_typed(shape.member, item, depth + 1) for item in value if item is not None]


def _string(shape: AnyShape, value: object, depth: int) -> str:
    if not isinstance(value, str):
        raise SerializationException(f"{_json_name(value)} can not be converted to a String")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise SerializationException("a String holds half of a surrogate pair") from None
    return value


def _boolean(shape: AnyShape, value: object, depth: int) -> bool:
    if not isinstance(value, bool):
        raise SerializationException(f"{_json_name(value)} can not be converted to a Boolean")
    return value


def _whole(shape: AnyShape, value: object, depth: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value or abs(value) >= 2**63:
        raise SerializationException(f"{_json_name(value)} can not be converted to an {shape.type_name.title()}")
    if shape.type_name == "integer" and abs(value) >= 2**31:
        raise SerializationException("NUMBER_VALUE is out of the range of an Integer")
    return int(value)


def _number(shape: AnyShape, value: object, depth: int) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 1e300 or value != value:
        raise SerializationException(f"{_json_name(value)} can not be converted to a {shape.type_name.title()}")
    return float(value)


def _timestamp(shape: AnyShape, value: object, depth: int) -> float:
    seconds = _number(shape, value, depth)
    if not -62_000_000_000 < seconds < 250_000_000_000:
        raise SerializationException("NUMBER_VALUE is no instant")
    return seconds


def _blob(shape: AnyShape, value: object, depth: int) -> bytes:
    try:
        return base64.b64decode(_string(shape, value, depth), validate=True)
    except ValueError:
        raise SerializationException("STRING_VALUE is no base64") from None


_READERS: dict[str, Callable[[AnyShape, object, int], Any]] = {
    "structure": _structure,
    "map": _map,
    "list": _list,
    "string": _string,
    "boolean": _boolean,
    "integer": _whole,
    "long": _whole,
    "float": _number,
    "double": _number,
    "timestamp": _timestamp,
    "blob": _blob,
}


def _typed(shape: AnyShape, value: object, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise SerializationException("the request is nested too deeply")
    return _READERS[shape.type_name](shape, value, depth)


def _json_name(value: object) -> str:
    match value:
        case None:
            return "NULL_VALUE"
        case bool():
            return "TRUE_VALUE" if value else "FALSE_VALUE"
        case int() | float():
            return "NUMBER_VALUE"
        case str():
            return "STRING_VALUE"
        case dict():
            return "START_OBJECT"
    return "START_ARRAY"


def _broken(shape: AnyShape, value: Any, at: str) -> Iterator[str]:
    """Every constraint that a value breaks, with the path as the service writes it: camelCase, list items by number."""
    match shape.type_name:
        case "structure":
            for name in shape.required_members:
                if name not in value:
                    yield _says("null", _member(at, name), "Member must not be null", quoted=False)
            for name, item in value.items():
                yield from _broken(shape.members[name], item, _member(at, name))
        case "list":
            yield from _size(shape, len(value), "[...]", at)
            for number, item in enumerate(value, 1):
                yield from _broken(shape.member, item, f"{at}.{number}.member")
        case "map":
            yield from _size(shape, len(value), "{...}", at)
            for key, item in value.items():
                for problem in _broken(shape.key, key, ""):
                    yield _says(
                        key, at, "Map keys must satisfy constraint: [" + problem.partition("constraint: ")[2] + "]"
                    )
                yield from _broken(shape.value, item, f"{at}.{key[:60]}.member")
        case "string":
            yield from _string_constraints(shape, value, at)
        case "integer" | "long" | "float" | "double":
            low, high = shape.metadata.get("min"), shape.metadata.get("max")
            if low is not None and value < low:
                yield _says(value, at, f"Member must have value greater than or equal to {low}")
            if high is not None and value > high:
                yield _says(value, at, f"Member must have value less than or equal to {high}")


def _string_constraints(shape: AnyShape, value: str, at: str) -> Iterator[str]:
    yield from _size(shape, len(value), value, at)
    allowed = getattr(shape, "enum", None)
    if allowed and value not in allowed:
        yield _says(value, at, f"Member must satisfy enum value set: [{', '.join(allowed)}]")
    pattern = shape.metadata.get("pattern")
    if pattern is not None and len(value) <= shape.metadata.get("max", 1 << 16):
        compiled = _compiled(pattern)
        if compiled is not None and compiled.fullmatch(value) is None:
            yield _says(value, at, f"Member must satisfy regular expression pattern: {pattern}")


def _size(shape: AnyShape, size: int, shown: str, at: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < low:
        yield _says(shown, at, f"Member must have length greater than or equal to {low}")
    if high is not None and size > high:
        yield _says(shown, at, f"Member must have length less than or equal to {high}")


@cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """The model's patterns are Java's; its classes of Unicode are replaced by wider ones of Python's. None where one
    still cannot be read: then nothing is refused for it."""
    for name, ours in ((r"\p{L}", r"\w"), (r"\p{Z}", r"\s"), (r"\p{N}", r"\d"), (r"\p{M}", ""), (r"\p{S}", r"\w")):
        pattern = pattern.replace(name, ours)
    try:
        return re.compile(pattern)
    except re.error:
        return None


def _says(value: object, at: str, constraint: str, quoted: bool = True) -> str:
    shown = f"'{str(value)[:200]}'" if quoted else str(value)
    return f"Value {shown} at '{at}' failed to satisfy constraint: {constraint}"


def _member(at: str, name: str) -> str:
    own = name[0].lower() + name[1:]
    return f"{at}.{own}" if at else own
