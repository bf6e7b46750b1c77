"""junit.xml: one case a rule and attempt, counted right, and of the shape that CI servers read."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import xmlschema

from simulator.checks import RULES
from simulator.reports.finished import read_run
from simulator.reports.json_report import build_report
from simulator.reports.junit import junit
from tests.reports import runs
from tests.reports.story import record

FINDING = {"rule": "SPOT003", "name": "lost-progress", "attempt": 2, "message": "lost", "evidence": {}, "fix": "save"}


@cache
def schema() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(Path(__file__).with_name("junit.xsd"))


def root_of(report: dict[str, Any]) -> ElementTree.Element:
    text = junit(report)
    schema().validate(text)
    return ElementTree.fromstring(text.encode())


def report(**fields: Any) -> dict[str, Any]:
    return build_report(record()) | fields


def case(root: ElementTree.Element, of: str, name: str) -> ElementTree.Element:
    (found,) = [
        one for one in root.iter("testcase") if one.get("classname", "").endswith(of) and one.get("name") == name
    ]
    return found


@pytest.mark.parametrize("kind", runs.KINDS)
def test_every_kind_of_run_gives_a_valid_document_whose_counts_agree(kind):
    root = root_of(read_run(runs.kept(kind)).report)
    for element in (root, *root.iter("testsuite")):
        cases = list(element.iter("testcase"))
        assert int(element.get("tests", -1)) == len(cases)
        for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(element.get(name, -1)) == sum(one.find(tag) is not None for one in cases)


def test_a_run_that_survived_has_a_passed_case_for_each_rule_and_attempt():
    root = root_of(report())
    assert int(root.get("tests", 0)) == 2 * len(RULES) + 1
    assert (root.get("failures"), root.get("errors"), root.get("skipped")) == ("0", "0", "0")


def test_an_error_fails_its_case_with_the_message_and_the_fix():
    root = root_of(report(findings=[{**FINDING, "severity": "error"}], verdict="failed"))
    failure = case(root, "attempt-2", "SPOT003 lost-progress").find("failure")
    assert failure.get("message") == "lost"
    assert "How to mend it:\nsave" in failure.text
    assert case(root, "attempt-1", "SPOT003 lost-progress").find("failure") is None
    assert case(root, "run", "verdict").find("failure") is not None


def test_a_warning_passes_and_is_told_in_the_output():
    root = root_of(report(findings=[{**FINDING, "severity": "warning"}]))
    found = case(root, "attempt-2", "SPOT003 lost-progress")
    assert found.find("failure") is None
    assert "warning: lost" in found.find("system-out").text


def test_a_finding_of_the_whole_run_is_in_the_run_s_suite():
    root = root_of(report(findings=[{**FINDING, "severity": "error", "attempt": 0}], verdict="failed"))
    assert case(root, "run", "SPOT003 lost-progress").find("failure") is not None


def test_several_findings_of_a_rule_in_an_attempt_are_one_case():
    both = [{**FINDING, "severity": "error"}, {**FINDING, "severity": "error", "message": "and more"}]
    failure = case(root_of(report(findings=both)), "attempt-2", "SPOT003 lost-progress").find("failure")
    assert "and more" in failure.text


def test_a_rule_that_this_version_does_not_know_is_told_too():
    finding = {**FINDING, "rule": "SPOT099", "name": "not-yet-known", "severity": "error"}
    assert case(root_of(report(findings=[finding])), "attempt-2", "SPOT099 not-yet-known").find("failure") is not None


def test_a_verdict_that_proves_nothing_is_an_error():
    error = case(root_of(report(verdict="error")), "run", "verdict").find("error")
    assert error.get("type") == "not-proved"


def test_a_rule_that_could_not_answer_is_an_error_in_every_attempt():
    root = root_of(report(broken_checks=[{"rule": "SPOT003", "name": "lost-progress", "error": "KeyError: x"}]))
    assert [case(root, of, "SPOT003 lost-progress").find("error") is not None for of in ("attempt-1", "attempt-2")] == [
        True,
        True,
    ]


def test_what_a_cut_run_did_not_come_to_is_skipped():
    root = root_of(read_run(runs.kept("cut_short")).report)
    assert case(root, "run", "verdict").find("error").get("message") == "interrupted by the user"
    assert int(root.get("skipped", 0)) == len(RULES)


def test_what_xml_cannot_hold_is_left_out():
    finding = {**FINDING, "severity": "error", "message": "a\x00b\x1b[1m\ufffe\ud800]]>", "fix": "<&\x0b"}
    failure = case(root_of(report(findings=[finding])), "attempt-2", "SPOT003 lost-progress").find("failure")
    assert failure.get("message") == "ab[1m]]>"
    assert failure.text.endswith("<&")
