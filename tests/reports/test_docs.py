"""The pages name what the program has: assumptions, fields, exit codes, triggers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from simulator.core.errors import ExitCode
from simulator.core.plan import PROFILES, When
from simulator.reports.assumptions import assumptions
from simulator.reports.json_report import build_report
from simulator.reports.render import RENDERED
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


def test_every_report_is_explained():
    for name in RENDERED:
        assert f"| `{name}` |" in page("reference.md")
        assert f"## {name}" in page("reports.md") or f"and {name}" in page("reports.md")


def test_every_picture_that_a_page_shows_is_there_and_small():
    for name in ("reports.md", "../README.md"):
        for picture in re.findall(r"\]\(((?:docs/)?images/[^)]+)\)", page(name)):
            file = DOCS / picture.removeprefix("docs/")
            assert 0 < file.stat().st_size < 200_000


def test_every_exit_code_is_explained():
    assert all(f"| {int(code)} |" in page("reference.md") for code in ExitCode)


@pytest.mark.parametrize("when", [when for when in When if when not in (When.SECONDS, When.METRIC)])
def test_every_trigger_is_explained(when):
    assert f"`{when}" in page("reference.md")
