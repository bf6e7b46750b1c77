"""The environment in which launch code meets this machine in AWS's place. Pure, but for the SDK's file of settings."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from simulator.checkpoints.s3_client import DUMMY_CREDENTIAL
from simulator.core.job import REGION

NOTHING = os.devnull
NO_PROXY = "127.0.0.1,localhost,::1"
_TELEMETRY_OFF = """\
SchemaVersion: '1.0'
SageMaker:
  PythonSDK:
    Modules:
      TelemetryOptOut: true
"""
_BUNDLES = (
    "AWS_CA_BUNDLE",  # botocore and the AWS CLI
    "REQUESTS_CA_BUNDLE",  # requests, as SDK v2 and v3 use it
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",  # OpenSSL, Go: Terraform
    "NODE_EXTRA_CA_CERTS",
)
TAKEN_AWAY = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
)
"""What would name real credentials, or another place to get them from."""


def write_sdk_settings(folder: Path) -> Path:
    """The SageMaker SDK's settings file that turns its telemetry off: it has no variable for that."""
    file = folder / "sagemaker-config.yaml"
    file.write_text(_TELEMETRY_OFF)
    return file


def client_variables(
    endpoint: str, proxy: str, bundle: Path, sdk_settings: Path, before: Mapping[str, str]
) -> dict[str, str]:
    """What to set. `endpoint` and `proxy` are URLs on loopback, `bundle` the authorities to trust, `before` the
    environment as it is: a region that it names stays.

    The credentials are no credentials; files with real ones are not found.
    """
    region = before.get("AWS_REGION") or before.get("AWS_DEFAULT_REGION") or REGION
    variables = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": DUMMY_CREDENTIAL,
        "AWS_SECRET_ACCESS_KEY": DUMMY_CREDENTIAL,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_CONFIG_FILE": NOTHING,
        "AWS_SHARED_CREDENTIALS_FILE": NOTHING,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_PAGER": "",
        "SAGEMAKER_ADMIN_CONFIG_OVERRIDE": before.get("SAGEMAKER_ADMIN_CONFIG_OVERRIDE") or str(sdk_settings),
    }
    variables |= {name: str(bundle) for name in _BUNDLES}
    for name, value in {"HTTPS_PROXY": proxy, "HTTP_PROXY": proxy, "NO_PROXY": NO_PROXY}.items():
        variables |= {name: value, name.lower(): value}  # some clients read the one, some the other
    return variables


def changed(before: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """An environment with these set, and without what would lead past them."""
    own_endpoints = {name for name in before if name.startswith("AWS_ENDPOINT_URL_")}
    return {
        name: value for name, value in before.items() if name not in TAKEN_AWAY and name not in own_endpoints
    } | dict(variables)


def set_aside(environment: MutableMapping[str, str]) -> dict[str, str]:
    """Take out of a server's own environment what says something of AWS, and return the environment as it was.

    botocore, which moto lives on, would heed a profile, a region or an endpoint of the user's in the server, too.
    """
    before = dict(environment)
    for name in before:
        if name.startswith(("AWS_", "MOTO_")):
            del environment[name]
    environment.update(AWS_CONFIG_FILE=NOTHING, AWS_SHARED_CREDENTIALS_FILE=NOTHING)
    return before


def exports(variables: Mapping[str, str]) -> str:
    """Lines for a shell to evaluate: `eval "$(spot-simulator env)"`."""
    lines = [f"unset {' '.join(TAKEN_AWAY)}"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    return "\n".join(lines)
