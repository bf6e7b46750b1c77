"""Correct scripts of drawn styles, held against their uninterrupted runs: never diverged, never replaying samples.

Each seed draws how a script logs (each step or some, a mean since the last line or over the epoch, few digits, a bar
that repeats), whether it repeats itself, how it draws and tells samples, what of its output a kill takes along, and
when. It brings back all of its state; what it logs of the past (its means) it may forget.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from math import exp

import pytest

from simulator.core.timeline import Kind
from simulator.verdict import Answer, Baseline, Verdict, judge
from tests.checks.build import Attempt, Run

SEEDS = range(80)
PER_EPOCH = 12
RESUMED = 2  # what the generator of the attempt that resumed is seeded with


@dataclass
class Script:
    """A script of a drawn style."""

    seed: int

    def __post_init__(self) -> None:
        draw = random.Random(self.seed)
        choose = draw.choice
        self.steps = choose([40, 96, 200])
        self.save_every = choose([5, 7, 12, 20])
        self.log_every = choose([1, 1, 1, 3, 10])
        self.mean = choose(["none", "none", "interval", "epoch"])
        self.digits = choose([2, 4, 17])
        self.bar = choose([1, 1, 3])
        self.noise = choose([0.0, 0.0, 1e-6, 3e-4, 0.05])
        self.keeps_means = choose([True, False])
        self.epochs = choose([True, False])
        self.order = choose(["none", "shuffled", "shuffled", "replacing", "dropping", "streaming"])
        self.loses_lines = choose([0, 0, 3, 9])
        self.dummy_model = choose([True, False])
        self.kill_at = draw.randrange(self.save_every + 2, self.steps - 1)
        self.forgets = 1.0  # what its loss is multiplied with once it has restored

    def loss(self, step: int, alone: random.Random) -> float:
        shape = random.Random(step).uniform(0.8, 1.2)
        return (2 * exp(-step / 30) + 0.01) * shape * (1 + self.noise * alone.uniform(-1, 1))

    def ids(self, step: int) -> list[str]:
        epoch, batch = divmod(step - 1, PER_EPOCH)
        draw = random.Random(epoch)
        if self.order == "replacing":
            return [str(random.Random(step * 10 + place).randrange(40)) for place in range(4)]
        if self.order == "streaming":
            return [str(4 * step + place) for place in range(4)]
        pool = list(range(4 * PER_EPOCH + (3 if self.order == "dropping" else 0)))
        draw.shuffle(pool)
        return [str(one) for one in pool[4 * batch : 4 * batch + 4]]

    def train(self, attempt: Attempt, first: int, stop: int, run_seed: int, killed: bool) -> int:
        """Returns the step of the newest checkpoint."""
        alone = random.Random(run_seed)
        factor = self.forgets if first > 1 else 1.0
        since: list[float] = []
        saved = first - 1
        if self.keeps_means and self.mean != "none":
            since = [self.loss(step, random.Random(run_seed)) for step in self._since(first)] if not self.noise else []
        for step in range(first, stop):
            attempt.wait(1)
            epoch = (step - 1) // PER_EPOCH
            if self.mean == "epoch" and (step - 1) % PER_EPOCH == 0:
                since = []
            since.append(self.loss(step, alone))
            lost = killed and step >= stop - self.loses_lines
            if step % self.log_every == 0 or step == self.steps:
                value = since[-1] if self.mean == "none" else sum(since) / len(since)
                for part in range(self.bar, 0, -1):
                    told = f"loss={round(value * part * factor, self.digits)!r}"
                    if not lost:
                        attempt.log((f"epoch={epoch} " if self.epochs else "") + f"step={step} {told}")
                if self.mean == "interval":
                    since = []
            if self.order != "none" and not lost:
                attempt.add(Kind.SAMPLES, epoch=epoch, step=step, ids=self.ids(step), source="log")
            if step % self.save_every == 0:
                attempt.save(f"ckpt-{step}.npz")
                saved = step
        return saved

    def _since(self, first: int) -> range:
        if self.mean == "epoch":
            return range((first - 1) // PER_EPOCH * PER_EPOCH + 1, first)
        return range((first - 1) // self.log_every * self.log_every + 1, first)

    def end(self, attempt: Attempt, run_seed: int) -> None:
        digest = "same" if self.noise == 0 else f"of run {run_seed}"
        if self.forgets != 1.0 and run_seed == RESUMED:
            digest = "another"
        attempt.model = {"model.npz": {"bytes": 13 if self.dummy_model else 4000, "digest": digest}}
        attempt.exit()


def story(seed: int, forgets: float = 1.0) -> tuple[Run, list[Run]]:
    script = Script(seed)
    script.forgets = forgets
    run = Run(interrupt=f"step={script.kill_at}")
    with run.attempt() as attempt:
        saved = script.train(attempt, 1, script.kill_at + 1, 1, killed=True)
        attempt.wait(0.5)
        attempt.trigger()
        attempt.kill()
    with run.attempt() as attempt:
        script.train(attempt, saved + 1, script.steps + 1, RESUMED, killed=False)
        script.end(attempt, RESUMED)
    alone = []
    for number in (3, 4):
        one = Run()
        with one.attempt() as attempt:
            script.train(attempt, 1, script.steps + 1, number, killed=False)
            script.end(attempt, number)
        alone.append(one)
    return run, alone


def judged(seed: int, forgets: float = 1.0) -> Verdict:
    run, alone = story(seed, forgets)
    return judge(run.timeline(), baseline=Baseline([one.timeline() for one in alone]))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_correct_script_is_neither_diverged_nor_replaying(seed: int) -> None:
    verdict = judged(seed)
    errors = [
        finding.message
        for finding in verdict.findings
        if finding.rule in ("SPOT008", "SPOT015") and finding.severity == "error"
    ]
    assert (errors, verdict.broken_checks) == ([], []), Script(seed)


def test_scripts_that_bring_back_all_are_often_proved_bit_by_bit() -> None:
    tiers = Counter(verdict.tier for verdict in map(judged, SEEDS) if verdict.verdict is Answer.SURVIVED)
    assert tiers[1] > len(SEEDS) / 5 and set(tiers) == {1, 2, 3}


def test_scripts_of_the_same_styles_that_forget_are_convicted_where_their_log_tells() -> None:
    telling = [seed for seed in SEEDS if Script(seed).noise == 0 and Script(seed).digits > 2]
    convicted = [
        seed for seed in telling if "SPOT008" in {f.rule for f in judged(seed, 1.1).findings if f.severity == "error"}
    ]
    assert len(convicted) == len(telling) > 10, set(telling) - set(convicted)
