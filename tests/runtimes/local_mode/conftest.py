"""A tiny image for the tests of local mode, made of whatever base there is, and the proof that nothing is left."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from simulator.core.job import CheckpointConfig, TrainingJob
from simulator.images.base import choose_base, engine_machine
from simulator.runtimes.local_mode import LocalModeRuntime
from simulator.runtimes.local_mode.attempt import LocalModeAttempt
from simulator.runtimes.ownership import owner
from simulator.runtimes.port import LABEL_OWNER, AttemptSpec

ENTRYPOINT = 'exec(open("/opt/ml/input/data/script/script.py").read())\n'

Start = Callable[..., LocalModeAttempt]


@pytest.fixture(scope="session")
def python_image() -> str:
    """An image with python3 in it, and no entrypoint."""
    return choose_base(engine_machine(), print)


@pytest.fixture(scope="session")
def own_entrypoint_image(python_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image whose entrypoint runs script.py of the channel `script`, as PID 1."""
    context = tmp_path_factory.mktemp("image")
    (context / "entry.py").write_text(ENTRYPOINT)
    (context / "Dockerfile").write_text(
        f'FROM {python_image}\nCOPY entry.py /entry.py\nENTRYPOINT ["python3", "/entry.py"]\n'
    )
    name = f"spot-simulator-test-{owner().replace(':', '-')}:latest"
    subprocess.run(["docker", "build", "--quiet", "--tag", name, str(context)], check=True, capture_output=True)
    yield name
    subprocess.run(["docker", "image", "rm", "--force", name], check=True, capture_output=True)


@pytest.fixture(scope="session")
def shared_runtime() -> Iterator[LocalModeRuntime]:
    """One runtime for all tests of a session: the SDK is imported once."""
    runtime = LocalModeRuntime()
    yield runtime
    runtime.close()


@pytest.fixture
def runtime(shared_runtime: LocalModeRuntime) -> Iterator[LocalModeRuntime]:
    """The runtime; afterwards nothing of this process may be left in the engine."""
    yield shared_runtime
    assert left_in_engine(owner()) == []


@pytest.fixture
def start_image(runtime: LocalModeRuntime, own_entrypoint_image: str, tmp_path: Path) -> Iterator[Start]:
    """Starts a script as the image's own entrypoint."""
    started: list[LocalModeAttempt] = []

    def start(
        script: str, attempt: int = 1, *, local_path: str = "/opt/ml/checkpoints", **job: object
    ) -> LocalModeAttempt:
        spec = spec_of(tmp_path, own_entrypoint_image, script, attempt, local_path, **job)
        runtime.prepare(spec.job)
        started.extend(runtime.start([spec]))
        return started[-1]

    yield start
    for running in started:
        assert running.wipe() == []


def spec_of(
    folder: Path,
    image: str,
    script: str,
    attempt: int = 1,
    local_path: str = "/opt/ml/checkpoints",
    channels: dict[str, Path] | None = None,
    **job: object,
) -> AttemptSpec:
    """An attempt at a job whose image runs this script."""
    channel = folder / f"script-{attempt}"
    channel.mkdir(parents=True)
    (channel / "script.py").write_text(script)
    instance = folder / f"attempt-{attempt}"
    (instance / "checkpoints").mkdir(parents=True)
    training_job = TrainingJob(
        "a-job",
        CheckpointConfig("s3://bucket/prefix", local_path),
        image=image,
        channels={"script": channel, **(channels or {})},
        **job,  # type: ignore[arg-type]
    )
    return AttemptSpec(training_job, "run", attempt, "algo-1", instance, instance / "checkpoints")


def removed_after_kill(runtime: LocalModeRuntime, harness: str, folder: Path, image: str, leaves: int) -> list[str]:
    """What a sweep removes of another harness, a script that says its owner once all is started, that was killed while
    so many containers and networks of its were there."""
    process = subprocess.Popen(
        [sys.executable, "-c", harness, str(folder), image],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert process.stdout is not None
    its_owner = process.stdout.readline().strip()
    assert len(left_in_engine(its_owner)) == leaves
    process.kill()
    process.communicate()
    removed = runtime.sweep()
    assert left_in_engine(its_owner) == []
    return removed


def left_in_engine(of_owner: str) -> list[str]:
    """Names of containers and networks with this owner."""
    names = []
    for kind in (["ps", "--all", "--format", "{{.Names}}"], ["network", "ls", "--format", "{{.Name}}"]):
        command = ["docker", *kind, "--filter", f"label={LABEL_OWNER}={of_owner}"]
        names += subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return names
