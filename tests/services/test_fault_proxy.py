"""The layer that does harm on the way to S3: what it hands on is untouched, and each harm is what its name says."""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from simulator.checkpoints.s3_client import make_s3_client
from simulator.services.fault_proxy import FaultProxy, Pace
from simulator.services.moto import EmbeddedMoto
from simulator.services.s3 import S3Kind, S3Service, open_s3
from simulator.services.wire_faults import Harm, WireFault, WirePlan

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

MIB = 1 << 20


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Service]:
    with open_s3(S3Kind.EMBEDDED) as service:
        yield service


@pytest.fixture
def bucket(s3: S3Service) -> str:
    name = f"test-{uuid.uuid4().hex}"
    s3.client.create_bucket(Bucket=name)
    return name


@contextmanager
def through(s3: S3Service, *faults: WireFault, attempts: int = 1) -> Iterator[tuple[S3Client, WirePlan]]:
    """A client whose requests pass the layer, and that makes so many attempts of its own."""
    plan = WirePlan(faults)
    assert s3.endpoint is not None
    with FaultProxy(s3.endpoint, plan) as proxy:
        client = make_s3_client(proxy.endpoint_url, read_seconds=0.5 if attempts == 1 else 30)
        if attempts == 1:
            client.meta.events.register_first("needs-retry.s3.*", lambda **_: False)
        try:
            yield client, plan
        finally:
            client.close()


def test_what_is_not_harmed_arrives_as_it_was_sent(s3: S3Service, bucket: str) -> None:
    content = os.urandom(3 * MIB + 7)
    with through(s3, attempts=3) as (client, plan):
        client.put_object(Bucket=bucket, Key="a/ä b+c", Body=content, Metadata={"said": "so"})
        answer = client.get_object(Bucket=bucket, Key="a/ä b+c")
        assert answer["Body"].read() == content
        assert answer["Metadata"] == {"said": "so"}
        assert client.head_object(Bucket=bucket, Key="a/ä b+c")["ContentLength"] == len(content)
        assert [item["Key"] for item in client.list_objects_v2(Bucket=bucket)["Contents"]] == ["a/ä b+c"]
        client.delete_object(Bucket=bucket, Key="a/ä b+c")
    assert "Contents" not in s3.client.list_objects_v2(Bucket=bucket)
    assert plan.operations == dict.fromkeys(
        ("PutObject", "GetObject", "HeadObject", "ListObjectsV2", "DeleteObject"), 1
    )


def test_an_upload_in_parts_is_told_by_its_operations(s3: S3Service, bucket: str) -> None:
    with through(s3, attempts=3) as (client, plan):
        upload = client.create_multipart_upload(Bucket=bucket, Key="a")["UploadId"]
        part = client.upload_part(Bucket=bucket, Key="a", UploadId=upload, PartNumber=1, Body=b"x" * 5 * MIB)
        client.complete_multipart_upload(
            Bucket=bucket,
            Key="a",
            UploadId=upload,
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
        )
    assert plan.operations == {"CreateMultipartUpload": 1, "UploadPart": 1, "CompleteMultipartUpload": 1}
    assert s3.client.head_object(Bucket=bucket, Key="a")["ContentLength"] == 5 * MIB


def test_a_body_in_chunks_arrives_whole(s3: S3Service, bucket: str) -> None:
    blocks = [os.urandom(size) for size in (1, 70_000, 5)]
    framed = b"".join(b"%x\r\n%s\r\n" % (len(block), block) for block in blocks) + b"0\r\n\r\n"
    head = f"PUT /{bucket}/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    assert s3.endpoint is not None
    with FaultProxy(s3.endpoint, WirePlan(())) as proxy:
        answer = exchange(proxy, head.encode() + framed)
    assert answer.startswith(b"HTTP/1.1 200")
    assert s3.client.get_object(Bucket=bucket, Key="a")["Body"].read() == b"".join(blocks)


