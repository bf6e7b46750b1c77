"""The client that talks to S3: which endpoint, whose credentials, and what its errors mean for a person."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, IncompleteReadError
from botocore.session import Session as BotocoreSession

from simulator.checkpoints.store import StoreUnavailable
from simulator.core.errors import EnvironmentFailure, UsageError
from simulator.core.job import REGION

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

DUMMY_CREDENTIAL = "testing"  # moto's documented placeholder
READ_SECONDS = 300.0  # moto joins a large multipart upload before it answers
PASSING = frozenset({"SlowDown", "RequestTimeout", "RequestTimeTooSkewed", "PriorRequestNotComplete"})
"""Errors below 500 that another try may not meet ("Error responses", Amazon S3 API Reference). A wrong clock is one of
them: it is put right while the job runs, or else the last try says so."""
NEXT_STEPS = {
    "RequestTimeTooSkewed": "set this machine's clock: timedatectl set-ntp true",
    "AccessDenied": "see what the credentials may do there: s3:GetObject, PutObject, DeleteObject, ListBucket",
    "NoSuchBucket": "start the run again: the bucket was there when it began, so that S3 was emptied or restarted",
}
_AWS_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".amazonaws.eu")


def make_s3_client(
    endpoint_url: str | None,
    *,
    allow_aws: bool = False,
    access_key: str = DUMMY_CREDENTIAL,
    secret_key: str = DUMMY_CREDENTIAL,
    read_seconds: float = READ_SECONDS,
) -> S3Client:
    """A client for the S3 at `endpoint_url`, or for AWS itself when that is None.

    Without `allow_aws` no profile, credential or configuration file of the user is read, no proxy and no instance
    metadata is asked, and an endpoint of AWS's is refused. `read_seconds`: how long an answer is waited for.
    Raises UsageError.
    """
    config: dict[str, Any] = {
        "max_pool_connections": 32,
        "connect_timeout": 5,
        "read_timeout": read_seconds,
        "retries": {"mode": "standard", "total_max_attempts": 3},
        # The checksums and signatures of bodies cost more CPU than sending them; HTTPS covers AWS itself.
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
        "s3": {"payload_signing_enabled": False, **({"addressing_style": "path"} if endpoint_url else {})},
    }
    if allow_aws:
        session = boto3.session.Session()
        return session.client("s3", endpoint_url=endpoint_url, config=Config(**config))
    refuse_aws(endpoint_url)
    config |= {"proxies": {}, "use_fips_endpoint": False, "use_dualstack_endpoint": False}
    return boto3.session.Session(botocore_session=_session_that_reads_nothing()).client(
        "s3",
        region_name=REGION,
        endpoint_url=endpoint_url,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(**config),
    )


def refuse_aws(endpoint_url: str | None) -> None:
    """Raise UsageError unless `endpoint_url` is an http(s) URL of somewhere else than AWS."""
    if endpoint_url is None:
        raise UsageError(
            "no S3 endpoint was given",
            "without one the requests would go to AWS",
            "give --s3-endpoint URL, or --allow-aws if you mean your AWS account",
        )
    try:
        url = urlsplit(endpoint_url)
        host = (url.hostname or "").rstrip(".").lower()
        understood = url.scheme in ("http", "https") and bool(host) and (url.port is None or url.port > 0)
    except ValueError:
        understood = False
    if not understood:
        raise UsageError(
            f"{endpoint_url!r} is no S3 endpoint",
            "an endpoint is http://HOST:PORT or https://HOST",
            "use for example --s3-endpoint http://127.0.0.1:9000",
        )
    if host.endswith(_AWS_DOMAINS) or "." + host in _AWS_DOMAINS:
        raise UsageError(
            f"{endpoint_url} belongs to AWS",
            "nothing is sent to AWS unless you ask for it",
            "leave --s3-endpoint out to use moto, or add --allow-aws",
        )


def ensure_bucket(client: S3Client, bucket: str) -> None:
    """Make the bucket unless it is there. Raises EnvironmentFailure."""
    with s3_errors(client, f"the bucket {bucket!r} cannot be made"):
        try:
            client.head_bucket(Bucket=bucket)
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") != 404:
                raise
            client.create_bucket(Bucket=bucket)


@contextmanager
def s3_errors(client: S3Client, what: str) -> Iterator[None]:
    """Within, the client's errors become EnvironmentFailure with `what` as what happened; StoreUnavailable where the
    same request may succeed later."""
    try:
        yield
    except ClientError as error:
        details = error.response.get("Error", {})
        code = str(details.get("Code", "?"))
        raise _failure(_may_pass(error))(
            what,
            f"the S3 at {client.meta.endpoint_url} answered {code}: {details.get('Message', '')}",
            NEXT_STEPS.get(code, "check the bucket, the credentials and the free space of that S3"),
        ) from error
    except BotoCoreError as error:
        raise _failure(isinstance(error, HTTPClientError | IncompleteReadError))(
            what,
            f"the S3 at {client.meta.endpoint_url} does not answer: {error}",
            f"see whether it runs: curl {client.meta.endpoint_url}",
        ) from error


def _failure(may_pass: bool) -> type[EnvironmentFailure]:
    return StoreUnavailable if may_pass else EnvironmentFailure


def _may_pass(error: ClientError) -> bool:
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
    code = str(error.response.get("Error", {}).get("Code"))
    return status >= 500 or status == 429 or code in PASSING


def _session_that_reads_nothing() -> BotocoreSession:
    """A session whose profile and files are nowhere: an AWS_PROFILE of the user's must neither count nor fail."""
    return BotocoreSession(
        session_vars={
            "profile": (None, None, None, None),
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
            "ca_bundle": ("ca_bundle", "AWS_CA_BUNDLE", None, None),
        }
    )
