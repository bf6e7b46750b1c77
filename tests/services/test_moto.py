"""Moto as a process of the harness's own: empty, on loopback, and gone with its maker."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request

import pytest

from simulator.core.errors import EnvironmentFailure
from simulator.services.moto import EmbeddedMoto
from simulator.services.s3 import S3Kind, open_s3


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True


def test_moto_serves_on_a_free_port_of_loopback() -> None:
    with EmbeddedMoto() as moto:
        assert moto.endpoint_url.startswith("http://127.0.0.1:")
        assert moto.is_alive()
        assert answers(moto.endpoint_url)


def test_two_runs_do_not_see_each_others_objects() -> None:
    with open_s3(S3Kind.EMBEDDED) as one, open_s3(S3Kind.EMBEDDED) as other:
        one.client.create_bucket(Bucket="only-here")
        assert other.client.list_buckets()["Buckets"] == []


def test_a_given_port_is_taken() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with EmbeddedMoto(port) as moto:
        assert moto.endpoint_url == f"http://127.0.0.1:{port}"


def test_a_port_that_another_has_is_named_with_what_to_type() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(EnvironmentFailure) as caught:
            EmbeddedMoto(port).start()
    assert str(port) in caught.value.what
    assert "--moto-port" in caught.value.next_step


def test_after_close_nothing_answers() -> None:
    moto = EmbeddedMoto().start()
    moto.close()
    moto.close()
    assert not moto.is_alive()
    assert not answers(moto.endpoint_url)


def test_a_death_is_noticed_and_explained() -> None:
    with open_s3(S3Kind.EMBEDDED) as service:
        service.check()
        assert service._server is not None
        process = service._server._process  # type: ignore[attr-defined]
        process.kill()
        process.wait()
        with pytest.raises(EnvironmentFailure, match="moto died"):
            service.check()


def test_moto_goes_with_a_harness_that_was_killed() -> None:
    script = """
        import sys, time
        from simulator.services.moto import EmbeddedMoto
        print(EmbeddedMoto().start().endpoint_url, flush=True)
        time.sleep(600)
    """
    harness = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True)
    assert harness.stdout is not None
    url = harness.stdout.readline().strip()
    assert answers(url)
    os.kill(harness.pid, signal.SIGKILL)
    harness.wait()
    harness.stdout.close()
    deadline = time.monotonic() + 60
    while answers(url):
        assert time.monotonic() < deadline, "moto outlived its harness"