def test_one_connection_carries_request_after_request(s3: S3Service, bucket: str) -> None:
    refused = WireFault(Harm.ERROR, ("PutObject",), status=503, code="SlowDown")
    request = f"PUT /{bucket}/a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
    assert s3.endpoint is not None
    with FaultProxy(s3.endpoint, WirePlan([refused])) as proxy:
        answer = exchange(proxy, f"{request}\r\nabc{request}Connection: close\r\n\r\ndef".encode())
    assert answer.startswith(b"HTTP/1.1 503") and b"HTTP/1.1 200" in answer
    assert s3.client.get_object(Bucket=bucket, Key="a")["Body"].read() == b"def"


def exchange(proxy: FaultProxy, said: bytes) -> bytes:
    """What is answered to these bytes until the other side ends the connection."""
    host, _, port = proxy.endpoint_url.rpartition("/")[2].partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(said)
        answer = b""
        while block := connection.recv(65536):
            answer += block
        return answer


@pytest.mark.parametrize("size", [10, 3 * MIB])
@pytest.mark.parametrize(
    ("status", "code"),
    [(503, "SlowDown"), (500, "InternalError"), (403, "RequestTimeTooSkewed"), (403, "AccessDenied")],
)
def test_an_error_is_s3s_own_and_s3_never_sees_the_request(
    s3: S3Service, bucket: str, status: int, code: str, size: int
) -> None:
    fault = WireFault(Harm.ERROR, ("PutObject",), status=status, code=code, message="Please reduce your rate.")
    with through(s3, fault) as (client, plan), pytest.raises(ClientError) as caught:
        client.put_object(Bucket=bucket, Key="a", Body=b"x" * size)
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert plan.done == [1]
    assert "Contents" not in s3.client.list_objects_v2(Bucket=bucket)


def test_only_the_requests_that_the_plan_names_are_harmed(s3: S3Service, bucket: str) -> None:
    fault = WireFault(Harm.ERROR, ("PutObject",), first=2, count=2, status=503, code="SlowDown")
    answers = []
    with through(s3, fault) as (client, plan):
        for number in range(1, 5):
            client.list_objects_v2(Bucket=bucket)
            try:
                client.put_object(Bucket=bucket, Key=str(number), Body=b"x")
                answers.append("ok")
            except ClientError as error:
                answers.append(error.response["Error"]["Code"])
    assert answers == ["ok", "SlowDown", "SlowDown", "ok"]
    assert plan.done == [2]


@pytest.mark.parametrize("harm", [Harm.RESET, Harm.SILENCE])
def test_a_request_that_gets_no_answer_never_reached_s3(s3: S3Service, bucket: str, harm: Harm) -> None:
    with through(s3, WireFault(harm, ("PutObject",))) as (client, plan), pytest.raises(BotoCoreError):
        client.put_object(Bucket=bucket, Key="a", Body=b"x" * MIB)
    assert plan.done == [1]
    assert "Contents" not in s3.client.list_objects_v2(Bucket=bucket)


def test_a_reset_is_one(s3: S3Service, bucket: str) -> None:
    assert s3.endpoint is not None
    with (
        FaultProxy(s3.endpoint, WirePlan([WireFault(Harm.RESET)])) as proxy,
        pytest.raises(ConnectionResetError),
    ):
        exchange(proxy, f"GET /{bucket}?list-type=2 HTTP/1.1\r\nHost: x\r\n\r\n".encode())


def test_an_answer_that_is_lost_leaves_what_was_done(s3: S3Service, bucket: str) -> None:
    with through(s3, WireFault(Harm.ANSWER_LOST, ("PutObject",))) as (client, plan), pytest.raises(BotoCoreError):
        client.put_object(Bucket=bucket, Key="a", Body=b"arrived")
    assert plan.done == [1]
    assert s3.client.get_object(Bucket=bucket, Key="a")["Body"].read() == b"arrived"


