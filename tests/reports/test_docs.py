"""The pages name what the program has: assumptions, fields, exit codes, triggers."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.core.errors import ExitCode
from simulator.core.plan import PROFILES, When
from simulator.reports.assumptions import assumptions
from simulator.reports.json_report import build_report
from tests.reports.story import record

DOCS = Path(__file__).parents[2] / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text()


def test_every_assumption_of_a_run_is_explained():
    run = record()
    for assumption in assumptions(run.plan, run.options):
        assert f"| `{assumption.name}` |" in page("assumptions.md")
        assert assumption.option in page("assumptions.md")


def test_every_profile_is_explained():
    assert all(f"`{name}`" in page("assumptions.md") for name in PROFILES)


def test_every_field_of_the_report_is_explained():
    report = build_report(record())
    for field in (*report, *report["attempts"][0]):
        assert f"`{field}`" in page("reference.md")


def test_every_exit_code_is_explained():
    assert all(f"| {int(code)} |" in page("reference.md") for code in ExitCode)


@pytest.mark.parametrize("when", [when for when in When if when not in (When.SECONDS, When.METRIC)])
def test_every_trigger_is_explained(when):
    assert f"`{when}" in page("reference.md")
