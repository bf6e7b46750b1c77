"""Which hosts are whose, and what a person reads of them."""

import pytest

from simulator.service.hosts import AnsweredBy, HostLedger, describe, is_aws, is_loopback, is_sagemaker_api


@pytest.mark.parametrize(
    ("host", "aws", "sagemaker"),
    [
        ("api.sagemaker.eu-west-1.amazonaws.com", True, True),
        ("api-fips.sagemaker.us-east-1.amazonaws.com", True, True),
        ("API.SAGEMAKER.CN-NORTH-1.AMAZONAWS.COM.CN.", True, True),
        ("runtime.sagemaker.us-east-1.amazonaws.com", True, False),
        ("sts.amazonaws.com", True, False),
        ("bucket.s3.dualstack.us-east-1.amazonaws.com", True, False),
        ("amazonaws.com.example.org", False, False),
        ("notamazonaws.com", False, False),
        ("api.sagemaker.us-east-1.amazonaws.com.example.org", False, False),
    ],
)
def test_a_host_is_aws_by_the_end_of_its_name(host: str, aws: bool, sagemaker: bool) -> None:
    assert (is_aws(host), is_sagemaker_api(host)) == (aws, sagemaker)


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("[::1]", True),
        ("localhost", True),
        ("a.localhost", True),
        ("127.0.0.1.example.org", False),
        ("localhost.example.org", False),
        ("10.0.0.1", False),
    ],
)
def test_loopback_is_told_without_looking_a_name_up(host: str, is_here: bool) -> None:
    assert is_loopback(host) is is_here


def test_a_host_is_counted_by_who_answered() -> None:
    ledger = HostLedger()
    for host, by in [
        ("Example.com", AnsweredBy.NOBODY),
        ("iam.amazonaws.com", AnsweredBy.MOTO),
        ("iam.amazonaws.com", AnsweredBy.SIMULATOR),
        ("iam.amazonaws.com", AnsweredBy.MOTO),
    ]:
        ledger.note(host, by)
    assert ledger.rows() == [
        ("iam.amazonaws.com", AnsweredBy.MOTO, 2),
        ("iam.amazonaws.com", AnsweredBy.SIMULATOR, 1),
        ("example.com", AnsweredBy.NOBODY, 1),
    ]


def test_what_was_refused_is_told_with_what_lets_it_through() -> None:
    refused = [("example.com", AnsweredBy.NOBODY, 2), ("x.amazonaws.com", AnsweredBy.NOBODY, 1)]
    theirs, aws = describe(refused)
    assert "--allow-host example.com" in theirs
    assert "--allow-host" not in aws and "never reached" in aws
