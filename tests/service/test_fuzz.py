"""Requests made of botocore's shapes, right and wrong: none ever gets a 500, and every answer is the model's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.parsers import create_parser
from botocore.validate import ParamValidator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.service.api import Answer
from simulator.service.server import Server
from simulator.service.shapes import sagemaker_model
from tests.service.serving import at_once, request, serving

OPERATIONS = (
    "CreateTrainingJob",
    "DescribeTrainingJob",
    "ListTrainingJobs",
    "StopTrainingJob",
    "UpdateTrainingJob",
    "DeleteTrainingJob",
    "AddTags",
    "ListTags",
    "DeleteTags",
    "Search",
)
CODES = {
    "ValidationException",
    "SerializationException",
    "ResourceNotFound",
    "ResourceInUse",
    "ResourceLimitExceeded",
}
FEW = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
ARN = "arn:aws:sagemaker:us-east-1:123456789012:training-job/"
WORDS = ["a-job", "s3://bucket/prefix", "s3://b", "", "x" * 70, f"{ARN}a-job", f"{ARN}", "file", "\u2603", "\ud800"]
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from(WORDS)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server"), at_once) as running:
        yield running


def fitting(shape: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values of a shape's type; mostly within its constraints, and now and then anything."""
    return st.one_of(_typed(shape, depth), _typed(shape, depth), _typed(shape, depth), ANYTHING)


def _typed(shape: Any, depth: int) -> st.SearchStrategy[Any]:
    match shape.type_name:
        case "structure":
            if depth > 3:
                return st.just({})
            members = {
                name: st.deferred(lambda m=member: fitting(m, depth + 1)) for name, member in shape.members.items()
            }
            required = {name: members.pop(name) for name in shape.required_members}
            return st.fixed_dictionaries(required, optional=members)
        case "list":
            return st.lists(fitting(shape.member, depth + 1), max_size=3)
        case "map":
            return st.dictionaries(st.text(max_size=8), fitting(shape.value, depth + 1), max_size=3)
        case "string":
            return st.sampled_from([*(getattr(shape, "enum", None) or []), *WORDS])
        case "boolean":
            return st.booleans()
        case "integer" | "long":
            return st.integers(-2, 100) | st.integers(-(2**70), 2**70)
    return st.integers(0, 2_000_000_000) | st.floats()


def holds(server: Server, operation: str, body: bytes) -> None:
    """Ask, and hold the answer to the model."""
    answer: Answer = server.application.api.answer(f"SageMaker.{operation}", "", body)
    model = sagemaker_model().operation_model(operation)
    parsed = create_parser("json").parse(
        {"status_code": answer.status, "headers": answer.headers, "body": answer.body}, model.output_shape
    )
    if answer.status == 200:
        parsed.pop("ResponseMetadata", None)
        if model.output_shape is not None:
            report = ParamValidator().validate(parsed, model.output_shape)
            assert not report.has_errors(), report.generate_report()
    else:
        assert answer.status == 400
        assert parsed["Error"]["Code"] in CODES
        assert parsed["Error"]["Message"]


@FEW
@given(st.sampled_from(OPERATIONS).flatmap(lambda name: st.tuples(st.just(name), _request_of(name))))
def test_no_request_of_the_models_shapes_gets_a_500(server: Server, asked: tuple[str, Any]) -> None:
    operation, body = asked
    holds(server, operation, json.dumps(body).encode())


@FEW
@given(st.sampled_from(OPERATIONS), ANYTHING)
def test_no_body_whatever_gets_a_500(server: Server, operation: str, body: Any) -> None:
    holds(server, operation, json.dumps(body).encode())


@FEW
@given(st.sampled_from(OPERATIONS), st.binary(max_size=60))
def test_no_bytes_whatever_get_a_500(server: Server, operation: str, body: bytes) -> None:
    holds(server, operation, body)


@FEW
@given(st.data())
def test_a_good_request_with_one_member_changed_gets_no_500(server: Server, data: st.DataObject) -> None:
    asked = request("a-job")
    shape = sagemaker_model().operation_model("CreateTrainingJob").input_shape
    name = data.draw(st.sampled_from(sorted(shape.members)))
    asked[name] = data.draw(fitting(shape.members[name]))
    holds(server, "CreateTrainingJob", json.dumps(asked).encode())


def _request_of(operation: str) -> st.SearchStrategy[Any]:
    return _typed(sagemaker_model().operation_model(operation).input_shape, 0)
