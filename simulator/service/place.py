"""AWS's place on this machine: the server and the proxy, up together, and what a client is to be told of them."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from simulator.core.errors import EnvironmentFailure, UsageError
from simulator.engine.interrupts import shielded
from simulator.images import ensure_training_image
from simulator.images.wheels import cache_folder
from simulator.runtimes.port import Runtime
from simulator.service.answers import ask_application
from simulator.service.certificates import Authority
from simulator.service.control import PREFIX
from simulator.service.environment import client_variables, write_sdk_settings
from simulator.service.hosts import HostLedger
from simulator.service.iam import ExecutionRoles, MissingRoles, answer_iam
from simulator.service.image_map import BUNDLED, ImageMap
from simulator.service.pretence import Pretence
from simulator.service.proxy import Proxy
from simulator.service.server import Server
from simulator.service.settings import ResolveImage, ServeSettings

Say = Callable[[str], None]
ANSWER_SECONDS = 5.0


@dataclass(frozen=True)
class Doors:
    """How clients come in. `allowed` are hosts that the proxy lets through; `proxy_port` 0 takes a free one."""

    image_map: ImageMap = field(default_factory=ImageMap)
    missing_roles: MissingRoles = MissingRoles.CREATE
    allowed: tuple[str, ...] = ()
    proxy_port: int = 0


class Place:
    """A context manager. `folder` is for certificates, made where it is not there. Raises UsageError and
    EnvironmentFailure on entry."""

    def __init__(self, settings: ServeSettings, doors: Doors, runtime: Runtime, folder: Path, say: Say) -> None:
        self._doors, self._folder = doors, folder
        settings = replace(settings, resolve_image=image_resolver(doors.image_map, say))
        roles = ExecutionRoles(doors.missing_roles, say)
        self.pretence = Pretence(say)
        self.server = Server(settings, runtime, say, [answer_iam(roles), self.pretence])
        self.ledger = HostLedger()
        self._variables: Callable[[Mapping[str, str]], dict[str, str]] = lambda before: {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.server)
            authority = Authority(self._folder)
            ask = ask_application(self.server.application)
            proxy = stack.enter_context(Proxy(authority, ask, self.ledger, self._doors.allowed, self._doors.proxy_port))
            sdk_settings = write_sdk_settings(self._folder)
            self._variables = lambda before: client_variables(
                self.server.endpoint_url, proxy.url, authority.bundle, sdk_settings, before
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with shielded():
            self._stack.close()

    def variables(self, before: Mapping[str, str]) -> dict[str, str]:
        """What a client's environment is to have; `before` is what it has."""
        return self._variables(before)

    @contextmanager
    def published(self) -> Iterator[int]:
        """Within, `spot-simulator env` in another shell finds the variables, by the server's port."""
        port = urlsplit(self.server.endpoint_url).port
        assert port is not None
        file = told_of(port)
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file.write_text(json.dumps(self.variables({}), indent=1))
        except OSError as error:
            raise EnvironmentFailure(
                f"what clients are to be told cannot be written to {file}",
                error.strerror or str(error),
                "name another folder: XDG_CACHE_HOME=…",
            ) from error
        try:
            yield port
        finally:
            file.unlink(missing_ok=True)


def image_resolver(images: ImageMap, say: Say) -> ResolveImage:
    """From a job's TrainingImage to an image of this machine; the bundled one is built when it is first needed."""

    def resolve(uri: str) -> str:
        image = images.local_image(uri)
        if image == BUNDLED:
            image = ensure_training_image(progress=say)
        if image != uri:
            say(f"image {uri} runs as {image}")
        return image

    return resolve


def told_of(port: int) -> Path:
    """The file in which the server on a port leaves what its clients are to be told."""
    return cache_folder().parent / "serve" / f"{port}.json"


def read_published(port: int, before: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables for clients of the server on `port`. Raises UsageError where none answers."""
    try:
        variables: dict[str, str] = json.loads(told_of(port).read_text())
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        opener.open(variables["AWS_ENDPOINT_URL"] + PREFIX, timeout=ANSWER_SECONDS).close()
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(
            f"no spot-simulator serve answers on port {port}",
            str(error),
            f"start one in another terminal: spot-simulator serve --port {port}",
        ) from error
    if region := before.get("AWS_REGION") or before.get("AWS_DEFAULT_REGION"):
        variables |= {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}
    return variables
