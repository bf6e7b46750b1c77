"""What the harness orders from the launcher: one attempt, in words that cross a pipe."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from simulator.core.job import CheckpointConfig, InstanceGroup, MetricDefinition, StoppingCondition, TrainingJob

LABEL_INSTANCE = "spot-simulator.instance"  # the Compose project: unique to an attempt, whoever runs beside it


@dataclass(frozen=True)
class LaunchOrder:
    """One container to start. `root` is the SDK's local_container_root; the job's `source_dir` and channels are the
    instance's own copies, but for those in `read_only`. `project` names the Compose project and the network."""

    job: TrainingJob
    host: str
    root: Path
    checkpoints: Path
    project: str
    labels: Mapping[str, str]
    read_only: tuple[str, ...] = field(default=())

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, line: str) -> LaunchOrder:
        """The order that `to_json` wrote."""
        said: dict[str, Any] = json.loads(line)
        job = said.pop("job")
        job["CheckpointConfig"] = CheckpointConfig(**job["CheckpointConfig"])
        job["StoppingCondition"] = StoppingCondition(**job["StoppingCondition"])
        job["MetricDefinitions"] = tuple(MetricDefinition(**metric) for metric in job["MetricDefinitions"])
        job["instance_groups"] = tuple(InstanceGroup(**group) for group in job["instance_groups"])
        for name in ("hosts", "entrypoint", "arguments"):
            job[name] = tuple(job[name])
        job["source_dir"] = Path(job["source_dir"]) if job["source_dir"] else None
        job["channels"] = {name: Path(path) for name, path in job["channels"].items()}
        said["root"], said["checkpoints"] = Path(said["root"]), Path(said["checkpoints"])
        said["read_only"] = tuple(said["read_only"])
        return cls(job=TrainingJob(**job), **said)
