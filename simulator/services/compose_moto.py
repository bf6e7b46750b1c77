"""Moto as a docker-compose service: the file at the top of the repository, brought up for one run and down after it."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.request import ProxyHandler, build_opener

from simulator.core.errors import EnvironmentFailure
from simulator.images.base import is_here
from simulator.images.build import ImageRecipe, ensure_image
from simulator.images.commands import succeeds

COMPOSE_FILE = Path(__file__).resolve().parents[2] / "docker-compose.yml"
PUBLISHED_IMAGE = "motoserver/moto:5.2.5"
OWN_IMAGE = ImageRecipe("spot-simulator-moto:5.2.5", Path(__file__).with_name("moto_image"), ())
IMAGE_VARIABLE = "MOTO_IMAGE"
HEALTHY_SECONDS = 120.0
COMMAND_SECONDS = 120.0
ASK_SECONDS = 10.0
_LOOK_SECONDS = 0.1
_ANSWER_SECONDS = 1.0


class ComposeMoto:
    """Moto's container of one run; a context manager, or `start()` and `close()`.

    `port` 0 takes a free one. `run_id` and `owner` become labels of the container and its network, by which a sweep
    finds what a killed harness left behind.
    """

    def __init__(
        self,
        port: int = 0,
        run_id: str = "",
        owner: str = "",
        image: str | None = None,
        progress: Callable[[str], None] = lambda line: None,
    ) -> None:
        readable = re.sub(r"[^a-z0-9]+", "-", run_id.lower()).strip("-")[:30]
        self.project = "-".join(part for part in ("spot-simulator-moto", readable, secrets.token_hex(4)) if part)
        self._port, self._progress, self._image = port, progress, image
        self._labels = {"SPOT_SIMULATOR_RUN": run_id or self.project, "SPOT_SIMULATOR_OWNER": owner}
        self._command: list[str] | None = None
        self._container = ""
        self.endpoint_url = ""

    def start(self) -> Self:
        """Bring it up and wait until it is healthy. Raises EnvironmentFailure with the reason, also for a port that
        is taken; nothing is left then."""
        command = compose_command()
        self._image = self._image or moto_image(self._progress)
        self._command = command
        try:
            self._compose("up", "--detach", "--no-build", "moto", what="moto's container did not start")
            mine = f"label=com.docker.compose.project={self.project}"
            self._container = succeeds(["docker", "ps", "--all", "--quiet", "--filter", mine], ASK_SECONDS) or ""
            self.endpoint_url = self._wait_until_healthy()
        except BaseException:
            self.close()
            raise
        return self

    def is_alive(self) -> bool:
        """Whether its container runs."""
        said = succeeds(["docker", "inspect", "--format", "{{.State.Running}}", self._container], ASK_SECONDS)
        return bool(self._container) and said == "true"

    def close(self) -> None:
        """Remove the container, what it held, and its network. Safe to call again."""
        if self._command is None:
            return
        if not self._remove_quickly():
            with suppress(EnvironmentFailure):  # the sweep finds by its labels what stays behind
                self._compose(
                    *("down", "--volumes", "--remove-orphans", "--timeout", "0"), what="moto cannot be removed"
                )
        self._command, self._container = None, ""

    def _remove_quickly(self) -> bool:
        """Without Compose, whose own start takes longer than all the rest; False where something may be left."""
        network = f"{self.project}_default"
        return bool(self._container) and all(
            succeeds(["docker", *command], COMMAND_SECONDS) is not None
            for command in (["rm", "--force", "--volumes", self._container], ["network", "rm", network])
        )

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _compose(self, *arguments: str, what: str) -> str:
        assert self._command is not None
        try:
            done = subprocess.run(
                [*self._command, "--project-name", self.project, "--file", str(COMPOSE_FILE), *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=COMMAND_SECONDS,
                check=False,
                env=self._environment(),
                start_new_session=True,  # Ctrl-C is the harness's to answer
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EnvironmentFailure(what, str(error), "see whether the engine answers: docker ps") from error
        if done.returncode != 0:
            raise self._failure(what, done.stderr.decode("utf-8", "replace").strip())
        return done.stdout.decode("utf-8", "replace")

    def _environment(self) -> Mapping[str, str]:
        own = {**self._labels, IMAGE_VARIABLE: self._image or "", "MOTO_PORT": str(self._port)}
        return {**os.environ, **own}

    def _failure(self, what: str, said: str) -> EnvironmentFailure:
        if "port is already allocated" in said or "address already in use" in said:
            return EnvironmentFailure(
                f"moto cannot listen on port {self._port}",
                "another program or container has it",
                "choose another port with --moto-port, or leave the option out to take a free one",
            )
        return EnvironmentFailure(
            what, "\n        ".join(said.splitlines()[-5:]), "see whether the engine answers: docker ps"
        )

    def _wait_until_healthy(self) -> str:
        """Its URL, once it answers there; Docker's own health check, which comes a second later, is not waited for."""
        deadline = time.monotonic() + HEALTHY_SECONDS
        status = "gone"
        while time.monotonic() < deadline:
            state, ports = self._inspect()
            running = bool(state.get("Running"))  # Docker calls one that has ended unhealthy, too
            status = str(state.get("Health", {}).get("Status") if running else state.get("Status", "gone"))
            if ports.get("5000/tcp") and (status == "healthy" or _answers(_endpoint(ports))):
                return _endpoint(ports)
            if status == "unhealthy" or not running:
                break
            time.sleep(_LOOK_SECONDS)
        logs = succeeds(["docker", "logs", "--tail", "5", self._container], ASK_SECONDS) or "it printed nothing"
        raise EnvironmentFailure(
            "moto's container did not become healthy",
            f"it is {status}: {logs}",
            f"try the image by hand: docker run --rm {self._image}",
        )

    def _inspect(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        said = succeeds(
            ["docker", "inspect", "--format", "[{{json .State}}, {{json .NetworkSettings.Ports}}]", self._container],
            ASK_SECONDS,
        )
        if said is None:
            return {}, {}
        state, ports = json.loads(said)
        return state, ports or {}


def _endpoint(ports: Mapping[str, Sequence[Mapping[str, str]]]) -> str:
    return f"http://127.0.0.1:{ports['5000/tcp'][0]['HostPort']}"


def _answers(endpoint: str) -> bool:
    """Whether moto says at this URL that it is moto."""
    directly = build_opener(ProxyHandler({}))  # whatever HTTP_PROXY says: this is loopback
    with suppress(OSError, HTTPException), directly.open(f"{endpoint}/moto-api/", timeout=_ANSWER_SECONDS) as answer:
        return bool(answer.status == HTTPStatus.OK)
    return False


def compose_command() -> list[str]:
    """`docker compose` where that is version 2 or later, otherwise `docker-compose`. Raises EnvironmentFailure."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if succeeds([*command, "version"], ASK_SECONDS) is not None:
            return command
    raise EnvironmentFailure(
        "there is no docker compose",
        "moto runs as a docker-compose service beside the training container",
        "sudo apt-get install docker-compose (or the docker-compose-plugin), or use --runtime process",
    )


def moto_image(progress: Callable[[str], None]) -> str:
    """The image of moto: MOTO_IMAGE in the environment, the published one where it is here or can be pulled, otherwise
    our own, built once. Raises EnvironmentFailure."""
    if chosen := os.environ.get(IMAGE_VARIABLE):
        return chosen
    if is_here(PUBLISHED_IMAGE):
        return PUBLISHED_IMAGE
    if not is_here(OWN_IMAGE.tag):
        progress(f"pulling {PUBLISHED_IMAGE} …")
        if succeeds(["docker", "pull", "--quiet", PUBLISHED_IMAGE], COMMAND_SECONDS) is not None:
            return PUBLISHED_IMAGE
    return ensure_image(OWN_IMAGE, progress=progress)
