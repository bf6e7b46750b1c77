"""An engine that can die: a socket before the real one, which nobody else notices."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest


class EngineRelay:
    """Passes bytes on to the engine until `die()`, and again after `live()`; a context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine = _engine_socket()
        self._open: list[socket.socket] = []
        self._server: socket.socket | None = None
        self.address = f"unix://{path}"

    def live(self) -> None:
        """Answer."""
        self._path.unlink(missing_ok=True)
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(self._path))
        self._server.listen(50)
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()

    def die(self) -> None:
        """Break every connection, and answer no more."""
        assert self._server is not None
        self._server.close()
        self._path.unlink(missing_ok=True)
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def __enter__(self) -> Self:
        self.live()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.die()

    def _accept(self, server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                engine = socket.socket(socket.AF_UNIX)
                engine.connect(self._engine)
                self._open += [client, engine]
                for source, target in ((client, engine), (engine, client)):
                    threading.Thread(target=_pass_on, args=(source, target), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(1 << 16):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)


def _engine_socket() -> str:
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not host.startswith("unix://"):
        pytest.skip("the engine is not at a socket that could be relayed")
    return host.removeprefix("unix://")
