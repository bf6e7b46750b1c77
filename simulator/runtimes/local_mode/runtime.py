"""Attempts as containers that SageMaker's SDK starts in local mode."""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Sequence
from pathlib import Path

from simulator.core.errors import EnvironmentFailure, UsageError
from simulator.core.job import TrainingJob
from simulator.runtimes.docker_engine import (
    LABEL_MACHINE,
    DockerEngine,
    find_compose,
    this_machine,
)
from simulator.runtimes.local_mode.attempt import LocalModeAttempt, Remains, SharedNetwork, remove_folder
from simulator.runtimes.local_mode.folders import lay_out
from simulator.runtimes.local_mode.launchers import LauncherPool
from simulator.runtimes.local_mode.order import LABEL_FOLDER, LABEL_INSTANCE, InstanceOrder, LaunchOrder
from simulator.runtimes.ownership import owner
from simulator.runtimes.port import LABEL_ATTEMPT, LABEL_OWNER, LABEL_RUN, AttemptSpec, RuntimeName
from simulator.runtimes.written import stamps_of

LABEL_IMAGE = "spot-simulator.image"
PULL_SECONDS = 300.0

_ECR = re.compile(r"\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com")


class LocalModeRuntime:
    """Starts attempts by the SDK's ModelTrainer with Mode.LOCAL_CONTAINER; a context of its own for each of them."""

    name = RuntimeName.LOCAL_MODE
    fidelity_lost: Sequence[str] = (
        "instance types are not imitated: the container has this machine's processors, memory and no GPU",
        "several hosts share this machine's processors, memory and disk, each as if they were its own",
        "the network is a private bridge, between hosts as fast as memory, with this machine's way out, and no VPC",
        "S3 is moto; input channels are copies of local folders and not downloads",
        "the container gets placeholder credentials and no role",
    )

    def __init__(self) -> None:
        self._connected: DockerEngine | None = None
        self._lock = threading.Lock()
        self._launchers = LauncherPool()

    def prepare(self, job: TrainingJob) -> None:
        """Raises EnvironmentFailure without engine, Compose or image; UsageError where a path is wrong."""
        _check_paths(job)
        engine = self._engine()
        if not find_compose():
            raise EnvironmentFailure(
                "Docker Compose is not installed",
                "SageMaker's SDK starts containers with `docker compose` 2 or later, or with docker-compose",
                "sudo apt-get install docker-compose-plugin, or run without it: --runtime process",
            )
        self._launchers.warm()
        _provide_image(engine, job.image or "")

    def start(self, specs: Sequence[AttemptSpec]) -> Sequence[LocalModeAttempt]:
        """Start the containers in one Compose project. Raises EnvironmentFailure, and nothing is left then."""
        engine = self._engine()
        network = SharedNetwork(_project_name(specs[0]))
        remains = [_remains_of(spec, network) for spec in specs]
        try:
            for image in {spec.job.image or "" for spec in specs}:
                _require_image(engine, image)
            laid_out = [lay_out(spec) for spec in specs]
            before = [stamps_of(laid.mounted) for laid in laid_out]
            instances = (
                InstanceOrder(laid.job, spec.host, laid.root, spec.checkpoints, left.labels, laid.read_only)
                for spec, laid, left in zip(specs, laid_out, remains, strict=True)
            )
            self._launchers.launch(LaunchOrder(network.project, tuple(instances)))
            containers = [left.container(engine) for left in remains]
            return [
                LocalModeAttempt(engine, container, left, laid.paths, laid.mounted, stamps)
                for container, left, laid, stamps in zip(containers, remains, laid_out, before, strict=True)
            ]
        except BaseException:
            for left in remains:
                left.remove(engine)
            raise

    def sweep(self) -> list[str]:
        """Remove containers and networks whose harness is gone; without an engine there is nothing to sweep."""
        try:
            engine = self._engine()
            leftovers = engine.owned_leftovers()
        except EnvironmentFailure:
            return []
        removed = []
        for left in leftovers:
            if not engine.remove_leftover(left):
                removed.append(f"{left.kind} {left.name}")
        for folder, image in {(left.labels.get(LABEL_FOLDER), left.labels.get(LABEL_IMAGE, "")) for left in leftovers}:
            if folder and Path(folder).is_dir() and not remove_folder(engine, Path(folder), image, {}):
                removed.append(f"folder {folder}")
        return removed

    def close(self) -> None:
        """End the launchers and the connection; running attempts go on until they are wiped."""
        self._launchers.close()
        with self._lock:
            if self._connected is not None:
                self._connected.close()
                self._connected = None

    def _engine(self) -> DockerEngine:
        """The connection, made when it is first needed. Raises EnvironmentFailure."""
        with self._lock:
            if self._connected is None:
                self._connected = DockerEngine()
            return self._connected


