"""junit.xml: what CI servers read. A suite an attempt, a case a rule; one for the verdict, one for a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from simulator.checks import RULES
from simulator.explore.trial import Outcome
from simulator.reports.search_strip import failures
from simulator.reports.search_told import line_of, smallest_told
from simulator.reports.wording import printable

Report = Mapping[str, Any]
TRIALS = 200  # of a search that have a case; report.json has all
_RUN = 0  # the attempt of what belongs to the whole run


def junit(report: Report) -> str:
    """The document. A finding that is an error fails its case; a warning is told in the case's output; a rule that
    could not answer is an error, and so is the verdict `error`; what a cut run did not come to is skipped."""
    suites = [_verdict_suite(report)]
    if report.get("explored"):
        suites.append(_explored_suite(report["explored"], report["started_at"]))
    for attempt in report["attempts"]:
        suite = _suite(f"attempt {attempt['attempt']}", attempt["started_at"], attempt["seconds"])
        suite.extend(_rule_cases(report, int(attempt["attempt"])))
        suites.append(suite)
    root = ElementTree.Element("testsuites", {"name": "spot-simulator"})
    for suite in suites:
        _count(suite, [suite])
        root.append(suite)
    _count(root, suites)
    root.set("time", f"{sum(float(suite.get('time', 0)) for suite in suites):.3f}")
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _verdict_suite(report: Report) -> ElementTree.Element:
    suite = _suite(str(report["job"]["TrainingJobName"]), report["started_at"], 0.0)
    properties = ElementTree.SubElement(suite, "properties")
    for name in ("schema_version", "verdict", "tier", "exit_code", "runtime", "seed"):
        value = report[name]
        entry = {"name": name, "value": "" if value is None else printable(str(value))}
        ElementTree.SubElement(properties, "property", entry)
    case = _case("run", "verdict")
    reason = report["reason"]
    what = report["partial_reason"] if report["partial"] else reason["what"]
    told = "" if report["partial"] else f"{reason['why']}\nnext: {reason['next_step']}"
    if report["partial"] or report["verdict"] == "error":
        _outcome(case, "error", str(what), "not-proved", told)
    elif report["verdict"] == "failed":
        _outcome(case, "failure", str(what), "does-not-survive", told)
    else:
        _say(case, "\n".join([str(what), *report["tier_evidence"]]))
    suite.append(case)
    suite.extend(_rule_cases(report, _RUN))
    return suite


def _explored_suite(explored: Report, started_at: str) -> ElementTree.Element:
    """A search: a case with its line, and one for each trial that did not survive, the gravest first, up to a bound."""
    name = str(explored["search"])
    suite = _suite(f"explored {name}", started_at, float(explored["seconds"]))
    whole = _case(name, "all that were tried")
    if explored["counts"]["failed"]:
        _outcome(whole, "failure", line_of(explored), "does-not-survive", smallest_told(explored) or "")
    elif explored["survived"] == explored["counted"] > 0:
        _say(whole, line_of(explored))
    else:
        _outcome(whole, "error", line_of(explored), "not-proved", "")
    suite.append(whole)
    for trial in (*failures(explored), *_open(explored))[:TRIALS]:
        case = _case(name, f"{trial['number']}: {trial['label']}")
        case.set("time", f"{trial['seconds']:.3f}")
        if trial["outcome"] == Outcome.FAILED:
            _outcome(case, "failure", str(trial["evidence"]), " ".join(trial["rules"]) or "does-not-survive", "")
        elif trial["outcome"] in (Outcome.MISSED, Outcome.UNDECIDED):
            ElementTree.SubElement(case, "skipped", {"message": printable(str(trial["evidence"]))})
        else:
            _outcome(case, "error", str(trial["evidence"]), str(trial["outcome"]), "")
        suite.append(case)
    return suite


def _open(explored: Report) -> list[Mapping[str, Any]]:
    """What neither survived nor failed, the gravest first."""
    order = (Outcome.UNPROVED, Outcome.BROKEN, Outcome.UNDECIDED, Outcome.MISSED)
    return [trial for outcome in order for trial in explored["trials"] if trial["outcome"] == outcome]


def _rule_cases(report: Report, attempt: int) -> list[ElementTree.Element]:
    """A case for each rule in an attempt; for the run as a whole only for those that say something about it."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    known = {int(entry["attempt"]) for entry in report["attempts"]}
    for finding in report["findings"]:
        of = int(finding["attempt"] or _RUN)
        if (of if of in known else _RUN) == attempt:
            found.setdefault((str(finding["rule"]), str(finding["name"])), []).append(finding)
    broken = {(str(check["rule"]), str(check["name"])): str(check["error"]) for check in report["broken_checks"]}
    if attempt == _RUN:
        rules = sorted({*found, *broken})
    else:
        rules = sorted({(rule.id, rule.name) for rule in RULES.values()} | set(found))
    cases = []
    for rule in rules:
        case = _case(f"attempt-{attempt}" if attempt else "run", " ".join(rule))
        _judge(case, found.get(rule, []), broken.get(rule), bool(report["partial"]))
        cases.append(case)
    return cases


def _judge(case: ElementTree.Element, findings: Sequence[Mapping[str, Any]], broken: str | None, partial: bool) -> None:
    errors = [finding for finding in findings if finding["severity"] == "error"]
    if broken is not None:
        _outcome(case, "error", broken, "check-could-not-answer", "")
    elif errors:
        told = "\n\n".join(f"{finding['message']}\n\nHow to mend it:\n{finding['fix']}" for finding in errors)
        _outcome(case, "failure", str(errors[0]["message"]), str(errors[0]["rule"]), told)
    elif partial and not findings:
        ElementTree.SubElement(case, "skipped", {"message": "the run was cut short"})
    warnings = [finding for finding in findings if finding["severity"] != "error"]
    if warnings:
        _say(case, "\n\n".join(f"warning: {finding['message']}\n\n{finding['fix']}" for finding in warnings))


def _suite(name: str, timestamp: str, seconds: float) -> ElementTree.Element:
    """Timestamps without fractions and zone, as the schema that most servers check against wants them; all are UTC."""
    return ElementTree.Element(
        "testsuite", {"name": printable(name), "timestamp": str(timestamp)[:19], "time": f"{seconds:.3f}"}
    )


def _case(of: str, name: str) -> ElementTree.Element:
    return ElementTree.Element("testcase", {"classname": f"spot-simulator.{of}", "name": printable(name), "time": "0"})


def _outcome(case: ElementTree.Element, tag: str, message: str, kind: str, text: str) -> None:
    element = ElementTree.SubElement(case, tag, {"message": printable(message), "type": printable(kind)})
    element.text = printable(text)


def _say(case: ElementTree.Element, text: str) -> None:
    ElementTree.SubElement(case, "system-out").text = printable(text)


def _count(into: ElementTree.Element, suites: Sequence[ElementTree.Element]) -> None:
    cases = [case for suite in suites for case in suite.iter("testcase")]
    into.set("tests", str(len(cases)))
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        into.set(name, str(sum(case.find(tag) is not None for case in cases)))
