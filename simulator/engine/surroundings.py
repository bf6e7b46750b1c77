"""What comes to an instance before training and goes from it after: input data and source code, artifacts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from simulator.core.attempt import Outcome
from simulator.core.job import TrainingJob
from simulator.runtimes.port import InstancePaths


class InputsFailed(Exception):
    """The input data cannot be had, and the job fails with this text as its FailureReason."""


Inputs = Callable[[TrainingJob, str, Path, Callable[[], bool]], TrainingJob]
Outputs = Callable[[Outcome, Mapping[str, InstancePaths]], None]


def _as_they_are(job: TrainingJob, host: str, directory: Path, is_abandoned: Callable[[], bool]) -> TrainingJob:
    return job


def _left_behind(outcome: Outcome, paths: Mapping[str, InstancePaths]) -> None:
    return None


@dataclass(frozen=True)
class Surroundings:
    """`inputs(job, host, directory, is_abandoned)` is called while the instance `host` is Downloading, in every
    attempt: it may make `directory` (the instance's own) and returns the job with its channels and source there.
    Raises InputsFailed, TransferAbandoned once `is_abandoned()`, and EnvironmentFailure. `outputs(outcome, paths)` is
    called when an attempt has ended by itself or by a stop, while the instances' folders, by host, are still there;
    never after a reclaim.
    """

    inputs: Inputs = _as_they_are
    outputs: Outputs = _left_behind