def _project_name(spec: AttemptSpec) -> str:
    """Compose's project and the network: readable, and like no other, also of a run with the same id."""
    readable = re.sub(r"[^a-z0-9]+", "-", spec.run_id.lower()).strip("-")[:40]
    return f"spot-simulator-{readable}-{spec.attempt}-{secrets.token_hex(4)}"


def _remains_of(spec: AttemptSpec, network: SharedNetwork) -> Remains:
    image = spec.job.image or ""
    labels = {
        LABEL_RUN: spec.run_id,
        LABEL_OWNER: owner(),
        LABEL_ATTEMPT: str(spec.attempt),
        LABEL_INSTANCE: network.project,
        LABEL_MACHINE: this_machine(),
        LABEL_FOLDER: str(spec.instance_dir),
        LABEL_IMAGE: image,
    }
    return Remains(network, labels, spec.instance_dir, image, spec.job.CheckpointConfig.LocalPath)


def _check_paths(job: TrainingJob) -> None:
    if not job.image:
        raise UsageError(
            "the local mode runtime has no image to run", "a container is made of one", "add --image IMAGE"
        )
    if (job.source_dir is None) != (job.entry_script is None):
        raise UsageError(
            "a source folder and an entry script belong together",
            "with both, SageMaker's SDK runs the script in the image; with neither, the image runs its own entrypoint",
            "add --source-dir DIR --entry-script FILE",
        )
    if job.source_dir is not None and not (job.source_dir / (job.entry_script or "")).is_file():
        raise UsageError(
            f"there is no {job.source_dir / (job.entry_script or '')}",
            "--entry-script is looked for in --source-dir",
            "name an existing script",
        )
    for name, path in job.channels.items():
        if not path.exists():
            raise UsageError(
                f"the channel {name!r} names {path}", "there is nothing", "name an existing file or folder"
            )


def _require_image(engine: DockerEngine, image: str) -> None:
    """Compose would pull an image that went since `prepare`, without end and from wherever its name points to."""
    if not engine.has_image(image):
        raise EnvironmentFailure(
            f"the image {image} is no longer on this machine", "it was removed since the run began", "run again"
        )


def _provide_image(engine: DockerEngine, image: str) -> None:
    """See that the engine has the image; pull it where it may come from elsewhere than AWS, which is never asked."""
    if engine.has_image(image):
        return
    if _ECR.match(image):
        registry = image.partition("/")[0]
        raise EnvironmentFailure(
            f"the image {image} is not on this machine",
            "the simulator asks nothing of AWS, and so pulls nothing from Amazon's registry",
            f"aws ecr get-login-password | docker login --username AWS --password-stdin {registry} && "
            f"docker pull {image}",
        )
    problem = engine.pull(image, PULL_SECONDS)
    if problem:
        raise EnvironmentFailure(
            f"the image {image} is not on this machine and could not be pulled",
            problem,
            f"docker pull {image}, or build it: docker build --tag {image} .",
        )
