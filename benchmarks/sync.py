"""Checkpoint sync and restore against `aws s3 sync` and `s5cmd`, whole processes on one moto server, in turn.

`python -m benchmarks.sync [JSON]` prints Markdown table rows, and writes the figures to JSON where that is given.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.checkpoints.restore import restore
from simulator.checkpoints.s3 import S3Store
from simulator.checkpoints.s3_client import ensure_bucket, make_s3_client
from simulator.checkpoints.sync import CheckpointSync, SyncOptions
from simulator.core.timeline import Kind
from simulator.engine.clock import SystemClock
from simulator.services.moto import EmbeddedMoto

BUCKET = "sync-bench"
ROUNDS = 3
LAG_FILES = 100
LAG_PAUSE_SECONDS = 0.05
BENCH_BIN = Path(__file__).resolve().parents[1] / ".venv-bench" / "bin"


@dataclass(frozen=True)
class Load:
    """Files to carry."""

    name: str
    count: int
    bytes: int


LOADS = (Load("1,000 × 4 KiB", 1_000, 4 << 10), Load("4 × 256 MiB", 4, 256 << 20))


@dataclass(frozen=True)
class Took:
    """One process: its time from start to end, and its peak of resident memory."""

    seconds: float
    peak_mib: float


def measure(rounds: int = ROUNDS) -> dict[str, Any]:
    """Medians of every tool, and ratios (ours / theirs, below 1 is faster) taken round by round."""
    work = Path(tempfile.mkdtemp(prefix="spot-simulator-bench-"))
    try:
        with EmbeddedMoto() as moto:
            ensure_bucket(make_s3_client(moto.endpoint_url), BUCKET)
            carried = {load.name: _carry(load, rounds, work, moto.endpoint_url) for load in LOADS}
            return {"rounds": rounds, "carried": carried, "lag": _lag(work, moto.endpoint_url)}
    finally:
        shutil.rmtree(work)


def _carry(load: Load, rounds: int, work: Path, endpoint: str) -> dict[str, Any]:
    source = work / "source"
    source.mkdir()
    for number in range(load.count):
        with (source / f"file-{number:04}").open("wb") as file:
            for _ in range(0, load.bytes, block := min(load.bytes, 1 << 20)):
                file.write(os.urandom(block))
    took: dict[str, dict[str, list[Took]]] = {"up": {}, "down": {}}
    for turn in range(rounds):
        tools = list(_commands(endpoint).items())
        for name, command in tools[turn % len(tools) :] + tools[: turn % len(tools)]:
            url, target = f"s3://{BUCKET}/{name}", work / "target"
            target.mkdir()
            took["up"].setdefault(name, []).append(_run(command("up", source, url)))
            took["down"].setdefault(name, []).append(_run(command("down", target, url)))
            if _sizes(target) != _sizes(source):
                raise AssertionError(f"{name} did not carry every file there and back")
            shutil.rmtree(target)
            _empty_bucket(endpoint)
    shutil.rmtree(source)
    return {way: _summary(by_tool, load) for way, by_tool in took.items()}


def _summary(by_tool: Mapping[str, list[Took]], load: Load) -> dict[str, Any]:
    ours = [took.seconds for took in by_tool["simulator"]]
    mebibytes = load.count * load.bytes / (1 << 20)
    summary: dict[str, Any] = {}
    for name, all_took in by_tool.items():
        seconds = [took.seconds for took in all_took]
        ratios = [a / b for a, b in zip(ours, seconds, strict=True)]
        summary[name] = {
            "seconds": statistics.median(seconds),
            "mib_per_second": mebibytes / statistics.median(seconds),
            "files_per_second": load.count / statistics.median(seconds),
            "peak_mib": max(took.peak_mib for took in all_took),
            "ratio": statistics.median(ratios),
            "ratio_range": [min(ratios), max(ratios)],
        }
    return summary


Command = Callable[[str, Path, str], list[str]]


def _commands(endpoint: str) -> dict[str, Command]:
    def simulator(way: str, folder: Path, url: str) -> list[str]:
        return [sys.executable, "-m", "benchmarks.sync", f"--{way}", endpoint, str(folder), url.rpartition("/")[2]]

    def aws(way: str, folder: Path, url: str) -> list[str]:
        ends = [str(folder), url] if way == "up" else [url, str(folder)]
        return [str(BENCH_BIN / "aws"), "--endpoint-url", endpoint, "s3", "sync", "--quiet", *ends]

    def s5cmd(way: str, folder: Path, url: str) -> list[str]:
        ends = [f"{folder}/", f"{url}/"] if way == "up" else [f"{url}/*", f"{folder}/"]
        return [str(BENCH_BIN / "s5cmd"), "--log", "error", "--endpoint-url", endpoint, "sync", *ends]

    return {"simulator": simulator, "aws s3 sync": aws, "s5cmd sync": s5cmd}


def _run(command: list[str]) -> Took:
    dummy = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}
    nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_REGION": "us-east-1"}
    began = time.monotonic()
    process = subprocess.Popen(command, env={**os.environ, **dummy, **nowhere})
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Took(seconds, usage.ru_maxrss / 1024)


def _sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.iterdir() if ".sagemaker-" not in path.name}


def _empty_bucket(endpoint: str) -> None:
    store = S3Store(make_s3_client(endpoint), BUCKET, "")
    for info in store.list():
        store.delete(info.path)


def _up(endpoint: str, folder: Path, prefix: str) -> None:
    """Our side of one upload, with every file new; events go nowhere."""
    store = S3Store(make_s3_client(endpoint), BUCKET, prefix)
    sync = CheckpointSync(folder, store, SystemClock(), lambda kind, data: None, SyncOptions(), lambda: None)
    sync.start(baseline={})
    if not sync.flush(None):
        raise sync.failure or AssertionError("the flush ended early")
    sync.stop_at_once()


def _down(endpoint: str, folder: Path, prefix: str) -> None:
    store = S3Store(make_s3_client(endpoint), BUCKET, prefix)
    restore(store, folder, lambda kind, data: None, lambda: False)


def _lag(work: Path, endpoint: str) -> dict[str, Any]:
    """From the moment a script closed a 4 KiB file until it was durable, file after file, while the sync runs."""
    folder = work / "lag"
    folder.mkdir()
    clock, closed, durable, all_durable = SystemClock(), {}, {}, threading.Event()

    def emit(kind: Kind, data: Mapping[str, Any]) -> None:
        if kind is Kind.UPLOAD_FINISHED:
            durable[data["path"]] = clock.now()
            if len(durable) == LAG_FILES:
                all_durable.set()

    store = S3Store(make_s3_client(endpoint), BUCKET, "lag")
    sync = CheckpointSync(folder, store, clock, emit, SyncOptions(), lambda: None)
    sync.start()
    for number in range(LAG_FILES):
        (folder / str(number)).write_bytes(os.urandom(4096))
        closed[str(number)] = clock.now()
        time.sleep(LAG_PAUSE_SECONDS)
    if not all_durable.wait(60):
        raise AssertionError("not every file became durable")
    sync.stop_at_once()
    lags = sorted(durable[name] - closed[name] for name in closed)
    return {
        "files": LAG_FILES,
        "median_seconds": statistics.median(lags),
        "p99_seconds": lags[-1 - LAG_FILES // 100],
        "max_seconds": lags[-1],
    }


def rows(figures: Mapping[str, Any]) -> list[str]:
    """The figures as rows of a Markdown table."""
    lines = [
        "| what | tool | seconds | MiB/s | files/s | peak MiB | simulator ÷ tool |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for load, ways in figures["carried"].items():
        for way, tools in ways.items():
            for name, one in tools.items():
                low, high = one["ratio_range"]
                ratio = "" if name == "simulator" else f"{one['ratio']:.2f} ({low:.2f}–{high:.2f})"
                lines.append(
                    f"| {load} {way} | {name} | {one['seconds']:.2f} | {one['mib_per_second']:.1f} | "
                    f"{one['files_per_second']:.0f} | {one['peak_mib']:.0f} | {ratio} |"
                )
    lag = figures["lag"]
    lines.append(
        f"| lag of {lag['files']} files | simulator | median {lag['median_seconds']:.3f}, "
        f"p99 {lag['p99_seconds']:.3f}, max {lag['max_seconds']:.3f} | | | | |"
    )
    return lines


def main(arguments: list[str]) -> None:
    """Measure; or, as a child, carry one folder up or down."""
    if arguments and arguments[0] in ("--up", "--down"):
        way, endpoint, folder, prefix = arguments
        (_up if way == "--up" else _down)(endpoint, Path(folder), prefix)
        return
    figures = measure()
    print("\n".join(rows(figures)))
    if arguments:
        Path(arguments[0]).write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
