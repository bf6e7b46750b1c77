"""The table of rules, and what happens to a rule that cannot answer."""

from __future__ import annotations

import ast
import json
import time
from dataclasses import replace

import pytest

from simulator import checks
from simulator.checks import RULES, Evidence, Rule, check_all
from simulator.core.timeline import Event, Kind, Timeline
from tests.checks.build import interrupted

RULES_BEFORE_PROOF = [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 16, 17, 18]
FIRST_VERDICT = ("001", "002", "003", "005", "006", "007", "008", "009", "011", "012", "013", "015", "017")


def test_the_rules_are_there_in_their_order() -> None:
    assert [int(rule[4:]) for rule in RULES if rule not in ("SPOT008", "SPOT015")] == RULES_BEFORE_PROOF


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_rule_tells_why_how_to_mend_it_and_whence_it_is_known(rule: Rule) -> None:
    assert rule.summary and rule.why and rule.fix and rule.source
    assert rule.id == f"SPOT{int(rule.id[4:]):03}"


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_rules_examples_are_code_and_differ(rule: Rule) -> None:
    assert rule.fails != rule.passes
    for example in (rule.fails, rule.passes):
        assert example.endswith("\n")
        if not example.startswith("#!/bin/sh"):
            ast.parse(example)


def test_a_rule_that_raises_is_an_open_question(monkeypatch: pytest.MonkeyPatch) -> None:
    def fall_over(evidence: Evidence) -> list[checks.Finding]:
        raise KeyError("bytes")

    monkeypatch.setattr(checks, "RULES", {"SPOT001": replace(RULES["SPOT001"], check=fall_over)})
    findings, broken = check_all(interrupted(51, save_every=10).evidence())
    assert findings == []
    assert [(check.rule, check.error) for check in broken] == [("SPOT001", "KeyError: 'bytes'")]


def test_findings_are_json_and_errors_come_first() -> None:
    run = interrupted(1, profile="sudden")
    findings, broken = check_all(run.evidence())
    assert broken == []
    assert json.loads(json.dumps([finding.as_dict() for finding in findings]))[0]["severity"] == "error"


def test_a_hundred_thousand_events_take_no_noticeable_time() -> None:
    run = interrupted(20_001, kill_at=20_008, stop=40_000, save_every=10, name="ckpt-{}.npz")
    timeline = run.timeline()
    assert len(timeline) > 95_000
    began = time.process_time()
    check_all(Evidence(timeline))
    assert time.process_time() - began < 3.0  # about one, with room for a busy machine


def test_an_empty_timeline_breaks_nothing_else() -> None:
    findings, _ = check_all(Evidence(Timeline([Event(0.0, Kind.WARNING)])))
    assert findings == []
