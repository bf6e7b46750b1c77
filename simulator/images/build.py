"""Builds an image when, and only when, something that goes into it has changed."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from simulator.core.errors import EnvironmentFailure
from simulator.images.base import choose_base, engine_machine, named_base
from simulator.images.commands import Progress, run, succeeds, tree_files
from simulator.images.wheels import cache_folder, download

TRAINING_IMAGE = "spot-simulator-train:latest"
INPUTS_LABEL = "spot-simulator.inputs"  # on every stage, so that what a build leaves untagged can be found
BUILT_ON_LABEL = "spot-simulator.built-on"
BUILD_SECONDS = 1800.0
_TRAIN = Path(__file__).resolve().parents[2] / "train"


@dataclass(frozen=True)
class ImageRecipe:
    """An image of ours. `folder` holds the Dockerfile, requirements-MACHINE.lock and `contents`, which the build sees
    beside the lock (as requirements.lock) and the wheels (wheels/)."""

    tag: str
    folder: Path
    contents: Sequence[str]

    def lock(self, machine: str) -> Path:
        """The locked requirements for an architecture."""
        return self.folder / f"requirements-{machine}.lock"

    def inputs(self, machine: str) -> str:
        """A digest of everything that goes into the image, its base aside. Raises EnvironmentFailure: no recipe."""
        if not self.lock(machine).is_file():
            raise EnvironmentFailure(
                f"{self.tag} cannot be built",
                f"{self.lock(machine)} is not there",
                "run from a clone of the repository",
            )
        digest = hashlib.sha256(machine.encode())
        parts = [self.folder / "Dockerfile", self.lock(machine), *(self.folder / name for name in self.contents)]
        for part in parts:
            for file in tree_files(part) if part.is_dir() else [part]:
                digest.update(file.relative_to(self.folder).as_posix().encode() + b"\0" + file.read_bytes())
        return digest.hexdigest()[:24]


TRAINING = ImageRecipe(TRAINING_IMAGE, _TRAIN, ("entry.py", "gethostname.py", "train.py", "resumable.py", "data"))


def ensure_training_image(tag: str = TRAINING_IMAGE, *, progress: Progress) -> str:
    """The bundled training image's name, built first where its inputs changed. Raises EnvironmentFailure."""
    return ensure_image(ImageRecipe(tag, TRAINING.folder, TRAINING.contents), progress=progress)


def ensure_image(recipe: ImageRecipe, *, progress: Progress) -> str:
    """The image of a recipe, built first where its inputs changed; otherwise this takes a fraction of a second.

    Raises EnvironmentFailure: no engine, no base, no wheels, no room, a build that failed.
    """
    machine = engine_machine()
    inputs = recipe.inputs(machine)
    if _is_current(recipe, inputs):
        return recipe.tag
    with _one_build_at_a_time(progress):
        if not _is_current(recipe, inputs):  # whoever held the lock may have built it
            _build(recipe, machine, inputs, progress)
    return recipe.tag


def _is_current(recipe: ImageRecipe, inputs: str) -> bool:
    """Whether the image is made of these inputs, and on the base that is asked for; any base will do where none is."""
    labels = " ".join(f'{{{{index .Config.Labels "{name}"}}}}' for name in (INPUTS_LABEL, BUILT_ON_LABEL))
    said = succeeds(["docker", "image", "inspect", "--format", labels, recipe.tag], 30) or ""
    built_of, _, built_on = said.partition(" ")
    return built_of == inputs and named_base() in (None, built_on)


@contextmanager
def _one_build_at_a_time(progress: Progress) -> Iterator[None]:
    """Of all builds of this user: two would do the same work, and one would remove the stages of the other."""
    folder = cache_folder().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "build.lock").open("w")
    except OSError as error:
        raise EnvironmentFailure(
            "downloads and builds have no folder", str(error), "name one that can be written: XDG_CACHE_HOME=…"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another build to end …")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(recipe: ImageRecipe, machine: str, inputs: str, progress: Progress) -> None:
    base = choose_base(machine, progress)
    wheels = download(recipe.lock(machine), machine, progress)
    progress(f"building {recipe.tag} from {base} (about two minutes, once) …")
    try:
        with _context(recipe, machine, wheels) as context:
            labels = {INPUTS_LABEL: inputs, BUILT_ON_LABEL: base}
            run(
                [
                    *("docker", "build", "--build-arg", f"BASE_IMAGE={base}", "--force-rm", "--tag", recipe.tag),
                    *(part for name, value in labels.items() for part in ("--label", f"{name}={value}")),
                    str(context),
                ],
                what=f"the image {recipe.tag} could not be built",
                next_step="look for room on the disk (df -h; docker system df), then type the same command again",
                timeout_seconds=BUILD_SECONDS,
            )
    finally:
        # The image that was replaced, and the legacy builder's stages, which hold the wheels: 1.7 GB.
        succeeds(["docker", "image", "prune", "--force", "--filter", f"label={INPUTS_LABEL}"], 300)


@contextmanager
def _context(recipe: ImageRecipe, machine: str, wheels: Path) -> Iterator[Path]:
    """The folder that docker build sees. Raises EnvironmentFailure where it cannot be written.

    It is beside the wheels, where hard links to them cost nothing; /tmp may be another file system, or memory.
    """
    with ExitStack() as stack:
        try:
            folder = tempfile.TemporaryDirectory(
                prefix="context-", dir=cache_folder().parent, ignore_cleanup_errors=True
            )
            context = Path(stack.enter_context(folder))
            shutil.copy(recipe.folder / "Dockerfile", context)
            shutil.copy(recipe.lock(machine), context / "requirements.lock")
            for name in recipe.contents:
                source = recipe.folder / name
                if source.is_dir():
                    shutil.copytree(source, context / name, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(source, context / name)
            shutil.copytree(wheels, context / "wheels", copy_function=_link_or_copy)
        except OSError as error:
            raise EnvironmentFailure(
                "the build's context could not be written", str(error), "look for room on the disk: df -h"
            ) from error
        yield context


def _link_or_copy(source: str, target: str) -> str:
    """A hard link costs nothing; across file systems it has to be a copy."""
    try:
        Path(target).hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)
    return target
