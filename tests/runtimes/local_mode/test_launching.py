"""What the SDK is made to do, seen without an engine: a stand-in for `docker` takes what Compose would get."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from simulator.core.errors import EnvironmentFailure
from simulator.core.job import CheckpointConfig, StoppingCondition, TrainingJob
from simulator.runtimes.local_mode import launchers
from simulator.runtimes.local_mode.launcher import REFUSED
from simulator.runtimes.local_mode.launchers import Launcher, LauncherPool, launcher_environment
from simulator.runtimes.local_mode.order import InstanceOrder, LaunchOrder

STAND_IN = """#!/bin/sh
if [ "$2" = version ]; then echo "Docker Compose version v2.29.1"; exit 0; fi
echo "$@" >>"{folder}/arguments"
env >"{folder}/environment"
echo "the stand-in says its word"
exit $(cat "{folder}/exit-code")
"""


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder on the PATH with a `docker` that notes its arguments, and ends with what `exit-code` says."""
    folder = tmp_path_factory.mktemp("stand-in")
    (folder / "exit-code").write_text("0")
    docker = folder / "docker"
    docker.write_text(STAND_IN.format(folder=folder))
    docker.chmod(docker.stat().st_mode | stat.S_IXUSR)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        yield folder


@pytest.fixture(scope="module")
def only_launcher(stand_in: Path) -> Iterator[Launcher]:
    launcher = Launcher()
    yield launcher
    launcher.end()


@pytest.fixture
def launcher(only_launcher: Launcher, stand_in: Path) -> Launcher:
    """A launcher whose Compose does what it is told."""
    (stand_in / "exit-code").write_text("0")
    (stand_in / "arguments").unlink(missing_ok=True)
    return only_launcher


def order_of(folder: Path, *, hosts: tuple[str, ...] = ("algo-1",), **job: Any) -> LaunchOrder:
    """An order with a channel, and with a script where `entry_script` says so; each host has its own."""
    return LaunchOrder("spot-simulator-run-1-ab", tuple(instance_of(folder, host, hosts, **job) for host in hosts))


def instance_of(folder: Path, host: str, hosts: tuple[str, ...], **job: Any) -> InstanceOrder:
    own = folder / f"instance-{host}"
    for made in (own / "container" / host / "input/config", own / "code", own / "train"):
        made.mkdir(parents=True)
    (own / "code/train.py").write_text("")
    training_job = TrainingJob(
        "my-job",
        CheckpointConfig("s3://bucket/prefix", "/opt/ml/checkpoints"),
        image="any-image",
        source_dir=own / "code" if "entry_script" in job else None,
        channels={"train": own / "train"},
        StoppingCondition=StoppingCondition(3600, 7200),
        hosts=hosts,
        **job,
    )
    labels = {"spot-simulator.run": "run", "spot-simulator.folder": str(own)}
    return InstanceOrder(training_job, host, own / "container", own / "checkpoints", labels)


def composed(order: LaunchOrder) -> Any:
    """The Compose file that was written."""
    return yaml.safe_load((order.instances[0].root / "docker-compose.yaml").read_text())


def test_an_order_crosses_the_pipe_unchanged(tmp_path: Path) -> None:
    order = order_of(tmp_path, hosts=("algo-1", "algo-2"), HyperParameters={"ü": "1"}, entry_script="train.py")
    assert LaunchOrder.from_json(order.to_json()) == order


