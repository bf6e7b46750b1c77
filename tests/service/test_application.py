"""Who is answered, what is too large, and what a client that means harm or knows no better gets."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from simulator.service.application import MAX_BODY, is_local
from simulator.service.server import Server
from tests.service.serving import at_once, client, serving

TARGET = "SageMaker.CreateTrainingJob"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server"), at_once) as running:
        yield running


def say(server: Server, text: bytes) -> bytes:
    """Bytes as they are, on a connection of their own; what comes back."""
    url = urlsplit(server.endpoint_url)
    with socket.create_connection((url.hostname, url.port), timeout=30) as connection:
        connection.sendall(text)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(1 << 16):
            answer += chunk
    return answer


def post(body: bytes, host: str = "127.0.0.1", *headers: str, length: int | None = None) -> bytes:
    lines = [
        "POST / HTTP/1.1",
        f"Host: {host}",
        f"X-Amz-Target: {TARGET}",
        "Content-Type: application/x-amz-json-1.1",
        f"Content-Length: {len(body) if length is None else length}",
        "Connection: close",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def status_of(answer: bytes) -> int:
    return int(answer.split()[1])


def error_of(answer: bytes) -> str:
    return str(json.loads(answer.partition(b"\r\n\r\n")[2])["__type"])


def test_chunks_that_are_none_are_the_clients_fault(server: Server) -> None:
    answer = say(server, post(b"zz\r\n", "127.0.0.1", "Transfer-Encoding: chunked"))
    assert (status_of(answer), error_of(answer)) == (400, "SerializationException")


@pytest.mark.parametrize(
    ("service", "operation", "asked"),
    [
        ("sagemaker", "list_training_jobs_for_hyper_parameter_tuning_job", {"HyperParameterTuningJobName": "tuned"}),
        ("iam", "generate_organizations_access_report", {"EntityPath": "o-a1b2c3d4e5/r-f6g7h8i9j0"}),
    ],
)
def test_an_operation_that_nobody_here_has_is_an_answer_that_says_so(
    server: Server, service: str, operation: str, asked: dict[str, str]
) -> None:
    with pytest.raises(ClientError) as caught:
        getattr(client(server, service), operation)(**asked)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert caught.value.response["Error"]["Code"] == "NotImplementedException"
    assert "neither spot-simulator nor moto has this operation" in caught.value.response["Error"]["Message"]


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1:5055", True),
        ("localhost:5055", True),
        ("LOCALHOST.", True),
        ("[::1]:80", True),
        ("bucket.localhost:5055", True),
        ("evil.example:5055", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("evil.example@127.0.0.1.evil.example", False),
        ("169.254.169.254", False),
        ("[", False),
        ("", False),
    ],
)
def test_a_host_is_local_by_name_or_address_alone(host: str, local: bool) -> None:
    assert is_local(host) is local


def test_a_page_whose_name_was_led_to_loopback_is_refused(server: Server) -> None:
    assert status_of(say(server, post(b"{}", "evil.example"))) == 403
    assert status_of(say(server, b"GET /_spot/jobs HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")) == 403
    assert status_of(say(server, b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")) == 403


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil.example:5055"])
def test_a_page_of_another_origin_cannot_interrupt_a_job(server: Server, origin: str) -> None:
    head = f"POST /_spot/jobs/a/interrupt HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}\r\nContent-Length: 0\r\n\r\n"
    assert status_of(say(server, head.encode())) == 403


def test_a_page_of_this_server_may_ask_it(server: Server) -> None:
    head = "GET /_spot/jobs HTTP/1.1\r\nHost: localhost:1\r\nOrigin: http://localhost:1\r\nConnection: close\r\n\r\n"
    assert status_of(say(server, head.encode())) == 200


def test_a_body_that_is_no_json_is_a_serialization_exception(server: Server) -> None:
    for body in (b"{", b"nonsense", b'{"a": NaN}', b"\xff\xfe", b"[" * 100_000):
        answer = say(server, post(body))
        assert (status_of(answer), error_of(answer)) == (400, "SerializationException")


def test_an_empty_body_breaks_the_models_constraints(server: Server) -> None:
    answer = say(server, post(b""))
    assert (status_of(answer), error_of(answer)) == (400, "ValidationException")


def test_a_body_that_says_it_is_too_large_is_not_read(server: Server) -> None:
    assert status_of(say(server, post(b"{}", length=MAX_BODY + 1))) == 413


def test_a_chunked_body_that_becomes_too_large_is_refused(server: Server) -> None:
    head = f"POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: {TARGET}\r\nTransfer-Encoding: chunked\r\n\r\n"
    piece = b" " * (1 << 20)
    chunks = b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for _ in range(MAX_BODY // len(piece) + 1))
    assert status_of(say(server, head.encode() + chunks + b"0\r\n\r\n")) == 413


def test_a_chunked_body_is_taken(server: Server) -> None:
    head = f"POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: {TARGET}\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = say(server, head.encode() + b"2\r\n{}\r\n0\r\n\r\n")
    assert (status_of(answer), error_of(answer)) == (400, "ValidationException")


@pytest.mark.parametrize(
    "text",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: many\r\nX-Amz-Target: SageMaker.ListTags\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\nX-Amz-Target: SageMaker.ListTags\r\n\r\n",
        b"POST /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_the_server_goes_on_after_what_is_no_request(server: Server, text: bytes) -> None:
    say(server, text)
    assert client(server, "sagemaker").list_training_jobs()["TrainingJobSummaries"] == []


def test_a_client_that_goes_in_the_middle_costs_nobody_else(server: Server) -> None:
    url = urlsplit(server.endpoint_url)
    for _ in range(20):
        with socket.create_connection((url.hostname, url.port)) as connection:
            connection.sendall(post(b"{}", length=5000))
    assert client(server, "sagemaker").list_training_jobs()["TrainingJobSummaries"] == []


def test_many_clients_at_once_are_all_answered(server: Server, tmp_path: Path) -> None:
    answered: list[int] = []

    def ask() -> None:
        for _ in range(10):
            answered.append(status_of(say(server, post(b"{}"))))

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answered == [400] * 200
