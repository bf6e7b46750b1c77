"""What this machine has and lacks: one line a thing, and under what is missing the command that mends it."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from simulator.core.errors import ExitCode

LOW_DISK_BYTES = 5 << 30  # the image, its wheels and a run's checkpoints, with room to spare


@dataclass(frozen=True)
class Diagnosis:
    """One thing looked at. `mend` is the command to type where `ok` is False; `needed` says whether runs can do
    without it, and how."""

    thing: str
    ok: bool
    found: str
    mend: str = ""
    needed: bool = False


def examine(probes: Sequence[Callable[[], Diagnosis]] | None = None) -> tuple[list[str], ExitCode]:
    """The lines to print, and SURVIVED when something can run here, otherwise ENVIRONMENT."""
    diagnoses = [probe() for probe in (probes if probes is not None else PROBES)]
    lines = []
    for diagnosis in diagnoses:
        mark = "ok     " if diagnosis.ok else "missing" if diagnosis.needed else "lacking"
        lines.append(f"{mark}  {diagnosis.thing}: {diagnosis.found}")
        if not diagnosis.ok:
            lines.append(f"         mend with: {diagnosis.mend}")
    by_thing = {diagnosis.thing: diagnosis.ok for diagnosis in diagnoses}
    docker_works = by_thing.get("Docker engine", False) and by_thing.get("Docker Compose", False)
    lines.append("")
    lines.append(
        "`spot-simulator run` uses the SageMaker local mode runtime here."
        if docker_works
        else "`spot-simulator run` uses the process runtime here: the script runs without a container."
    )
    blocked = any(diagnosis.needed and not diagnosis.ok for diagnosis in diagnoses)
    return lines, ExitCode.ENVIRONMENT if blocked else ExitCode.SURVIVED


def python() -> Diagnosis:
    """Python itself."""
    fits = (3, 11) <= sys.version_info[:2] < (3, 14)
    return Diagnosis("Python", fits, sys.version.split()[0], "make PYTHON=python3.11 setup", needed=True)


def engine() -> Diagnosis:
    """The Docker engine."""
    from simulator.runtimes.docker_engine import engine_status

    status = engine_status()
    return Diagnosis(
        "Docker engine", status.answers, status.engine_line, "sudo systemctl start docker  (or start Docker Desktop)"
    )


def compose() -> Diagnosis:
    """Docker Compose, which the SageMaker SDK starts containers with."""
    from simulator.runtimes.docker_engine import engine_status

    status = engine_status()
    found = status.compose or "neither `docker compose` 2 or later nor docker-compose"
    return Diagnosis(
        "Docker Compose", bool(status.compose), found, "sudo apt-get install docker-compose  (or docker-compose-plugin)"
    )


def namespaces() -> Diagnosis:
    """What the process runtime can isolate a script with."""
    from simulator.runtimes.process import best_isolation, why_plain

    why = why_plain()
    return Diagnosis(
        "namespaces for the process runtime",
        not why,
        f"{best_isolation().value} ({why})" if why else best_isolation().value,
        "sudo sysctl kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0, or run as root",
    )


def image_base() -> Diagnosis:
    """What the training image is built on, where it is not built yet."""
    from simulator.images import TRAINING_IMAGE
    from simulator.images.base import DEBOOTSTRAP_IMAGE, REGISTRY_IMAGE, has_debootstrap, is_here

    thing = "training image"
    for image in (TRAINING_IMAGE, REGISTRY_IMAGE, DEBOOTSTRAP_IMAGE):
        if is_here(image):
            return Diagnosis(thing, True, image if image == TRAINING_IMAGE else f"not built yet, on {image} it can be")
    if has_debootstrap():
        return Diagnosis(thing, True, f"not built yet; {REGISTRY_IMAGE} is pulled, or debootstrap makes a base")
    return Diagnosis(
        thing,
        False,
        f"not built yet, and no base is here: it needs a registry that gives {REGISTRY_IMAGE}, or debootstrap",
        f"docker pull {REGISTRY_IMAGE}, or without a registry: sudo apt-get install debootstrap",
    )


def module(name: str, thing: str, needed: bool) -> Callable[[], Diagnosis]:
    """A probe for a Python package; it is looked for, not imported."""

    def probe() -> Diagnosis:
        found = find_spec(name) is not None
        return Diagnosis(thing, found, "installed" if found else "not installed", "make setup", needed)

    return probe


def moto() -> Diagnosis:
    """moto's server, whose own dependencies are an extra of the package."""
    complete = find_spec("moto") is not None and find_spec("flask") is not None
    return Diagnosis("moto server", complete, "installed" if complete else "not installed", "make setup", needed=True)


def disk() -> Diagnosis:
    """Room where the instances live."""
    place = Path(tempfile.gettempdir())
    free = shutil.disk_usage(place).free
    return Diagnosis(
        "disk", free > LOW_DISK_BYTES, f"{free / (1 << 30):.1f} GiB free in {place}", "docker system prune; df -h"
    )


PROBES: Sequence[Callable[[], Diagnosis]] = (
    python,
    engine,
    compose,
    image_base,
    module("sagemaker.train", "SageMaker Python SDK", needed=True),
    moto,
    module("tensorflow", "TensorFlow (for the bundled trainer without a container)", needed=False),
    namespaces,
    disk,
)