def test_an_images_own_entrypoint_gets_all_that_local_mode_drops(
    launcher: Launcher, stand_in: Path, tmp_path: Path
) -> None:
    order = order_of(tmp_path, Environment={"COST": "5$"})
    launcher.launch(order)
    content = composed(order)
    service = content["services"]["algo-1"]
    assert service["image"] == "any-image"
    assert service["pull_policy"] == "never"
    assert service["command"] == ["train"] and "entrypoint" not in service
    (own,) = order.instances
    assert f"{own.checkpoints}:/opt/ml/checkpoints" in service["volumes"]
    assert {"COST=5$$", "TRAINING_JOB_NAME=my-job", "AWS_ACCESS_KEY_ID=testing"} <= set(service["environment"])
    assert "hostname" not in service
    assert service["labels"] == own.labels
    assert [network["labels"] for network in content["networks"].values()] == [own.labels]
    assert [network["name"] for network in content["networks"].values()] == ["spot-simulator-run-1-ab"]
    arguments = (stand_in / "arguments").read_text().split()
    assert arguments[:3] == ["compose", "-p", "spot-simulator-run-1-ab"]
    assert arguments[5] == "up" and "--detach" in arguments
    assert REFUSED not in launcher.said()


def test_a_script_is_run_by_the_sdks_driver_from_the_instances_own_copies(launcher: Launcher, tmp_path: Path) -> None:
    order = order_of(tmp_path, entry_script="train.py")
    launcher.launch(order)
    own = tmp_path / "instance-algo-1"
    service = composed(order)["services"]["algo-1"]
    assert service["entrypoint"][0] == "/bin/bash" and "command" not in service
    assert f"{own}/code:/opt/ml/input/data/code" in service["volumes"]
    assert f"{own}/container/drivers:/opt/ml/input/data/sm_drivers" in service["volumes"]
    assert (own / "container/drivers/sm_train.sh").is_file()
    config = yaml.safe_load((own / "container/algo-1/input/config/inputdataconfig.json").read_text())
    assert set(config) == {"train", "code", "sm_drivers"}  # the service has the SDK's own channels too


def test_no_two_hosts_share_a_folder(launcher: Launcher, tmp_path: Path) -> None:
    order = order_of(tmp_path, hosts=("algo-1", "algo-2", "algo-3"), entry_script="train.py")
    launcher.launch(order)
    services = composed(order)["services"]
    assert list(services) == ["algo-1", "algo-2", "algo-3"]
    targets = []
    for host, service in services.items():
        folders, mounted = zip(*(volume.split(":")[:2] for volume in service["volumes"]), strict=True)
        assert all(folder.startswith(f"{tmp_path}/instance-{host}/") for folder in folders), folders
        targets.append(mounted)
        assert service["hostname"] == host
        assert f"SM_CURRENT_HOST={host}" in service["environment"]
        assert list(service["networks"].values()) == [{"aliases": [host]}]
        assert service["labels"]["spot-simulator.folder"] == f"{tmp_path}/instance-{host}"
        config = tmp_path / f"instance-{host}/container/{host}/input/config/resourceconfig.json"
        assert yaml.safe_load(config.read_text())["current_host"] == host
        assert (tmp_path / f"instance-{host}/container/drivers/sm_train.sh").is_file()
    assert targets[0] == targets[1] == targets[2]
    assert {"/opt/ml/model", "/opt/ml/checkpoints", "/opt/ml/input/data/sm_drivers"} <= set(targets[0])


def test_only_the_host_whose_channel_was_not_copied_has_it_read_only(launcher: Launcher, tmp_path: Path) -> None:
    order = order_of(tmp_path, hosts=("algo-1", "algo-2"))
    first, second = order.instances
    launcher.launch(replace(order, instances=(first, replace(second, read_only=("train",)))))
    services = composed(order)["services"]
    assert f"{tmp_path}/instance-algo-1/train:/opt/ml/input/data/train" in services["algo-1"]["volumes"]
    assert f"{tmp_path}/instance-algo-2/train:/opt/ml/input/data/train:ro" in services["algo-2"]["volumes"]


def test_compose_gets_no_python_path_of_ours(launcher: Launcher, stand_in: Path, tmp_path: Path) -> None:
    """docker-compose 1 is a Python program, and dies of another Docker SDK than its own."""
    launcher.launch(order_of(tmp_path))
    assert "PYTHONPATH" not in (stand_in / "environment").read_text()


