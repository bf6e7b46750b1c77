"""What goes through the proxy, who answers, and what does not come through."""

from __future__ import annotations

import contextlib
import http.client
import logging
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlsplit

import pytest
import requests
from botocore.exceptions import ClientError
from moto.backends import get_backend

from simulator.core.errors import EnvironmentFailure
from simulator.service.answers import Answer, Request
from simulator.service.certificates import Authority
from simulator.service.hosts import AnsweredBy, HostLedger
from simulator.service.proxy import Proxy
from tests.service.both_ways import Served, served


def nobody(request: Request) -> Answer:
    raise AssertionError(f"{request} was not meant to be asked")


@pytest.fixture
def here() -> Iterator[Served]:
    with served() as found:
        yield found
    get_backend("s3").reset()


def ask(here: Served, url: str) -> requests.Response:
    proxies = {"http": here.proxy, "https": here.proxy}
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, proxies=proxies, verify=str(here.bundle), timeout=10)


def test_both_ways_in_have_one_state(here: Served) -> None:
    by_proxy, by_endpoint = here.client("s3", "proxy"), here.client("s3", "endpoint")
    by_proxy.create_bucket(Bucket="bucket")
    by_proxy.put_object(Bucket="bucket", Key="a b/ü?", Body=b"x" * 300_000)
    assert by_endpoint.get_object(Bucket="bucket", Key="a b/ü?")["Body"].read() == b"x" * 300_000
    by_endpoint.delete_object(Bucket="bucket", Key="a b/ü?")
    assert by_proxy.list_objects_v2(Bucket="bucket")["KeyCount"] == 0


def test_sagemaker_is_the_servers_own_whichever_way(here: Served) -> None:
    for way in ("proxy", "endpoint"):
        with pytest.raises(ClientError, match="maxResults"):  # which moto lets pass
            here.client("sagemaker", way).list_training_jobs(MaxResults=1000)
    assert here.ledger.rows() == [("api.sagemaker.us-east-1.amazonaws.com", AnsweredBy.SIMULATOR, 1)]


def test_an_object_with_nothing_in_it_has_a_length(here: Served) -> None:
    client = here.client("s3", "proxy")
    client.create_bucket(Bucket="bucket")
    client.put_object(Bucket="bucket", Key="empty", Body=b"")
    assert client.head_object(Bucket="bucket", Key="empty")["ContentLength"] == 0
    assert client.get_object(Bucket="bucket", Key="empty")["Body"].read() == b""


def test_an_operation_that_moto_lacks_is_an_error_with_its_name(here: Served) -> None:
    client = here.client("sagemaker", "proxy")
    with pytest.raises(client.exceptions.ClientError, match="NotImplementedException"):
        client.list_artifacts()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_host_that_nothing_answers_for_is_refused_and_told(here: Served, scheme: str) -> None:
    try:
        assert ask(here, f"{scheme}://example.invalid/").status_code == 403
    except requests.exceptions.ProxyError as error:
        assert "403" in str(error)
    assert here.ledger.rows() == [("example.invalid", AnsweredBy.NOBODY, 1)]


def test_aws_is_not_reached_even_where_it_is_allowed() -> None:
    with served(allowed=("nothing-here.amazonaws.com",)) as here:
        assert ask(here, "https://nothing-here.amazonaws.com/").status_code == 403
        assert here.ledger.rows() == [("nothing-here.amazonaws.com", AnsweredBy.NOBODY, 1)]


class Echo(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def echo() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_loopback_is_reached_through_the_proxy_too(here: Served, echo: str) -> None:
    with requests.Session() as session:
        session.trust_env = False
        said = session.post(f"http://{echo}/x", data=b"hello", proxies={"http": here.proxy}, timeout=10)
    assert (said.status_code, said.content) == (201, b"hello")


def test_a_tunnel_to_loopback_is_relayed(here: Served, echo: str) -> None:
    proxy = urlsplit(here.proxy)
    connection = http.client.HTTPConnection(proxy.hostname or "", proxy.port, timeout=10)
    connection.set_tunnel(echo)
    connection.request("POST", "/", b"through")
    assert connection.getresponse().read() == b"through"
    connection.close()


def test_a_client_that_does_not_trust_it_learns_nothing_and_the_proxy_lives_on(here: Served) -> None:
    with pytest.raises(requests.exceptions.SSLError):
        requests.get("https://sts.amazonaws.com/", proxies={"https": here.proxy}, timeout=10, verify=True)
    assert here.client("sts", "proxy").get_caller_identity()["Account"] == "123456789012"


@pytest.mark.parametrize(
    "bytes_sent",
    [
        b"",
        b"\0\1\2\r\n\r\n",
        b"CONNECT x\r\n\r\n",
        b"CONNECT :99999999 HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\n\r\n",
        b"POST http://sts.amazonaws.com/ HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"POST http://sts.amazonaws.com/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nmany\r\n",
    ],
)
def test_what_is_no_request_is_survived_and_nobody_s_error(
    here: Served, bytes_sent: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    proxy = urlsplit(here.proxy)
    with socket.create_connection((proxy.hostname, proxy.port), timeout=10) as connection:
        connection.sendall(bytes_sent)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass
    assert "Traceback" not in capfd.readouterr().err
    assert here.client("sts", "proxy").get_caller_identity()["Account"] == "123456789012"


def test_a_port_that_is_taken_is_named(tmp_path: object, here: Served) -> None:
    taken = urlsplit(here.proxy).port
    assert taken is not None
    authority = Authority(here.bundle.parent / "other")
    with pytest.raises(EnvironmentFailure, match=str(taken)):
        Proxy(authority, nobody, HostLedger(), port=taken).start()


def test_a_certificate_is_for_one_host_and_the_authoritys_key_is_not_on_the_disk(here: Served) -> None:
    authority = Authority(here.bundle.parent / "own")
    assert authority.context("a.example.org") is authority.context("a.example.org")
    trusting = ssl.create_default_context(cafile=str(authority.bundle))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        server = threading.Thread(target=_serve_tls, args=(authority, theirs))
        server.start()
        with pytest.raises(ssl.SSLCertVerificationError, match=r"b\.example\.org"):
            trusting.wrap_socket(ours, server_hostname="b.example.org")
        server.join()
    assert not any(b"PRIVATE KEY" in file.read_bytes() for file in here.bundle.parent.rglob("*.pem"))


def _serve_tls(authority: Authority, connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        authority.context("a.example.org").wrap_socket(connection, server_side=True)


def test_importing_moto_s_proxy_leaves_logging_alone() -> None:
    script = "import logging, simulator.service.proxy; print(logging.getLogger().handlers)"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
    assert logging.getLogger("MOTO_PROXY").disabled
