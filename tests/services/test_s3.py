"""Which S3 a run gets, and that AWS is never one of them unasked."""

from __future__ import annotations

import pytest

from simulator.core.errors import EnvironmentFailure, UsageError
from simulator.services.moto import EmbeddedMoto
from simulator.services.s3 import S3Kind, open_s3


def test_another_s3_is_used_as_it_is() -> None:
    with EmbeddedMoto() as other, open_s3(S3Kind.EMBEDDED, endpoint=other.endpoint_url) as service:
        assert service.endpoint == other.endpoint_url
        service.check()
        assert service.store("my-bucket", "job").list() == []
    assert not other.is_alive()


def test_another_s3_is_not_closed_with_the_run() -> None:
    with EmbeddedMoto() as other:
        open_s3(S3Kind.EMBEDDED, endpoint=other.endpoint_url).close()
        assert other.is_alive()


@pytest.mark.parametrize("endpoint", ["https://s3.us-east-1.amazonaws.com", "nonsense"])
def test_an_endpoint_of_awss_is_refused_without_leave(endpoint: str) -> None:
    with pytest.raises(UsageError):
        open_s3(S3Kind.EMBEDDED, endpoint=endpoint)


def test_another_s3s_credentials_come_from_our_own_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the-users-aws-key")
    monkeypatch.setenv("SPOT_SIMULATOR_S3_ACCESS_KEY", "minioadmin")
    seen: list[str] = []
    with EmbeddedMoto() as other, open_s3(S3Kind.EMBEDDED, endpoint=other.endpoint_url) as service:
        service.client.meta.events.register(
            "before-send.s3", lambda request, **_: seen.append(str(request.headers["Authorization"]))
        )
        service.client.list_buckets()
    assert "minioadmin" in seen[0]


def test_a_bucket_is_made_once_and_found_again() -> None:
    with open_s3(S3Kind.EMBEDDED) as service:
        service.store("my-bucket", "a")
        service.store("my-bucket", "b")
        assert [bucket["Name"] for bucket in service.client.list_buckets()["Buckets"]] == ["my-bucket"]


def test_an_s3_that_does_not_answer_is_an_environment_failure() -> None:
    with (
        open_s3(S3Kind.EMBEDDED, endpoint="http://127.0.0.1:9") as service,
        pytest.raises(EnvironmentFailure, match="bucket"),
    ):
        service.store("my-bucket", "job")
