"""What moto's IAM lacks for launch code: SimulatePrincipalPolicy, and the execution role that a client names.

SDK v3's ModelTrainer asks both before CreateTrainingJob: whether the role may do what a job needs, and whether its
trust policy names SageMaker. The answers here are: it may, and it does. Whether a role of yours really may is decided
by AWS; nothing here knows your policies.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable
from enum import StrEnum
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from simulator.core.job import ACCOUNT_ID
from simulator.service.api import Answer
from simulator.service.application import Environ, Interceptor, take_body
from simulator.service.hosts import is_iam

_NAMESPACE = "https://iam.amazonaws.com/doc/2010-05-08/"
_DESCRIPTION = "made by spot-simulator, as a client named it"
TRUST_POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


class MissingRoles(StrEnum):
    """--missing-roles: what happens where a client names a role that is not there."""

    CREATE = "create"
    LEAVE = "leave"


class ExecutionRoles:
    """The roles in moto's IAM, made as clients name them. Any thread may ask."""

    def __init__(self, missing: MissingRoles, say: Callable[[str], None]) -> None:
        self._missing, self._say = missing, say
        self._lock = threading.Lock()

    def provide(self, role: str) -> None:
        """See that a role exists; `role` is its name or ARN. What is no role's is left alone."""
        resource = role.rpartition(":")[2] if role.startswith("arn:") else f"role/{role}"
        kind, _, path_and_name = resource.partition("/")
        if self._missing is MissingRoles.LEAVE or kind != "role" or not path_and_name:
            return
        path, _, name = f"/{path_and_name}".rpartition("/")
        with self._lock:
            if _create_where_missing(name, f"{path}/"):
                self._say(
                    f"role {name}: made, with a trust policy for sagemaker.amazonaws.com; AWS would want it to exist "
                    "(--missing-roles leave)"
                )


def _create_where_missing(name: str, path: str) -> bool:
    from moto.iam.models import iam_backends

    backend = iam_backends[ACCOUNT_ID]["aws"]
    if any(role.name == name for role in backend.get_roles()):
        return False
    backend.create_role(
        role_name=name,
        assume_role_policy_document=json.dumps(TRUST_POLICY),
        path=path,
        permissions_boundary=None,
        description=_DESCRIPTION,
        tags=[],
        max_session_duration="3600",
    )
    return True


def answer_iam(roles: ExecutionRoles) -> Interceptor:
    """Answers SimulatePrincipalPolicy; makes the role that GetRole asks for, which moto then answers."""

    def answer(environ: Environ) -> Answer | None:
        if not _may_be_iam(environ):
            return None
        said = {name: values[0] for name, values in parse_qs(take_body(environ).decode("utf-8", "replace")).items()}
        if said.get("Action") == "GetRole":
            roles.provide(said.get("RoleName", ""))
        if said.get("Action") != "SimulatePrincipalPolicy":
            return None
        roles.provide(said.get("PolicySourceArn", ""))
        return Answer(200, _all_allowed(said).encode(), "text/xml")

    return answer


def _may_be_iam(environ: Environ) -> bool:
    """By the service that the request was signed for, or, through the proxy, by the host as well."""
    if not str(environ.get("CONTENT_TYPE", "")).startswith("application/x-www-form-urlencoded"):
        return False
    signed_for_iam = "/iam/aws4_request" in str(environ.get("HTTP_AUTHORIZATION", ""))
    return signed_for_iam or is_iam(str(environ.get("HTTP_HOST", "")))


def _all_allowed(said: dict[str, str]) -> str:
    actions = _members(said, "ActionNames")
    resources = _members(said, "ResourceArns") or ["*"]
    results = "".join(
        f"<member><EvalActionName>{escape(action)}</EvalActionName><EvalResourceName>{escape(resource)}"
        "</EvalResourceName><EvalDecision>allowed</EvalDecision><MatchedStatements/><MissingContextValues/></member>"
        for action in actions
        for resource in resources
    )
    return (
        f'<SimulatePrincipalPolicyResponse xmlns="{_NAMESPACE}"><SimulatePrincipalPolicyResult>'
        f"<IsTruncated>false</IsTruncated><EvaluationResults>{results}</EvaluationResults>"
        f"</SimulatePrincipalPolicyResult><ResponseMetadata><RequestId>{_request_id()}</RequestId></ResponseMetadata>"
        "</SimulatePrincipalPolicyResponse>"
    )


def _members(said: dict[str, str], name: str) -> list[str]:
    """The query protocol's list: NAME.member.1, NAME.member.2 …"""
    found: list[str] = []
    while (value := said.get(f"{name}.member.{len(found) + 1}")) is not None:
        found.append(value)
    return found


def _request_id() -> str:
    return f"{secrets.token_hex(4)}-{secrets.token_hex(2)}-4{secrets.token_hex(6)}"
