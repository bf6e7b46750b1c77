"""An instance's folders on the host: its own copies of what the job brings, and where /opt/ml is mounted from.

The engine mounts these folders, so they must be where it can see them: Docker Desktop shares the home and the
temporary folder by default, a remote engine shares nothing and is of no use here.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from simulator.core.errors import EnvironmentFailure
from simulator.core.job import ML_ROOT, TrainingJob
from simulator.runtimes.port import IGNORED_SOURCES, AttemptSpec, InstancePaths

COPIED_CHANNEL_BYTES = 1 << 30
CODE = f"{ML_ROOT}/input/data/code"  # where SDK v3 mounts SourceCode.source_dir
OPEN_TO_ALL = 0o777  # an image may run as any user, and SageMaker's folders are there to be written


@dataclass(frozen=True)
class LaidOut:
    """The folders of an instance, and the job with its sources where the instance has them."""

    job: TrainingJob
    root: Path
    paths: InstancePaths
    read_only: tuple[str, ...]

    @property
    def mounted(self) -> dict[str, Path]:
        """The script's own folders under /opt/ml whose content nobody keeps: mount point → folder."""
        code = {CODE: self.job.source_dir} if self.job.source_dir is not None else {}
        return {f"{ML_ROOT}/output": self.paths.output, **code}


def lay_out(spec: AttemptSpec) -> LaidOut:
    """Make an instance's folders. Raises EnvironmentFailure.

    As on SageMaker, where code and data are downloaded to each instance anew: what a script writes beside its code
    or its data is lost with the instance, and the user's own folders stay as they are. Only a channel too large to
    copy (1 GiB) is mounted as it is, and then read-only.
    """
    root = spec.instance_dir / "container"
    paths = InstancePaths(
        checkpoints=spec.checkpoints,
        model=root / "model",
        output=root / spec.host / "output",
        input_config=root / spec.host / "input" / "config",
    )
    try:
        for folder in (paths.model, paths.output / "data", paths.input_config):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in (paths.checkpoints, paths.model, paths.output, paths.output / "data"):
            folder.chmod(OPEN_TO_ALL)
        read_only = tuple(name for name, path in spec.job.channels.items() if _is_too_large(path))
        channels = {
            name: path.resolve() if name in read_only else _copy(path, spec.instance_dir / "channels" / name)
            for name, path in spec.job.channels.items()
        }
        source = spec.job.source_dir
        own_source = _copy(source, spec.instance_dir / "code") if source is not None else None
    except (OSError, shutil.Error) as error:
        raise EnvironmentFailure(
            "the instance's folders could not be made", str(error), "look for room on the disk: df -h"
        ) from error
    return LaidOut(replace(spec.job, source_dir=own_source, channels=channels), root, paths, read_only)


def _copy(source: Path, target: Path) -> Path:
    """A folder holding what `source` is or holds; links are followed, as by the upload to S3."""
    if source.is_file():
        target.mkdir(parents=True)
        shutil.copy(source, target)
    else:
        ignored = shutil.ignore_patterns(*IGNORED_SOURCES)
        shutil.copytree(source, target, ignore=ignored, ignore_dangling_symlinks=True)
    target.chmod(OPEN_TO_ALL)
    return target


def _is_too_large(path: Path) -> bool:
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            total += Path(folder, name).lstat().st_size
            if total > COPIED_CHANNEL_BYTES:
                return True
    return path.is_file() and path.stat().st_size > COPIED_CHANNEL_BYTES
