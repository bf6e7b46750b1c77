"""A search in each report for people and for CI."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from simulator.reports.badge import badge
from simulator.reports.finished import read_run
from simulator.reports.github import workflow_commands
from simulator.reports.junit import TRIALS, junit
from simulator.reports.markdown import markdown
from simulator.reports.summary import summary_text
from tests.reports import runs

LINES = {
    "searched": "survived 26 of 29 schedules, seed 7",
    "searched_states": "survived 212 of 214 states, seed 7",
    "searched_faults": "survived 5 of 5 faults, seed 7",
    "searched_widely": "survived 3915 of 4000 schedules, seed 7",
}


def report(kind: str):
    return read_run(runs.kept(kind)).report


@pytest.mark.parametrize("kind", LINES)
def test_the_line_is_in_every_report(kind):
    folder, line = runs.kept(kind), LINES[kind]
    assert f"  {line}\n" in summary_text(report(kind), folder)
    assert line in "\n".join(workflow_commands(report(kind)))
    assert line.capitalize() in (folder / "report.html").read_text()
    assert line.capitalize() in markdown(report(kind))
    assert line in junit(report(kind))


def test_the_terminal_ends_with_commands_that_are_not_broken(tmp_path):
    folder = tmp_path / ("long" * 40)
    told = summary_text(report("searched"), folder)
    assert f"\n  spot-simulator replay {folder}/replay.json\n" in told
    assert f"\n  python -m pytest {folder}/spot_case.py\n" in told
    assert "smallest  save=2 (sudden) (SPOT004)" in told


def test_a_search_that_all_survived_does_not_send_anybody_on():
    told = summary_text(report("searched_faults")) + markdown(report("searched_faults"))
    assert "next  " not in told and "Next: " not in told and "not tried" not in told.lower()


def test_the_page_has_the_failures_with_what_was_seen():
    html = (runs.kept("searched") / "report.html").read_text()
    assert "2 trials failed, smallest first" in html and "Attempt 2 died reading model.ckpt: EOFError" in html
    assert "spot-simulator replay replay.json" in html


def test_the_page_of_a_plain_run_says_nothing_of_searches():
    assert "What was tried" not in (runs.kept("survived") / "report.html").read_text()


def test_thousands_of_trials_make_a_page_that_can_be_mailed():
    assert (runs.kept("searched_widely") / "report.html").stat().st_size < 400_000


def cases(kind: str) -> list[ElementTree.Element]:
    root = ElementTree.fromstring(junit(report(kind)))
    (suite,) = [one for one in root if str(one.get("name")).startswith("explored ")]
    return list(suite)


def test_junit_has_a_case_for_each_trial_that_did_not_survive_and_one_for_all():
    whole, *others = cases("searched")
    assert whole.get("name") == "all that were tried" and whole.find("failure") is not None
    assert [(case.get("name", "").split(":")[0], case[0].tag) for case in others] == [
        ("25", "failure"),
        ("26", "failure"),
        ("31", "error"),
        ("30", "error"),
        ("29", "skipped"),
    ]


def test_junit_of_a_search_that_all_survived_is_one_passed_case_and_what_was_no_word_on_the_script():
    whole, undecided = cases("searched_faults")
    assert [part.tag for part in whole] == ["system-out"]
    assert [part.tag for part in undecided] == ["skipped"]


def test_junit_is_bounded():
    block = report("searched_widely")
    for trial in block["explored"]["trials"]:
        trial["outcome"] = "failed"
    root = ElementTree.fromstring(junit(block))
    assert sum(case.get("classname") == "spot-simulator.schedules" for case in root.iter("testcase")) == TRIALS + 1


def test_the_badge_says_how_many():
    assert "survived 5 of 5 faults" in badge(report("searched_faults"))
    assert "does not survive" in badge(report("searched"))
