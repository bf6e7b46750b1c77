"""The answers that moto's IAM lacks, as botocore reads them, by both ways in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError
from moto.backends import get_backend

from simulator.service.iam import ExecutionRoles, MissingRoles, answer_iam
from tests.service.both_ways import Served, served


@pytest.fixture(params=["endpoint", "proxy"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def said() -> Iterator[list[str]]:
    yield []
    get_backend("iam").reset()


@pytest.fixture
def here(said: list[str]) -> Iterator[Served]:
    with served([answer_iam(ExecutionRoles(MissingRoles.CREATE, said.append))]) as found:
        yield found


def test_every_action_is_allowed(here: Served, way: str) -> None:
    answer = here.client("iam", way).simulate_principal_policy(
        PolicySourceArn="arn:aws:iam::123456789012:role/Mine",
        ActionNames=["s3:PutObject", "s3:GetObject"],
        ResourceArns=["arn:aws:s3:::a&b/*"],
    )
    assert [
        (one["EvalActionName"], one["EvalResourceName"], one["EvalDecision"]) for one in answer["EvaluationResults"]
    ] == [
        ("s3:PutObject", "arn:aws:s3:::a&b/*", "allowed"),
        ("s3:GetObject", "arn:aws:s3:::a&b/*", "allowed"),
    ]


def test_a_role_that_a_client_names_is_made_once_and_trusts_sagemaker(here: Served, way: str, said: list[str]) -> None:
    client = here.client("iam", way)
    role, again = (client.get_role(RoleName="Named")["Role"] for _ in range(2))
    principals = [each["Principal"] for each in role["AssumeRolePolicyDocument"]["Statement"]]
    assert principals == [{"Service": "sagemaker.amazonaws.com"}]
    assert role["RoleId"] == again["RoleId"]
    assert len(said) == 1 and "role Named: made" in said[0]


def test_a_role_with_a_path_keeps_it(here: Served) -> None:
    arn = "arn:aws:iam::123456789012:role/service-role/AmazonSageMaker-ExecutionRole"
    client = here.client("iam", "endpoint")
    client.simulate_principal_policy(PolicySourceArn=arn, ActionNames=["s3:PutObject"])
    assert client.get_role(RoleName="AmazonSageMaker-ExecutionRole")["Role"]["Arn"] == arn


def test_roles_are_left_as_they_are_where_that_is_asked_for(said: list[str]) -> None:
    roles = ExecutionRoles(MissingRoles.LEAVE, said.append)
    with served([answer_iam(roles)]) as here, pytest.raises(ClientError, match="NoSuchEntity"):
        here.client("iam", "endpoint").get_role(RoleName="Nobody")
    assert said == []


def test_other_requests_are_motos(here: Served, way: str) -> None:
    here.client("iam", way).create_user(UserName="someone")
    assert [user["UserName"] for user in here.client("iam", "endpoint").list_users()["Users"]] == ["someone"]
