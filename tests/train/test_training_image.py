"""The bundled training image as SageMaker runs it: `docker run IMAGE train`, SIGTERM to PID 1, within its size."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest

pytestmark = [pytest.mark.docker, pytest.mark.slow]
ROOM_BYTES = 1_600_000_000


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


@pytest.fixture
def container() -> Iterator[str]:
    name = f"spot-simulator-test-{uuid4().hex[:12]}"
    yield name
    subprocess.run(["docker", "rm", "--force", "--volumes", name], capture_output=True, check=False)


def test_it_fits_its_size(training_image: str) -> None:
    assert int(docker("image", "inspect", "--format", "{{.Size}}", training_image)) < ROOM_BYTES


def test_it_holds_a_shell_for_the_sdks_scripts_and_no_wheels(training_image: str) -> None:
    listing = docker("run", "--rm", "--entrypoint", "bash", training_image, "-c", "command -v python python3; ls /")
    assert "/opt/venv/bin/python\n/opt/venv/bin/python3\n" in listing
    assert "wheels" not in listing


def test_pid_1_is_python_saves_on_sigterm_and_leaves_with_143(training_image: str, container: str) -> None:
    docker("run", "--detach", "--network", "none", "--name", container, training_image, "train", "--step_seconds", "60")
    deadline = time.monotonic() + 90
    while "step=1 " not in (log := docker("logs", container)):
        assert time.monotonic() < deadline, log
        time.sleep(0.2)
    docker("stop", "--time", "30", container)
    assert docker("inspect", "--format", "{{.State.ExitCode}}", container).strip() == "143"
    assert "reason=SIGTERM" in docker("logs", container)