def test_a_download_is_cut_in_its_middle(s3: S3Service, bucket: str) -> None:
    s3.client.put_object(Bucket=bucket, Key="a", Body=b"x" * MIB)
    with through(s3, WireFault(Harm.TRUNCATE, ("GetObject",))) as (client, plan):
        body = client.get_object(Bucket=bucket, Key="a")["Body"]
        assert len(body.read(MIB // 2)) == MIB // 2
        with pytest.raises(BotoCoreError):
            body.read()
        assert client.get_object(Bucket=bucket, Key="a")["Body"].read() == b"x" * MIB
    assert plan.done == [1]


def test_an_error_in_an_answer_200_is_an_error_all_the_same(s3: S3Service, bucket: str) -> None:
    fault = WireFault(Harm.ERROR_IN_200, ("CompleteMultipartUpload",), code="InternalError")
    with through(s3, fault) as (client, plan):
        upload = client.create_multipart_upload(Bucket=bucket, Key="a")["UploadId"]
        part = client.upload_part(Bucket=bucket, Key="a", UploadId=upload, PartNumber=1, Body=b"x")
        with pytest.raises(ClientError, match="InternalError"):
            client.complete_multipart_upload(
                Bucket=bucket,
                Key="a",
                UploadId=upload,
                MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
            )
    assert plan.done == [1]
    assert "Contents" not in s3.client.list_objects_v2(Bucket=bucket)


def test_bodies_pass_at_the_plans_bandwidth_and_arrive_whole(s3: S3Service, bucket: str) -> None:
    fault = WireFault(Harm.BANDWIDTH, count=None, bytes_per_second=20e6)
    content = os.urandom(400_000)
    with through(s3, fault, attempts=3) as (client, plan):
        client.put_object(Bucket=bucket, Key="a", Body=content)
        assert client.get_object(Bucket=bucket, Key="a")["Body"].read() == content
    assert plan.done == [2]


def test_bandwidth_holds_for_all_connections_together() -> None:
    pace = Pace(1e6)
    assert [pace.wait_seconds(size, now) for size, now in ((500_000, 10.0), (500_000, 10.0), (1, 20.0))] == [
        0.5,
        1.0,
        pytest.approx(1e-6),
    ]


def test_a_delayed_request_is_handed_on(s3: S3Service, bucket: str) -> None:
    with through(s3, WireFault(Harm.DELAY, seconds=0.1), attempts=3) as (client, plan):
        client.put_object(Bucket=bucket, Key="a", Body=b"x")
    assert plan.done == [1]
    assert s3.client.get_object(Bucket=bucket, Key="a")["Body"].read() == b"x"


def test_an_upload_that_is_cut_by_its_client_leaves_no_object(s3: S3Service, bucket: str) -> None:
    head = f"PUT /{bucket}/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
    assert s3.endpoint is not None
    with FaultProxy(s3.endpoint, WirePlan(())) as proxy:
        host, _, port = proxy.endpoint_url.rpartition("/")[2].partition(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(head.encode() + b"x" * 500_000)
        until(lambda: proxy.plan.operations.get("PutObject") == 1)
    assert "Contents" not in s3.client.list_objects_v2(Bucket=bucket)


def test_a_restarted_server_has_lost_everything() -> None:
    with EmbeddedMoto() as moto:
        plan = WirePlan([WireFault(Harm.RESTART, ("ListObjectsV2",))])
        with FaultProxy(moto.endpoint_url, plan, moto.restart) as proxy:
            client = make_s3_client(proxy.endpoint_url)
            client.create_bucket(Bucket="mine")
            with pytest.raises(ClientError, match="NoSuchBucket"):
                client.list_objects_v2(Bucket="mine")
            client.close()
        assert plan.done == [1]


def test_closing_ends_what_waits_for_an_answer(s3: S3Service, bucket: str) -> None:
    ended = threading.Event()
    assert s3.endpoint is not None
    proxy = FaultProxy(s3.endpoint, WirePlan([WireFault(Harm.SILENCE)])).start()

    def ask() -> None:
        exchange(proxy, f"GET /{bucket}?list-type=2 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        ended.set()

    threading.Thread(target=ask, daemon=True).start()
    until(lambda: proxy.plan.done == [1])
    proxy.close()
    proxy.close()
    assert ended.wait(30)


def test_one_that_never_served_can_be_closed() -> None:
    FaultProxy("http://127.0.0.1:9", WirePlan(())).close()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "the condition never came"
        time.sleep(0.005)
