"""Correct scripts of drawn styles are never convicted, and scripts that never load are never called survivors.

Each seed draws how a script steps, logs, names, writes and reacts, how slow its uploads are, and when it is cut off.
What it resumes from is what a careful loader would choose: the newest checkpoint of which every file is there.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

import pytest

from simulator.checks import Severity
from simulator.core.plan import PROFILES
from simulator.verdict import Answer, judge
from tests.checks.build import BASH_DRIVER, NO_HANDLER, SCRIPT_AS_PID_1, Attempt, Run

SEEDS = range(110)
SPEED = 10  # the warning and the grace are this much shorter than the profiles'


@dataclass
class Script:
    """A script of a drawn style."""

    draw: random.Random

    def __post_init__(self) -> None:
        choose = self.draw.choice
        self.seconds = choose([0.02, 0.1, 0.5, 1, 2, 10])
        self.steps = choose([60, 200, 400])
        self.save_every = choose([1, 3, 10, 25, 50])
        self.log_every = choose([1, 1, 5, 10])
        self.name = choose(
            ["ckpt-{}.npz", "checkpoint.npz", "checkpoint-{}/model.bin", "{}", "state.json", "epoch_{}.pt"]
        )
        self.files = choose(["", "", ".opt"])
        self.write, self.upload = choose([0.01, 0.1, 1, 3]), choose([0.05, 0.3, 2, 8])
        self.reacts = choose([True, False])
        self.line = choose(
            ["step={step} loss={loss}", "epoch {epoch} step {step} loss={loss}", "epoch {epoch} step {within}"]
        )
        self.banner = choose(["", "step=0 compile", "train.py --steps 500", "total steps: 9999", "epoch 0 warmup"])
        self.bookkeeping = choose(["", "", "metrics.csv", "history.json"])
        self.processes = choose([NO_HANDLER, SCRIPT_AS_PID_1, BASH_DRIVER, []])
        self.holds: dict[str, int] = {}  # digest → the step that it holds

    def resume_from(self, run: Run) -> int:
        files = Counter(self.holds[file["digest"]] for file in run.s3.values() if file["digest"] in self.holds)
        return max((step for step, count in files.items() if count == (2 if self.files else 1)), default=0)

    def save(self, attempt: Attempt, step: int) -> None:
        for suffix in {"", self.files}:
            digest = attempt.save(self.name.format(step) + suffix, 1000, self.write, self.upload)
            self.holds[digest] = step

    def step(self, attempt: Attempt, step: int) -> None:
        attempt.wait(self.seconds * self.draw.uniform(0.9, 1.1))
        if step % self.log_every == 0:
            epoch, within = divmod(step - 1, 20)
            attempt.log(self.line.format(step=step, loss=1 / (step + 1), epoch=epoch, within=within))
        if self.bookkeeping:
            attempt.save(self.bookkeeping, 50 + step, 0.001, 0.02)
        if step % self.save_every == 0:
            self.save(attempt, step)


def run_of(seed: int, loads: bool) -> Run:
    draw = random.Random(seed)
    script = Script(draw)
    kills = sorted(draw.sample(range(2, script.steps - 2), draw.choice([1, 1, 2])))
    run = Run(*(f"step={step}" for step in kills), profile=draw.choice(list(PROFILES)))
    for kill_at in [*kills, None]:
        with run.attempt() as attempt:
            if script.banner:
                attempt.log(script.banner)
            if _train(run, attempt, script, script.resume_from(run) + 1 if loads else 1, kill_at):
                break
    return run


def _train(run: Run, attempt: Attempt, script: Script, first: int, kill_at: int | None) -> bool:
    """True when the job ended with this attempt."""
    warning = (run.profile.warning_seconds or 0.0) / SPEED
    triggered = told = None
    for step in range(first, script.steps + 1):
        script.step(attempt, step)
        if triggered is None and kill_at is not None and step >= kill_at:
            attempt.trigger()
            triggered = run.now
        if triggered is None or run.now < triggered + warning:
            continue
        if not run.profile.sigterm:
            attempt.wait(_part_of_a_step(script))
            attempt.kill()
            return False
        if told is None:
            told = run.now
            attempt.sigterm(SCRIPT_AS_PID_1 if script.reacts else script.processes)
            if script.reacts:
                attempt.wait(0.05)
                script.save(attempt, step)
                attempt.exit_after_sigterm(0, flush=2 * script.upload + 1)
                return False
        if run.now >= told + run.profile.grace_seconds / SPEED:
            attempt.kill()
            return False
    attempt.exit()
    return True


def _part_of_a_step(script: Script) -> float:
    return script.seconds * script.draw.random()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_correct_script_is_not_convicted(seed: int) -> None:
    verdict = judge(run_of(seed, loads=True).timeline())
    errors = [finding.message for finding in verdict.findings if finding.severity is Severity.ERROR]
    assert (errors, verdict.broken_checks) == ([], [])
    assert verdict.verdict is not Answer.FAILED


@pytest.mark.parametrize("seed", SEEDS)
def test_a_script_that_never_loads_does_not_survive(seed: int) -> None:
    assert judge(run_of(seed, loads=False).timeline()).verdict is not Answer.SURVIVED


def test_most_drawn_scripts_are_judged_for_certain() -> None:
    answers = Counter(judge(run_of(seed, loads=True).timeline()).verdict for seed in SEEDS)
    assert answers[Answer.SURVIVED] > len(SEEDS) / 2
