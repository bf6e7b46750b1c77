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
    judged = judge_run(trainer, trainer.docker_run, tmp_path / "run", runtime="local-mode", image=training_image)
    assert judged.misjudged(trainer) == ""


def test_a_dozen_trainers_run_in_containers() -> None:
    assert len(IN_CONTAINERS) >= 12
