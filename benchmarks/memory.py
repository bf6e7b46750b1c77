"""Peak memory of the harness over a whole interrupted run, by the size of the checkpoint: it has to stay flat.

The S3 is a moto in a process apart, so that what it holds does not count; the script writes in small pieces.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simulator.services.moto import EmbeddedMoto

SIZES_MIB = (1, 256, 1024)

SCRIPT = """
import os, sys, time
SIZE, STATE = int(os.environ["CHECKPOINT_MIB"]), "/opt/ml/checkpoints/state.bin"
step = int(open(STATE, "rb").read(16)) if os.path.exists(STATE) else 0
while step < 80:
    step += 1
    time.sleep(0.05)
    print(f"step={step}", flush=True)
    if step in (10, 60):
        with open(STATE + ".tmp", "wb") as file:
            file.write(b"%16d" % step)
            for _ in range(SIZE):
                file.write(os.urandom(1 << 20))
        os.replace(STATE + ".tmp", STATE)
    if step == 11:
        time.sleep(2 + SIZE / 50)  # the copy to S3 has time to end
open("/opt/ml/model/model", "w").write(str(step))
"""


def measure() -> dict[str, float]:
    """Peak resident MiB of the harness, by the checkpoint's MiB. Raises CalledProcessError where a run fails."""
    with tempfile.TemporaryDirectory(prefix="spot-simulator-bench-") as folder:
        (Path(folder) / "train.py").write_text(SCRIPT)
        return {str(size): _peak_mib(Path(folder), size) for size in SIZES_MIB}


def _peak_mib(folder: Path, size: int) -> float:
    with EmbeddedMoto() as moto:
        command = [
            *(sys.executable, "-m", "simulator", "run", "--runtime", "process", "--view", "quiet"),
            *("--source-dir", str(folder), "--entry-script", "train.py", "--environment", f"CHECKPOINT_MIB={size}"),
            *("--interrupt", "step=40", "--profile", "sudden", "--s3-endpoint", moto.endpoint_url),
            *("--out", str(folder / f"run-{size}")),
        ]
        process = subprocess.Popen(command)
        _, status, usage = os.wait4(process.pid, 0)  # its largest descendant counts too, and is small here
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise subprocess.CalledProcessError(process.returncode, command)
        return usage.ru_maxrss / 1024


def rows(figures: Mapping[str, Any]) -> list[str]:
    """The figures as rows of a Markdown table."""
    smallest = min(figures.values())
    return [
        "| checkpoint | harness, peak MiB | ÷ smallest |",
        "| ---: | ---: | ---: |",
        *(f"| {size} MiB | {peak:.0f} | {peak / smallest:.2f} |" for size, peak in figures.items()),
    ]
