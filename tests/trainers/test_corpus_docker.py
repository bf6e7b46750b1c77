"""A part of the table in containers: the judge says there what it says in the process runtime."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trainers.corpus import judge_run
from tests.trainers.table import TRAINERS, Trainer

pytestmark = [pytest.mark.docker, pytest.mark.slow]
IN_CONTAINERS = [trainer for trainer in TRAINERS if trainer.docker]


@pytest.mark.parametrize("trainer", IN_CONTAINERS, ids=lambda trainer: trainer.script)
def test_the_judge_says_the_same_in_a_container(trainer: Trainer, training_image: str, tmp_path: Path) -> None:
    def judge(name: str) -> str:
        out = tmp_path / name
        return judge_run(trainer, trainer.docker_run, out, runtime="local-mode", image=training_image).misjudged(
            trainer
        )

    misjudged = judge("first")
    if misjudged:  # as in test_corpus.py
        print(f"the first time: {misjudged}")
        misjudged = judge("again")
    assert misjudged == ""


def test_a_dozen_trainers_run_in_containers() -> None:
    assert len(IN_CONTAINERS) >= 12
