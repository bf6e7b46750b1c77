"""`spot-simulator serve`: the server, its jobs and its end."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import BaseWSGIServer, make_server

from simulator.core.errors import EnvironmentFailure
from simulator.runtimes.ownership import sweep_scratch
from simulator.runtimes.port import Runtime
from simulator.service.api import SageMakerApi
from simulator.service.application import Application, Interceptor, LoopbackGate
from simulator.service.control import Control
from simulator.service.jobs import JobEntry, Register
from simulator.service.operations import TrainingJobs
from simulator.service.runner import Runner
from simulator.service.settings import ServeSettings
from simulator.service.state import StateFolder
from simulator.service.step_functions import StateMachines

LOOPBACK = "127.0.0.1"
IDLE_SECONDS = 120.0  # a client that says nothing for so long is let go

Say = Callable[[str], None]


class QuietHandler(MotoRequestHandler):  # type: ignore[misc]  # moto gives no types
    """Logs no requests: the jobs' own lines are what the log is for."""

    timeout = IDLE_SECONDS

    def log(self, *_: object) -> None:
        """Log nothing."""


class Server:
    """A context manager, or `start()` and `close()`. `endpoint_url` is what AWS_ENDPOINT_URL is to be; `application`
    is the bare WSGI application, for a proxy that answers for AWS's hosts. Raises UsageError and EnvironmentFailure."""

    def __init__(
        self,
        settings: ServeSettings,
        runtime: Runtime,
        say: Say = lambda line: None,
        interceptors: Sequence[Interceptor] = (),
    ) -> None:
        self._settings, self._runtime, self._say = settings, runtime, say
        self.register = Register()
        self._state = StateFolder(settings.state_dir) if settings.state_dir is not None else None
        self.runner = Runner(runtime, settings.runs_folder, settings.resolve_image, say, self._changed)
        jobs = TrainingJobs(self.register, self.runner, settings.plans(), self._changed, settings.max_instances)
        machines = StateMachines(lambda: int(urlsplit(self.endpoint_url).port or 0))
        control = Control(self.register, self.reset)
        self.application = Application(SageMakerApi(jobs, say), control, [machines, *interceptors])
        self._http: BaseWSGIServer | None = None
        self.endpoint_url = ""

    def start(self) -> Self:
        """Listen. Jobs of an earlier server, kept in the state folder, are there again."""
        for line in [*self._runtime.sweep(), *sweep_scratch()]:
            self._say(f"removed what an earlier run had left: {line}")
        if self._state is not None:
            for entry in self._state.load():
                self.register.add(entry)
        listener = _listen(self._settings.port)
        port = listener.getsockname()[1]
        self.endpoint_url = self.runner.endpoint = f"http://{LOOPBACK}:{port}"
        gate = LoopbackGate(self.application)
        self._http = make_server(
            LOOPBACK, port, gate, threaded=True, request_handler=QuietHandler, fd=listener.detach()
        )
        threading.Thread(target=self._http.serve_forever, name="http", daemon=True).start()
        return self

    def reset(self) -> None:
        """Forget all jobs, ending those that run, and all that moto holds."""
        from moto.moto_api._internal.models import moto_api_backend

        entries = self.register.all()
        self.runner.end(entries)
        for entry in entries:
            self.register.remove(entry)
            self._changed(entry)
        moto_api_backend.reset()

    def close(self) -> None:
        """End every job and stop listening. Safe to call again."""
        http, self._http = self._http, None
        self.runner.close(self.register.all())
        if http is not None:
            http.shutdown()
            http.server_close()
        if self._state is not None:
            self._state.close()
        self._runtime.close()

    def _changed(self, entry: JobEntry) -> None:
        """Keep a job's record, or let go of it where the job is forgotten."""
        if self._state is not None:
            self._state.keep(entry, is_known=any(known is entry for known in self.register))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
    except OSError as error:
        listener.close()
        raise EnvironmentFailure(
            f"the server cannot listen on port {port}",
            error.strerror or str(error),
            "choose another with --port, or --port 0 for a free one",
        ) from error
    listener.listen(128)
    return listener
