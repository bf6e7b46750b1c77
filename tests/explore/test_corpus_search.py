"""What the search is to find in the corpus, and that it does for a few trainers; `make explore-corpus` does all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from simulator.runtimes.process import Isolation, ProcessRuntime
from tests.explore.corpus import Found, search
from tests.explore.page import PAGE, page, summary
from tests.explore.table import TABLE, Searched

needs_namespaces = pytest.mark.skipif(
    ProcessRuntime().mode is Isolation.PLAIN, reason="the trainers name /opt/ml: needs namespaces"
)
SOON_FOUND = ("dies_of_an_empty_folder.py", "string_sort.py", "deletes_what_it_took_up.py")


def row(name: str) -> Searched:
    return next(row for row in TABLE if row.trainer.path.name == name)


@needs_namespaces
@pytest.mark.slow
@pytest.mark.parametrize("name", SOON_FOUND)
def test_a_failure_is_found_without_being_told_where_and_told_by_its_smallest_schedule(
    name: str, tmp_path: Path
) -> None:
    found = search(row(name), tmp_path / "first")
    if found.wrong(row(name)):  # a kill is a moment of real time, and beside other tests it may fall elsewhere
        print(f"the first time: {found}")
        found = search(row(name), tmp_path / "again")
    assert found.wrong(row(name)) == ""


FOUND = Found(
    "faulty/string_sort.py",
    trials=3,
    first="step=140 (sudden)",
    rules=("SPOT003",),
    smallest="step=104 (sudden)",
    interruptions=1,
    kind="step",
)


@pytest.mark.parametrize(
    ("found", "wrong"),
    [
        (FOUND, ""),
        (replace(FOUND, first=""), "not found in 3 trials"),
        (replace(FOUND, rules=("SPOT001",)), "found SPOT001 and not SPOT003"),
        (replace(FOUND, interruptions=2), "2 interruptions are left of 1"),
        (replace(FOUND, kind="upload"), "shrunk to upload and not to step"),
        (replace(FOUND, first="", not_run="needs torch"), ""),
    ],
)
def test_what_was_found_is_held_against_the_table(found: Found, wrong: str) -> None:
    assert found.wrong(row("string_sort.py")) == wrong


def test_a_failure_of_a_correct_trainer_is_a_false_alarm() -> None:
    done = [(row("two_slots.py"), replace(FOUND, script="correct/two_slots.py"))]
    assert summary(done) == ("found 0/0, false alarms 1/1", False)
    assert "false alarm" in page(done)


def test_no_trainer_is_in_the_table_twice() -> None:
    scripts = [row.trainer.script for row in TABLE]
    assert len(set(scripts)) == len(scripts)


def test_the_page_names_every_trainer() -> None:
    text = PAGE.read_text()
    assert [row.trainer.script for row in TABLE if f"`{row.trainer.script}`" not in text] == []
