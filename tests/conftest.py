"""What all tests share: the rule for Docker tests, and the proof that nothing is left behind."""

from __future__ import annotations

import os
from functools import cache

import pytest


@cache
def engine_answers() -> bool:
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env(timeout=10)
        try:
            return bool(client.ping())
        finally:
            client.close()
    except DockerException:
        return False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Docker tests run whenever an engine answers; without one they are skipped, but never in CI."""
    wants_docker = [item for item in items if item.get_closest_marker("docker")]
    if not wants_docker or engine_answers():
        return
    if os.environ.get("CI"):
        pytest.exit("CI has no Docker engine, and the Docker tests must not be skipped there", returncode=3)
    for item in wants_docker:
        item.add_marker(pytest.mark.skip(reason="no Docker engine answers"))


@pytest.fixture(scope="session")
def training_image() -> str:
    """The bundled training image, built when its inputs changed; moto's too, before any test's patience is tried."""
    from simulator.images import ensure_training_image
    from simulator.services.compose_moto import moto_image

    moto_image(print)
    return ensure_training_image(progress=print)
