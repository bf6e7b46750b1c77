"""The image's PID 1: it becomes the toolkit's `train` where the job names a program, otherwise the bundled trainer.

AWS's framework images run `train` of sagemaker-training, which fetches the user's code and runs it (script mode). What
asks for that is a `sagemaker_program` among the hyperparameters, as SDK v2 sends it, or SAGEMAKER_PROGRAM.
"""

import json
import os
import sys
from pathlib import Path

HYPERPARAMETERS = Path("/opt/ml/input/config/hyperparameters.json")
BUNDLED = Path(__file__).with_name("train.py")


def names_a_program() -> bool:
    """Whether the job brings a script of its own; a file that cannot be read names none."""
    if os.environ.get("SAGEMAKER_PROGRAM"):
        return True
    try:
        return "sagemaker_program" in json.loads(HYPERPARAMETERS.read_text())
    except (OSError, ValueError, TypeError):
        return False


if __name__ == "__main__":
    if names_a_program():
        os.execvp("train", ["train"])
    os.execv(sys.executable, ["python3", str(BUNDLED), *sys.argv[1:]])
