"""The job that runs when none is named: the bundled trainer, paced so that the warning fits into its tiny data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from simulator.core.errors import UsageError

TRAIN_DIR = Path(__file__).resolve().parents[2] / "train"
ENTRY_SCRIPT = "train.py"
TOTAL_STEPS = 300  # iris: 150 rows in batches of 15, for 30 epochs
TRIGGER_STEP = 63  # mid-epoch, after the first checkpoints
WARNING_SHARE = 0.6  # of the run that the warning lasts: the rest leaves something to resume

DEFAULT_INTERRUPTION = "checkpoint=2"
"""For a user's own script: late enough to have something durable, and as a rule in the middle of an epoch."""


@dataclass(frozen=True)
class BundledJob:
    """What the bundled trainer is run with."""

    source_dir: Path
    entry_script: str
    hyperparameters: dict[str, str]
    interruption: str


def bundled_job(warning_seconds: float) -> BundledJob:
    """The bundled trainer for a warning of this length. Raises UsageError where the repository is not there."""
    if not (TRAIN_DIR / ENTRY_SCRIPT).is_file():
        raise UsageError(
            "no training script was named, and the bundled one is not here",
            "it comes with the repository, not with the installed package",
            "name yours: spot-simulator run --source-dir DIR --entry-script train.py",
        )
    pace = warning_seconds / (WARNING_SHARE * TOTAL_STEPS)
    return BundledJob(
        source_dir=TRAIN_DIR,
        entry_script=ENTRY_SCRIPT,
        hyperparameters={"step_seconds": f"{pace:.4f}"} if pace else {},
        interruption=f"step={TRIGGER_STEP}",
    )
