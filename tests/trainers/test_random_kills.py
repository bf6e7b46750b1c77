"""A correct trainer, interrupted at twenty moments that chance picks: survived each time, with the same proof."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from simulator.app.simulate import simulate
from simulator.runtimes.process import Isolation, ProcessRuntime
from tests.trainers.table import HERE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(ProcessRuntime().mode is Isolation.PLAIN, reason="the trainer names /opt/ml: needs namespaces"),
]
WAYS = (
    {"profile": "two-minute", "warning": 0.3, "grace": 2.0},
    {"profile": "sagemaker", "grace": 2.0},
    {"profile": "ec2", "warning": 0.3},
    {"profile": "sudden"},
)


@pytest.mark.parametrize("seed", range(20))
def test_a_correct_trainer_survives_at_a_random_moment_to_the_bit(seed: int, tmp_path: Path) -> None:
    draw = random.Random(seed)
    moment = draw.choice(["step=12..40", "checkpoint=2..7"])
    result = simulate(
        runtime="process",
        source_dir=HERE / "correct",
        entry_script="quick_and_exact.py",
        interrupt=(moment,),
        seed=seed,
        baseline=True,
        out=tmp_path / "run",
        **draw.choice(WAYS),
    )
    assert result.verdict.verdict == "survived", result.verdict.reason
    assert result.verdict.tier == 1, result.verdict.not_proved
