"""`python -m benchmarks`: every measurement, one after the other, and docs/benchmarks.md written anew from them."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import judge, memory, overhead, schedules, service, sync

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"

TEXT = """\
# Measurements

Written by `make bench` on {day}, on {machine}. Both sides of each ratio ran in turn, in one run on one machine; the
ratio is the median of the rounds', their range in brackets. Below 1 the simulator is the faster one. Seconds will
differ on your machine; the ratios should not, by much.

## One interrupted run against doing it by hand

The bundled trainer in its container, interrupted once with warning 0, whole processes: `spot-simulator run` against
[the shortest honest shell script](../benchmarks/by_hand.sh) with `docker run`, `docker kill` and `aws s3 sync`.

{overhead}

## Checkpoints to S3 and back

Whole processes against one moto server; `simulator` is the sync and the restore that a run uses. Every tool was seen to
have carried every file there and back. Lag is the time from a script's `close()` of a file until it was durable.

{sync}

## Schedules a minute

The bundled trainer, 60 steps of iris, lost without notice once its first checkpoint is in S3, and run to its end:
attempt, restore, attempt, verdict. As `explore` runs them: through its pool, as many at a time as there are cores, with
the folder store; workers, and zygotes with their imports, are there before the time is taken. The last row is what
one would do without a search: a command a schedule, whole processes with moto in a container.

{schedules}

## The verdict

A generated timeline of a run that is interrupted once, judged without anything else: the bound is one second for
100,000 events. Seconds of the processor, the median of the rounds.

{judge}

## The SageMaker API

`spot-simulator serve` and `moto_server`, each a process of its own on loopback, asked by one client in turn: the median
of 300 requests, the 95th percentile in brackets. The jobs of the last column print ten lines a second each.

{service}

## Memory

The harness over a whole interrupted run in the process runtime: save, upload, reclaim, restore, resume.

{memory}
"""


def main() -> None:
    """Measure, print, write the page. Raises CalledProcessError where a side of a comparison fails."""
    tables = {
        "overhead": _shown(overhead.rows(overhead.measure())),
        "sync": _shown(sync.rows(sync.measure())),
        "schedules": _shown(schedules.rows(schedules.measure())),
        "judge": _shown(judge.rows(judge.measure())),
        "service": _shown(service.rows(service.measure())),
        "memory": _shown(memory.rows(memory.measure())),
    }
    PAGE.write_text(TEXT.format(day=f"{datetime.now(UTC):%Y-%m-%d}", machine=_machine(), **tables))
    print(f"written: docs/{PAGE.name}")


def _shown(lines: Sequence[str]) -> str:
    table = "\n".join(lines)
    print(table, flush=True)
    return table


def _machine() -> str:
    """What it ran on, as far as it matters."""
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    wanted = "{{.ServerVersion}} with {{.Driver}}"
    engine = subprocess.run(["docker", "info", "--format", wanted], capture_output=True, text=True, check=True)
    processors = f"{os.cpu_count()} processors ({platform.machine()})"
    return f"{processors}, {gib:.0f} GiB, Python {platform.python_version()}, Docker {engine.stdout.strip()}"


if __name__ == "__main__":
    main()
