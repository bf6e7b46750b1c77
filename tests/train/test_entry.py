"""Who becomes PID 1 in the training image: the toolkit where the job names a program, otherwise the bundled trainer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ENTRY = Path(__file__).parents[2] / "train" / "entry.py"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A folder with the entry point, beside a toolkit and a trainer that only say who they are."""
    shutil.copy(ENTRY, tmp_path / "entry.py")
    (tmp_path / "train.py").write_text("import sys; print('bundled', *sys.argv[1:])")
    (tmp_path / "train").write_text("#!/bin/sh\necho toolkit\n")
    (tmp_path / "train").chmod(0o755)
    return tmp_path


def became(image: Path, hyperparameters: str | None, **environment: str) -> str:
    file = image / "hyperparameters.json"
    if hyperparameters is not None:
        file.write_text(hyperparameters)
    text = (image / "entry.py").read_text()
    assert "/opt/ml/input/config/hyperparameters.json" in text
    (image / "entry.py").write_text(text.replace("/opt/ml/input/config/hyperparameters.json", str(file)))
    path = f"{image}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, image / "entry.py", "train"],
        env={"PATH": path, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_a_program_among_the_hyperparameters_is_the_toolkits(image: Path) -> None:
    assert became(image, '{"sagemaker_program": "\\"mine.py\\"", "epochs": "3"}') == "toolkit"


def test_a_program_in_the_environment_is_the_toolkits(image: Path) -> None:
    assert became(image, "{}", SAGEMAKER_PROGRAM="mine.py") == "toolkit"


@pytest.mark.parametrize("hyperparameters", [None, "", "{}", "null", '{"epochs": "3"}', "not JSON"])
def test_without_one_it_is_the_bundled_trainer_and_its_arguments(image: Path, hyperparameters: str | None) -> None:
    assert became(image, hyperparameters) == "bundled train"
