"""moto in this process, with answers before it, by both ways in."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from simulator.service.answers import Answerer, in_front_of
from simulator.service.certificates import Authority
from simulator.service.hosts import HostLedger
from simulator.service.proxy import Proxy


class Quiet(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        pass


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
def served(answer: Answerer = lambda request: None, allowed: tuple[str, ...] = ()) -> Iterator[Served]:
    application = in_front_of(DomainDispatcherApplication(create_backend_app), answer)
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Quiet)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        authority, ledger = Authority(Path(folder)), HostLedger()
        try:
            with Proxy(authority, answer, ledger, allowed) as proxy:
                yield Served(f"http://127.0.0.1:{server.server_port}", proxy.url, authority.bundle, ledger)
        finally:
            server.shutdown()
            server.server_close()
