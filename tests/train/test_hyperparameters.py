"""Where the bundled trainer's hyperparameters come from, and which of them wins."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

TRAIN = Path(__file__).parents[2] / "train"
ASK = (
    "import json, sys, train; from dataclasses import asdict;"
    "print(json.dumps(asdict(train.Hyperparameters.read(sys.argv[1:]))))"
)


def hyperparameters(root: Path, *arguments: str, SM_HPS: str = "{}") -> dict[str, object]:
    """As the script reads them; in a process of its own, since it takes SIGTERM for itself when imported."""
    environment = {**os.environ, "SM_ML_ROOT": str(root), "SM_HPS": SM_HPS}
    done = subprocess.run(
        [sys.executable, "-c", ASK, *arguments], cwd=TRAIN, env=environment, capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout))


def test_the_command_line_wins_over_sm_hps_and_that_over_the_services_file(tmp_path: Path) -> None:
    config = tmp_path / "input" / "config"
    config.mkdir(parents=True)
    (config / "hyperparameters.json").write_text('{"epochs": "1", "batch_size": "1", "learning_rate": "0.5"}')
    found = hyperparameters(tmp_path, "train", "--epochs", "3", SM_HPS='{"epochs": 2, "batch_size": 2}')
    assert (found["epochs"], found["batch_size"], found["learning_rate"]) == (3, 2, 0.5)


def test_the_sdks_quoted_strings_dashes_and_equals_signs_are_understood(tmp_path: Path) -> None:
    found = hyperparameters(tmp_path, "--save-every-steps=9", "--dataset", '"digits"')
    assert (found["save_every_steps"], found["dataset"]) == (9, "digits")


def test_what_others_pass_is_left_to_them(tmp_path: Path) -> None:
    found = hyperparameters(tmp_path, "train", "--verbose", "--model_dir", "s3://bucket/x", "--epochs", "4")
    assert found["epochs"] == 4
