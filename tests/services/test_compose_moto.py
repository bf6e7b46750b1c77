"""Moto as a docker-compose service: healthy before it is used, labelled, on loopback, and removed with its network."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.core.errors import EnvironmentFailure
from simulator.runtimes.ownership import owner
from simulator.services import compose_moto
from simulator.services.compose_moto import COMPOSE_FILE, ComposeMoto
from simulator.services.s3 import S3Kind, S3Service, open_s3


def docker(*arguments: str) -> list[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout.split()


@pytest.fixture(scope="module")
def service() -> Iterator[S3Service]:
    with open_s3(S3Kind.COMPOSE, run_id="Test run_1", owner=owner(), progress=print) as service:
        yield service


def project_of(service: S3Service) -> str:
    assert isinstance(service._server, ComposeMoto)
    return service._server.project


@pytest.mark.docker
def test_a_service_takes_and_gives_objects(service: S3Service, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"weights")
    store = service.store("my-bucket", "job")
    version = store.put(tmp_path / "a", "a", lambda: False)
    assert store.get("a", tmp_path / "back") == version
    service.check()


@pytest.mark.docker
def test_container_and_network_carry_the_labels_of_the_run(service: S3Service) -> None:
    labels = [f"label=com.docker.compose.project={project_of(service)}", "label=spot-simulator.run=Test run_1"]
    labels.append(f"label=spot-simulator.owner={owner()}")
    filters = [argument for label in labels for argument in ("--filter", label)]
    assert len(docker("ps", "--quiet", *filters)) == 1
    assert len(docker("network", "ls", "--quiet", *filters)) == 1


@pytest.mark.docker
def test_only_this_machine_reaches_it(service: S3Service) -> None:
    container = docker("ps", "--quiet", "--filter", f"label=com.docker.compose.project={project_of(service)}")[0]
    published = docker("port", container)
    assert [address for address in published if ":" in address and not address.startswith("127.0.0.1:")] == []


@pytest.mark.docker
def test_a_port_that_another_has_is_named_and_nothing_is_left() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        moto = ComposeMoto(port)
        with pytest.raises(EnvironmentFailure) as caught:
            moto.start()
    assert str(port) in caught.value.what
    label = f"label=com.docker.compose.project={moto.project}"
    assert docker("ps", "--all", "--quiet", "--filter", label) == []
    assert docker("network", "ls", "--quiet", "--filter", label) == []


@pytest.mark.docker
def test_a_killed_container_is_noticed_and_closing_leaves_nothing() -> None:
    with open_s3(S3Kind.COMPOSE) as service:
        label = f"label=com.docker.compose.project={project_of(service)}"
        docker("kill", *docker("ps", "--quiet", "--filter", label))
        with pytest.raises(EnvironmentFailure, match="moto died"):
            service.check()
    assert docker("ps", "--all", "--quiet", "--filter", label) == []
    assert docker("network", "ls", "--quiet", "--filter", label) == []


@pytest.mark.docker
def test_a_container_that_never_gets_healthy_is_explained(training_image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose_moto, "HEALTHY_SECONDS", 3.0)
    moto = ComposeMoto(image=training_image)
    with pytest.raises(EnvironmentFailure, match="healthy"):
        moto.start()
    assert docker("ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={moto.project}") == []


def test_two_runs_of_one_name_have_two_projects() -> None:
    assert ComposeMoto(run_id="job").project != ComposeMoto(run_id="job").project


def test_without_compose_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EnvironmentFailure) as caught:
        ComposeMoto().start()
    assert "--runtime process" in caught.value.next_step


def test_the_compose_file_is_where_people_look_for_it() -> None:
    assert COMPOSE_FILE.name == "docker-compose.yml"
    assert (COMPOSE_FILE.parent / "pyproject.toml").is_file()
