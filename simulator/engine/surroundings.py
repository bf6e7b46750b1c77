"""What comes to an instance before training and goes from it after: input data and source code, artifacts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from simulator.core.attempt import Outcome
from simulator.core.job import TrainingJob
from simulator.runtimes.port import InstancePaths


class InputsFailed(Exception):
    """The input data cannot be had, and the job fails with this text as its FailureReason."""


def _as_they_are(job: TrainingJob, directory: Path, is_abandoned: Callable[[], bool]) -> TrainingJob:
    return job


def _left_behind(outcome: Outcome, paths: InstancePaths) -> None:
    return None


@dataclass(frozen=True)
class Surroundings:
    """`inputs(job, directory, is_abandoned)` is called while the instance is Downloading, in every attempt: it may make
    `directory` (the instance's own) and returns the job with its channels and source there. Raises InputsFailed,
    TransferAbandoned once `is_abandoned()`, and EnvironmentFailure. `outputs` is called when an attempt has ended
    by itself or by a stop, while the instance's folders are still there; never after a reclaim.
    """

    inputs: Callable[[TrainingJob, Path, Callable[[], bool]], TrainingJob] = _as_they_are
    outputs: Callable[[Outcome, InstancePaths], None] = _left_behind