def test_the_same_launcher_takes_one_order_after_another(launcher: Launcher, tmp_path: Path) -> None:
    for number in (1, 2):
        order = order_of(tmp_path / str(number))
        launcher.launch(order)
        assert composed(order)["services"]


def test_the_sdk_tries_to_reach_nobody_and_could_not(launcher: Launcher, tmp_path: Path) -> None:
    launcher.launch(order_of(tmp_path, entry_script="train.py"))
    assert REFUSED not in launcher.said()
    code = (
        "import sys, socket\nfrom simulator.runtimes.local_mode.launcher import _refuse_connections\n"
        "sys.addaudithook(_refuse_connections)\nsocket.create_connection(('127.0.0.1', 9), 1)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "PermissionError" in done.stderr and REFUSED in done.stderr


def test_nothing_of_the_users_aws_account_reaches_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_SECRET_ACCESS_KEY", "AWS_ROLE_ARN", "AWS_ENDPOINT_URL", "COMPOSE_PROJECT_NAME"):
        monkeypatch.setenv(name, "the user's own")
    monkeypatch.setenv("DOCKER_HOST", "unix:///elsewhere.sock")
    environment = launcher_environment()
    assert "the user's own" not in environment.values()
    assert environment["AWS_CONFIG_FILE"] == os.devnull
    assert environment["DOCKER_HOST"] == "unix:///elsewhere.sock"


def test_what_compose_said_is_in_the_error(launcher: Launcher, stand_in: Path, tmp_path: Path) -> None:
    (stand_in / "exit-code").write_text("3")
    with pytest.raises(EnvironmentFailure) as failure:
        launcher.launch(order_of(tmp_path))
    assert "Process exited with code: 3" in failure.value.why
    assert "the stand-in says its word" in failure.value.why


def test_an_sdk_that_moved_is_told_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    says = '{"ready": false, "problems": ["sagemaker.train.ModelTrainer is not there"]}'
    monkeypatch.setattr(Launcher, "command", (sys.executable, "-c", f"print('{says}')"))
    with pytest.raises(EnvironmentFailure) as failure:
        LauncherPool().launch(order_of(tmp_path))
    assert "sagemaker.train.ModelTrainer is not there" in failure.value.why
    assert "sagemaker>=" in failure.value.next_step


def test_an_sdk_that_cannot_be_imported_is_told_with_its_last_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Launcher, "command", (sys.executable, "-c", "import no_such_sdk"))
    with pytest.raises(EnvironmentFailure) as failure:
        LauncherPool().launch(order_of(tmp_path))
    assert "No module named 'no_such_sdk'" in failure.value.why


def test_a_launcher_that_says_nothing_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Launcher, "command", (sys.executable, "-c", "import time; time.sleep(600)"))
    monkeypatch.setattr(launchers, "READY_SECONDS", 0.2)
    with pytest.raises(EnvironmentFailure) as failure:
        LauncherPool().launch(order_of(tmp_path))
    assert "nothing came within" in failure.value.why


def test_a_spare_launcher_that_died_is_replaced(stand_in: Path, tmp_path: Path) -> None:
    (stand_in / "exit-code").write_text("0")
    pool = LauncherPool()
    try:
        pool.warm()
        pool._idle[0].end()
        pool.launch(order_of(tmp_path))
        assert (stand_in / "arguments").exists()
    finally:
        pool.close()


def test_a_launcher_ends_with_its_harness(stand_in: Path) -> None:
    code = (
        "import os\nfrom simulator.runtimes.local_mode.launchers import Launcher\n"
        "print(Launcher()._process.pid, flush=True)\nos._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    deadline = time.monotonic() + 60
    with pytest.raises(ProcessLookupError):
        while time.monotonic() < deadline:
            os.kill(int(done.stdout), 0)
            time.sleep(0.05)
