"""The table, judged: each faulty trainer yields its rules and no others, each correct one none; and it is complete."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from simulator.runtimes.process import Isolation, ProcessRuntime
from tests.conftest import JUDGED
from tests.trainers.corpus import score
from tests.trainers.table import HERE, TRAINERS, Trainer

needs_namespaces = pytest.mark.skipif(
    ProcessRuntime().mode is Isolation.PLAIN, reason="the trainers name /opt/ml: needs namespaces"
)
PAGE = HERE.parents[1] / "docs" / "corpus.md"


def scripts() -> set[str]:
    """Every trainer in the folders; what lies deeper is a part of one."""
    return {f"{kind}/{path.name}" for kind in ("faulty", "correct") for path in (HERE / kind).glob("*.*")}


@needs_namespaces
@pytest.mark.slow
@pytest.mark.parametrize("trainer", TRAINERS, ids=lambda trainer: trainer.script)
def test_the_judge_says_what_the_table_expects(
    trainer: Trainer, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    judged = score(trainer, tmp_path / "first")
    if judged.not_run:
        pytest.skip(judged.not_run)
    if judged.misjudged:  # a kill is a moment of real time, and beside other tests it may fall elsewhere in a save
        print(f"the first time: {judged.misjudged}")
        judged = score(trainer, tmp_path / "again")
    record_property(JUDGED, f"{trainer.script:38} {judged.said}")
    assert judged.misjudged == ""


def test_every_trainer_is_in_the_table_once() -> None:
    assert sorted(scripts()) == sorted(trainer.script for trainer in TRAINERS)


def test_the_page_names_every_trainer() -> None:
    page = PAGE.read_text()
    assert [script for script in sorted(scripts()) if f"`{script}`" not in page] == []


def test_without_optional_frameworks_there_are_thirty_faulty_and_twelve_correct_ones() -> None:
    counted = [trainer for trainer in TRAINERS if "torch" not in trainer.needs]
    assert sum(trainer.is_faulty for trainer in counted) >= 30
    assert sum(not trainer.is_faulty for trainer in counted) >= 12


@pytest.mark.parametrize("trainer", [t for t in TRAINERS if t.is_faulty], ids=lambda trainer: trainer.script)
def test_every_faulty_trainer_says_what_it_is_modelled_on(trainer: Trainer) -> None:
    cited = re.sub(r"\s+", " ", re.sub(r"^# ?", "", trainer.path.read_text(), flags=re.M))
    name = trainer.about.rpartition("/")[2]
    assert name in cited, f"its docstring does not cite {name}"


@pytest.mark.parametrize(
    "moment", ["step=", "save", "upload", "download"], ids=["in mid-epoch", "saving", "uploading", "restoring"]
)
def test_every_dangerous_moment_is_among_the_kill_points(moment: str) -> None:
    assert any(text.startswith(moment) for t in TRAINERS for run in t.runs for text in run.interrupt)
