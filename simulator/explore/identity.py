"""Whether two searches are the same: only then do the results of one stand in the other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from simulator.explore.laboratory import LabSpec
from simulator.explore.trial import Search
from simulator.runtimes.port import IGNORED_SOURCES

OF_ONE_RUN = ("TrainingJobName", "CheckpointConfig")
"""Fields of the job that hold the time it was started at, unless the user gave them: no result depends on them."""


def identity(search: Search, spec: LabSpec) -> dict[str, Any]:
    """What a search's results depend on, ready for JSON: the job, its sources' content, the profiles, the seed."""
    job = {name: value for name, value in asdict(spec.job).items() if name not in OF_ONE_RUN}
    told: Mapping[str, Any] = {
        "search": search.value,
        "seed": spec.seed,
        "job": job,
        "profiles": {name: asdict(profile) for name, profile in spec.profiles.items()},
        "runtime": spec.runtime.value,
        "restart_delay_seconds": spec.restart_delay_seconds,
        "exit_after_sigterm": spec.exit_after_sigterm.value,
        "options": asdict(spec.options),
        "sources": _digest(spec.job.source_dir) if spec.job.source_dir else "",
    }
    as_json: dict[str, Any] = json.loads(json.dumps(told, default=str))
    return as_json


def _digest(folder: Path) -> str:
    """sha256 over the names and contents of a source folder's files, as far as runtimes copy them."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and not set(relative.parts) & set(IGNORED_SOURCES):
            digest.update(relative.as_posix().encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
