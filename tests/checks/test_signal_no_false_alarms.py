"""Correct scripts behind any starter, that answer SIGTERM in any correct way, are never convicted of not hearing it.

Each seed draws who starts the script, how it answers (saves and leaves, saves and waits, leaves and relies on regular
saves, goes on and relies on them), what it says, how it leaves, and when the processes were looked at.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from simulator.checks import Severity, sigterm_ignored, sigterm_swallowed
from simulator.checks.grace_budget import grace_budget
from simulator.checks.signal_path import signal_path
from simulator.core.timeline import Kind
from tests.checks.build import Attempt, Run, process, train

SEEDS = range(300)
TREES: dict[str, list[dict[str, Any]]] = {
    "alone": [process(1, 0, "python train.py", catches_sigterm=True)],
    "waits for it": [process(1, 0, "python train.py", blocks_sigterm=True, pends_sigterm=False)],
    "tini": [
        process(1, 0, "tini -- python train.py", blocks_sigterm=True, pends_sigterm=False),
        process(7, 1, "python train.py", catches_sigterm=True, pends_sigterm=False),
    ],
    "trap": [
        process(1, 0, "bash run.sh", catches_sigterm=True),
        process(7, 1, "python train.py", catches_sigterm=True),
    ],
    "torchrun": [
        process(1, 0, "python /usr/local/bin/torchrun train.py", catches_sigterm=True),
        process(7, 1, "python train.py", catches_sigterm=True),
        process(8, 1, "python train.py", catches_sigterm=True),
    ],
    "driver": [
        process(1, 0, "python launch.py", catches_sigterm=True),
        process(7, 1, "python train.py", catches_sigterm=True),
    ],
    "deaf": [process(1, 0, "python train.py")],
    "shell": [process(1, 0, "sh -c python train.py"), process(7, 1, "python train.py")],
    "sdk": [
        process(1, 0, "bash -c sm_train.sh"),
        process(7, 1, "python train.py", catches_sigterm=True),
    ],
}
HEARS = ("alone", "waits for it", "tini", "trap", "torchrun", "driver")
LINES = (
    "SIGTERM received; SIGKILL follows in 120 s",
    "terminating gracefully",
    "stopping after this epoch",
    "validation step 3",
    "writing checkpoint",
)


def answered(draw: random.Random) -> Run:
    name = draw.choice(list(TREES))
    tree = TREES[name]
    answers = ["goes on", "saves and leaves", "saves and waits", "leaves"] if name in HEARS else ["goes on"]
    answer = draw.choice(answers)
    regular = draw.choice([0, 5, 10, 20]) if answer.startswith("saves") else draw.choice([5, 10, 20])
    run = Run(interrupt="step=57", profile=draw.choice(["sagemaker", "two-minute"]))
    with run.attempt() as attempt:
        train(attempt, 1, 58, save_every=regular)
        attempt.trigger()
        attempt.sigterm(tree, draw.sample(LINES, 2))
        _answer(draw, attempt, tree, answer, regular)
    with run.attempt() as second:
        second.exit()
    return run


def _answer(
    draw: random.Random, attempt: Attempt, tree: Sequence[Mapping[str, Any]], answer: str, regular: int
) -> None:
    def look_and_speak() -> None:
        if draw.random() < 0.7:
            attempt.look(*tree)
        if draw.random() < 0.5:
            attempt.add(Kind.LOG_LINE, line=draw.choice(LINES))

    look_and_speak()
    if answer == "goes on":
        train(attempt, 58, 178, save_every=regular)
        attempt.kill()
        return
    step = draw.choice([0.1, 2, 30, 90])
    attempt.wait(step)
    look_and_speak()
    if answer == "leaves":
        if step < regular:  # longer steps would have come to their regular save
            attempt.exit_after_sigterm(draw.choice([0, 1, 143]))
        else:
            attempt.save("ckpt-58.npz")
            attempt.exit_after_sigterm(draw.choice([0, 1, 143]), flush=5)
        return
    attempt.save("last.npz", write=draw.choice([0.1, 3, 20]), upload=draw.choice([0.1, 3]))
    look_and_speak()
    if answer == "saves and leaves":
        if draw.random() < 0.5 and len(tree) > 1:
            attempt.look(tree[0])  # PID 1 outlives its child by a moment
        attempt.exit_after_sigterm(draw.choice([0, 1, 143]), flush=5)
    else:
        attempt.wait(100)
        look_and_speak()
        attempt.kill()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_correct_answer_is_not_convicted(seed: int) -> None:
    evidence = answered(random.Random(seed)).evidence()
    findings = [*sigterm_swallowed.check(evidence), *sigterm_ignored.check(evidence)]
    assert [finding.message for finding in findings if finding.severity is Severity.ERROR] == []


def test_every_drawn_run_has_a_path_and_a_budget_that_fit_together() -> None:
    for seed in SEEDS:
        evidence = answered(random.Random(seed)).evidence()
        path, budget = signal_path(evidence, 1), grace_budget(evidence, 1)
        assert path is not None and budget is not None
        assert path.hops[0].pid == 1
        assert not path.hops[-1].swallowed
        assert sum(hop.swallowed for hop in path.hops) <= 1
        for hop in path.hops:
            assert hop.got is not False or hop.acted_after_seconds is None
        assert sum(segment.seconds for segment in budget.segments) <= budget.window_seconds + 0.01
