"""What the harness orders from the launcher: the containers of one attempt, in words that cross a pipe."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from simulator.core.job import (
    ML_ROOT,
    CheckpointConfig,
    InstanceGroup,
    MetricDefinition,
    StoppingCondition,
    TrainingJob,
)

LABEL_INSTANCE = "spot-simulator.instance"  # the Compose project: unique to an attempt, whoever runs beside it
LABEL_FOLDER = "spot-simulator.folder"  # the instance's folder: which host of the attempt it is, and what to sweep


@dataclass(frozen=True)
class InstanceOrder:
    """One container to start. Its folders for /opt/ml are below `root`; the job's `source_dir` and channels are the
    instance's own copies, but for those in `read_only`."""

    job: TrainingJob
    host: str
    root: Path
    checkpoints: Path
    labels: Mapping[str, str]
    read_only: tuple[str, ...] = field(default=())

    @property
    def folders(self) -> dict[str, Path]:
        """Mount point → the instance's folder: all that the SDK mounts, but for its drivers."""
        job, of_host = self.job, self.root / self.host
        code = {"code": job.source_dir} if job.source_dir is not None else {}
        return {
            f"{ML_ROOT}/model": self.root / "model",
            f"{ML_ROOT}/output": of_host / "output",
            f"{ML_ROOT}/output/data": of_host / "output" / "data",
            f"{ML_ROOT}/input": of_host / "input",
            **{f"{ML_ROOT}/input/data/{name}": path for name, path in {**job.channels, **code}.items()},
        }


@dataclass(frozen=True)
class LaunchOrder:
    """The containers of one attempt, a host each, in the order of the job's `hosts`. All have the same image, script
    and names of channels. `project` names the Compose project and the network."""

    project: str
    instances: tuple[InstanceOrder, ...]

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, line: str) -> LaunchOrder:
        """The order that `to_json` wrote."""
        said: dict[str, Any] = json.loads(line)
        return cls(said["project"], tuple(_instance(one) for one in said["instances"]))


def _instance(said: dict[str, Any]) -> InstanceOrder:
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
    return InstanceOrder(job=TrainingJob(**job), **said)
