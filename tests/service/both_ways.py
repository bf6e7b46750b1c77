"""The server in this process, by both ways in, with nothing behind it but moto."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from simulator.runtimes.process import ProcessRuntime
from simulator.service.answers import ask_application
from simulator.service.application import Interceptor
from simulator.service.certificates import Authority
from simulator.service.hosts import HostLedger
from simulator.service.proxy import Proxy
from simulator.service.server import Server
from simulator.service.settings import ServeSettings


@dataclass(frozen=True)
class Served:
    """Where it is. `bundle` are the authorities to trust."""

    endpoint: str
    proxy: str
    bundle: Path
    ledger: HostLedger

    def client(self, service: str, way: str = "endpoint") -> Any:
        """A client that comes in by "endpoint" or by "proxy", and never tries twice."""
        by_proxy = way == "proxy"
        return boto3.client(
            service,
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            endpoint_url=None if by_proxy else self.endpoint,
            verify=str(self.bundle) if by_proxy else None,
            config=Config(
                retries={"total_max_attempts": 1},
                ignore_configured_endpoint_urls=True,
                proxies={"https": self.proxy, "http": self.proxy} if by_proxy else {},
            ),
        )


@contextmanager
def served(interceptors: Sequence[Interceptor] = (), allowed: tuple[str, ...] = ()) -> Iterator[Served]:
    with tempfile.TemporaryDirectory() as folder:
        settings = ServeSettings(port=0, runs=Path(folder) / "runs")
        authority, ledger = Authority(Path(folder)), HostLedger()
        with (
            Server(settings, ProcessRuntime(), interceptors=interceptors) as server,
            Proxy(authority, ask_application(server.application), ledger, allowed) as proxy,
        ):
            yield Served(server.endpoint_url, proxy.url, authority.bundle, ledger)
