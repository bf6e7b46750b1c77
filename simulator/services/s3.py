"""Which S3 a run uses: moto in a process or a container, or any other that the user names; AWS only when asked for."""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import StrEnum
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from simulator.checkpoints.patience import PATIENCE_SECONDS
from simulator.checkpoints.s3 import S3Store
from simulator.checkpoints.s3_client import DUMMY_CREDENTIAL, ensure_bucket, make_s3_client, refuse_aws
from simulator.core.errors import EnvironmentFailure
from simulator.services.compose_moto import ComposeMoto
from simulator.services.moto import EmbeddedMoto

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

ACCESS_KEY_VARIABLE = "SPOT_SIMULATOR_S3_ACCESS_KEY"
SECRET_KEY_VARIABLE = "SPOT_SIMULATOR_S3_SECRET_KEY"


class S3Kind(StrEnum):
    """The S3s a run can have. COMPOSE is moto as a docker-compose service, EMBEDDED a process of the harness's."""

    EMBEDDED = "embedded"
    COMPOSE = "compose"


class Server(Protocol):
    """An S3 server that the harness started."""

    endpoint_url: str

    def is_alive(self) -> bool:
        """Whether it still serves."""
        ...

    def close(self) -> None:
        """Remove it and all that it held. Safe to call again."""
        ...


class S3Service:
    """An S3 that answers. `endpoint` is its URL for the harness, None for AWS itself; `client` talks to it."""

    def __init__(
        self,
        endpoint: str | None,
        client: S3Client,
        server: Server | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self.endpoint, self.client, self._server = endpoint, client, server
        self._patience_seconds = patience_seconds
        self._stores: list[S3Store] = []

    def store(self, bucket: str, prefix: str) -> S3Store:
        """The object store below a prefix; its bucket is made when it is not there. Raises EnvironmentFailure."""
        ensure_bucket(self.client, bucket)
        store = S3Store(self.client, bucket, prefix, self._patience_seconds, self.check)
        self._stores.append(store)
        return store

    def check(self) -> None:
        """Raise EnvironmentFailure when the server that the harness started has died."""
        if self._server is not None and not self._server.is_alive():
            raise EnvironmentFailure(
                f"moto died, the S3 at {self.endpoint}",
                "its process or container ended; what it held is lost",
                "start the run again; if it recurs, look at the free memory: moto keeps objects there",
            )

    def restart(self) -> None:
        """Kill the moto of this process and start it again, empty, on its port. Raises EnvironmentFailure."""
        if not isinstance(self._server, EmbeddedMoto):
            raise EnvironmentFailure(
                f"the S3 at {self.endpoint} cannot be restarted",
                "only a moto that runs as a process of the harness's own can",
                "use --runtime process without --s3-endpoint",
            )
        self._server.restart()

    def close(self) -> None:
        """Let go of the client, and end what was started. Safe to call again."""
        for store in self._stores:
            store.close()
        self.client.close()
        if self._server is not None:
            self._server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_s3(
    kind: S3Kind,
    endpoint: str | None = None,
    allow_aws: bool = False,
    port: int | None = None,
    run_id: str = "",
    owner: str = "",
    progress: Callable[[str], None] = lambda line: None,
) -> S3Service:
    """The S3 of a run: the user's `endpoint`, AWS itself with `allow_aws` and no endpoint, otherwise moto of `kind`.

    Another S3's credentials come from SPOT_SIMULATOR_S3_ACCESS_KEY and SPOT_SIMULATOR_S3_SECRET_KEY ("testing" by
    default) and never from the user's AWS configuration, unless `allow_aws`. `port` is moto's, a free one by default.
    `run_id` and `owner` label a container (see `runtimes.port`), `progress` hears of images being built.
    Raises UsageError and EnvironmentFailure.
    """
    if allow_aws:
        return S3Service(endpoint, make_s3_client(endpoint, allow_aws=True))
    if endpoint is not None:
        refuse_aws(endpoint)
        return S3Service(
            endpoint,
            make_s3_client(
                endpoint,
                access_key=os.environ.get(ACCESS_KEY_VARIABLE, DUMMY_CREDENTIAL),
                secret_key=os.environ.get(SECRET_KEY_VARIABLE, DUMMY_CREDENTIAL),
            ),
        )
    server: EmbeddedMoto | ComposeMoto
    if kind is S3Kind.COMPOSE:
        server = ComposeMoto(port or 0, run_id, owner, progress=progress).start()
    else:
        server = EmbeddedMoto(port or 0).start()
    try:
        return S3Service(server.endpoint_url, make_s3_client(server.endpoint_url), server)
    except BaseException:
        server.close()
        raise
