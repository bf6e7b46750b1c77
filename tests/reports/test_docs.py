"""The pages name what the program has: assumptions, fields, exit codes, triggers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from simulator.app.rules import WRITE_PAGES, explain, pages, write_pages
from simulator.checks import RULES
from simulator.core.errors import ExitCode
from simulator.core.plan import PROFILES, When
from simulator.explore.coverage import Stop
from simulator.explore.trial import Outcome
from simulator.reports.assumptions import assumptions
from simulator.reports.finished import read_run
from simulator.reports.folder import OF_A_SEARCH
from simulator.reports.json_report import build_report
from simulator.reports.render import RENDERED
from tests.reports import runs
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


def test_every_field_and_outcome_of_a_search_is_explained():
    block = read_run(runs.kept("searched")).report["explored"]
    for field in (*block, *block["smallest"], *block["trials"][0], *block["landmarks"][0]):
        assert f"`{field}`" in page("reference.md")
    assert all(f"| `{outcome}` |" in page("reference.md") for outcome in Outcome)
    assert all(f"`{stop}`" in page("reference.md") for stop in Stop)


def test_every_file_of_a_search_is_explained():
    assert all(f"`{name}" in page("reference.md") for name in OF_A_SEARCH)


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


def test_the_rules_pages_are_what_the_command_prints():
    there = {path.name: path.read_text() for path in (DOCS / "rules").glob("*.md")}
    assert there == pages(), f"write them anew: {WRITE_PAGES}"


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_rule_is_explained_with_its_why_its_examples_and_its_source(rule):
    text = explain(rule.id.lower())
    assert rule.fails in text and rule.passes in text
    assert rule.why in " ".join(text.split("\n"))
    assert [text.index(f"## {part}") for part in ("Why", "Fails", "Passes", "Fix", "Source")]


def test_writing_the_pages_mends_what_differs_and_removes_what_is_no_more(tmp_path):
    write_pages(tmp_path)
    (tmp_path / "SPOT001.md").write_text("old")
    (tmp_path / "SPOT999.md").write_text("gone")
    assert write_pages(tmp_path) == ["SPOT001.md", "SPOT999.md"]
    assert {path.name: path.read_text() for path in tmp_path.glob("*.md")} == pages()
