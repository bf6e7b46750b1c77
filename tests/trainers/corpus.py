"""Runs the table's trainers and holds what the judge said against what the table expects.

A trainer is judged rightly when every one of its runs gives exactly the expected error rules, all expected warnings,
no warning that the table does not allow, and the verdict that follows from the errors.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from simulator.app.simulate import simulate
from simulator.core.errors import SimulatorError
from tests.trainers.table import TRAINERS, Run, Trainer

HANGS_AFTER_SECONDS = 150.0  # of runs that last a few: SPOT013 is then what a trainer that never ends is told
SIDE_BY_SIDE = 4  # they sleep most of the time; two cores carry that many


@dataclass(frozen=True)
class Judged:
    """What the judge said of one run."""

    verdict: str
    reason: str
    errors: frozenset[str]
    warnings: frozenset[str]

    def misjudged(self, trainer: Trainer) -> str:
        """How that differs from the table; empty when it does not."""
        said = []
        if missing := trainer.errors - self.errors:
            said.append(f"missed {_list(missing)}")
        if extra := self.errors - trainer.errors:
            said.append(f"wrongly {_list(extra)}")
        if missing := trainer.warnings - self.warnings:
            said.append(f"missed warning {_list(missing)}")
        if extra := self.warnings - trainer.warnings - trainer.tolerated - trainer.errors:
            said.append(f"wrongly warned {_list(extra)}")
        expected = "failed" if trainer.errors else "survived"
        if self.verdict != expected:
            said.append(f"verdict {self.verdict} ({self.reason}), not {expected}")
        return "; ".join(said)


@dataclass(frozen=True)
class Score:
    """What became of one trainer: its runs in the table's order, or why it could not be run here."""

    trainer: Trainer
    runs: Sequence[Judged] = ()
    not_run: str = ""

    @property
    def misjudged(self) -> str:
        """How the judge was wrong, run by run; empty where it was right."""
        if self.not_run:
            return ""
        wrong = [
            (run, judged.misjudged(self.trainer)) for run, judged in zip(self.trainer.runs, self.runs, strict=True)
        ]
        return "; ".join(f"{run}: {how}" for run, how in wrong if how)

    @property
    def said(self) -> str:
        """The rules that spoke, errors first, warnings in brackets."""
        errors = sorted(set().union(*(run.errors for run in self.runs)))
        warnings = sorted(set().union(*(run.warnings for run in self.runs)) - set(errors))
        return " ".join([*errors, *(f"({rule})" for rule in warnings)]) or "–"


def why_not_here(trainer: Trainer) -> str:
    """Why a trainer cannot run on this machine; empty where it can."""
    missing = [name for name in trainer.needs if not _can_import(name)]
    if missing:
        return f"not run: {', '.join(missing)} is not installed"
    return "not run: needs root" if trainer.needs_root and os.geteuid() != 0 else ""


@cache
def _can_import(module: str) -> bool:
    """Whether this Python has a module, or the system's own, which shell scripts may choose."""
    if importlib.util.find_spec(module) is not None:
        return True
    try:
        done = subprocess.run(["/usr/bin/python3", "-c", f"import {module}"], capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


def judge_run(trainer: Trainer, run: Run, out: Path, runtime: str = "process", **settings: object) -> Judged:
    """One run of one trainer, its folder in `out`. Raises SimulatorError where the machine, not the script, failed."""
    script = trainer.path
    result = simulate(
        **{
            "runtime": runtime,
            "source_dir": script.parent,
            "entry_script": script.name,
            "out": out,
            "max_runtime": HANGS_AFTER_SECONDS,
            **run.settings,
            **trainer.settings,
            **settings,
        }
    )
    findings = result.verdict.findings
    return Judged(
        result.verdict.verdict.value,
        result.verdict.reason.what,
        frozenset(finding.rule for finding in findings if finding.severity == "error"),
        frozenset(finding.rule for finding in findings if finding.severity == "warning"),
    )


def score(trainer: Trainer, folder: Path) -> Score:
    """All runs of one trainer in the process runtime; what each left goes below `folder`."""
    if reason := why_not_here(trainer):
        return Score(trainer, not_run=reason)
    runs = [
        judge_run(trainer, run, folder / f"{trainer.path.stem}-{number}") for number, run in enumerate(trainer.runs, 1)
    ]
    return Score(trainer, runs)


def scores(folder: Path, trainers: Iterable[Trainer] = TRAINERS) -> Iterator[Score]:
    """Every trainer's score as it comes, several side by side in processes of their own."""
    with ProcessPoolExecutor(SIDE_BY_SIDE, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = [pool.submit(score, trainer, folder) for trainer in sorted(trainers, key=lambda t: -t.weight)]
        try:
            for future in as_completed(waiting):
                yield future.result()
        except SimulatorError:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def summary(done: Sequence[Score]) -> tuple[str, bool]:
    """The last line, and whether all is as it should be. Trainers that could not be run count for nothing."""
    run = [score for score in done if not score.not_run]
    faulty = [score for score in run if score.trainer.is_faulty]
    correct = [score for score in run if not score.trainer.is_faulty]
    caught = sum(not score.misjudged for score in faulty)
    false = sum(bool(score.misjudged) for score in correct)
    line = f"caught {caught}/{len(faulty)}, false alarms {false}/{len(correct)}"
    return line, caught == len(faulty) and not false


def _list(rules: Iterable[str]) -> str:
    return " ".join(sorted(rules))
