"""Whole-process time of one interrupted run (warning 0) against the shortest shell script that does as much by hand."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simulator.images import ensure_training_image

HERE = Path(__file__).parent
ROUNDS = 5
STEP = 63


def measure(rounds: int = ROUNDS) -> dict[str, Any]:
    """Seconds of both, in turn, and the ratio pair by pair. Raises CalledProcessError where either fails."""
    image = ensure_training_image(progress=print)
    bench_bin = HERE.parent / ".venv-bench" / "bin"
    environment = {**os.environ, "PATH": f"{bench_bin}:{Path(sys.executable).parent}:{os.environ['PATH']}"}
    ours, by_hand = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="spot-simulator-bench-") as folder:
            command = [
                *(sys.executable, "-m", "simulator", "run", "--runtime", "local-mode", "--warning", "0"),
                *("--interrupt", f"step={STEP}", "--view", "quiet", "--out", f"{folder}/run"),
            ]
            ours.append(_seconds(command, environment))
            by_hand.append(_seconds([str(HERE / "by_hand.sh"), image, str(STEP), str(_free_port())], environment))
    ratios = [a / b for a, b in zip(ours, by_hand, strict=True)]
    return {
        "simulator_seconds": statistics.median(ours),
        "by_hand_seconds": statistics.median(by_hand),
        "ratio": statistics.median(ratios),
        "ratio_range": [min(ratios), max(ratios)],
        "rounds": rounds,
    }


def rows(figures: Mapping[str, Any]) -> list[str]:
    """The figures as rows of a Markdown table."""
    low, high = figures["ratio_range"]
    seconds = f"{figures['simulator_seconds']:.2f} | {figures['by_hand_seconds']:.2f}"
    return [
        "| rounds | simulator, seconds | by hand, seconds | simulator ÷ by hand |",
        "| ---: | ---: | ---: | ---: |",
        f"| {figures['rounds']} | {seconds} | {figures['ratio']:.2f} ({low:.2f}–{high:.2f}) |",
    ]


def _seconds(command: list[str], environment: dict[str, str]) -> float:
    started = time.monotonic()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
