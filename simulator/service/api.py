"""The AWS JSON protocol of the operations that are ours: a target and a body in, a status and a JSON body out."""

from __future__ import annotations

import json
import re
import secrets
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.model import OperationModel

from simulator.core.job import REGION
from simulator.service.errors import SerializationException, ServiceError
from simulator.service.operations import TrainingJobs
from simulator.service.shapes import answer_of, checked, sagemaker_model

TARGET = "SageMaker."
TAG_OPERATIONS = ("AddTags", "ListTags", "DeleteTags")
CONTENT_TYPE = "application/x-amz-json-1.1"

_SCOPE = re.compile(r"Credential=[^/,\s]*/\d{8}/([a-z0-9-]+)/")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes
    content_type: str = CONTENT_TYPE
    error: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """Its headers, Content-Length left out."""
        own = {"Content-Type": self.content_type, "x-amzn-RequestId": _request_id()}
        return own | ({"x-amzn-ErrorType": self.error} if self.error else {})


class SageMakerApi:
    """Answers what is ours. `say` hears of errors of our own making."""

    def __init__(self, jobs: TrainingJobs, say: Callable[[str], None]) -> None:
        self._operations, self._say = jobs.by_name, say

    def is_ours(self, target: str, body: bytes) -> bool:
        """Whether a request (its X-Amz-Target) is for us; tags and searches are, where they are of training jobs."""
        name = target.removeprefix(TARGET)
        if not target.startswith(TARGET) or name not in self._operations:
            return False
        if name == "Search":
            return _member(body, "Resource") == "TrainingJob"
        return name not in TAG_OPERATIONS or ":training-job/" in _member(body, "ResourceArn")

    def answer(self, target: str, authorization: str, body: bytes) -> Answer:
        """Carry out a request that `is_ours`; every failure is an answer."""
        name = target.removeprefix(TARGET)
        try:
            model: OperationModel = sagemaker_model().operation_model(name)
            request = checked(model.input_shape, _parsed(body))
            told = self._operations[name](request, region_of(authorization))
            shape = model.output_shape
            return Answer(200, json.dumps(answer_of(shape, told)).encode() if shape is not None else b"")
        except ServiceError as error:
            return failure(error)
        except Exception as error:  # noqa: BLE001 - a bug of ours is an answer too, and told where it can be mended
            self._say("".join(traceback.format_exception(error)))
            return failure(ServiceError(f"{type(error).__name__}: {error}"))


def failure(error: ServiceError) -> Answer:
    """An error as the JSON protocol has it."""
    body = {"__type": error.code, "message": error.message, "Message": error.message}
    return Answer(error.http_status, json.dumps(body).encode(), error=error.code)


def region_of(authorization: str) -> str:
    """The region that a request was signed for."""
    scope = _SCOPE.search(authorization)
    return scope.group(1) if scope and _REGION.fullmatch(scope.group(1)) else REGION


def _parsed(body: bytes) -> Any:
    if not body.strip():
        return {}
    try:
        return json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise SerializationException(f"The body is no JSON: {error}") from None


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def _member(body: bytes, name: str) -> str:
    """A text of a request, empty where it has none of that name."""
    try:
        value = json.loads(body)[name]
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
    return value if isinstance(value, str) else ""


def _request_id() -> str:
    text = secrets.token_hex(16)
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
