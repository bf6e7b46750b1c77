"""summary.md: a run in Markdown, for pull requests, chats and GitHub's step summary."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from simulator.reports.search_strip import failures
from simulator.reports.search_told import commands, how_told, line_of, smallest_told
from simulator.reports.summary import CUT_SHORT, TIERS, VERDICTS, as_sentence, evidence_told, losses_told, money_told
from simulator.reports.wording import clean, count, number, printable, seconds

FINDINGS = 50  # that are written out, as GitHub cuts a summary of more than a megabyte; report.json has all
TRIALS = 20  # failed ones of a search, likewise
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&$@]|:(?=[\w/])|^[-+])")
_NUMBERED = re.compile(r"^(\d+)([.)])(?=\s|$)")

Report = Mapping[str, Any]


def markdown(report: Report) -> str:
    """The summary. What scripts print and name is escaped, so that it is read and not interpreted."""
    words = CUT_SHORT[0] if report["partial"] else VERDICTS[report["verdict"]][0]
    lines = [f"## {words.capitalize()}: {plain(report['job']['TrainingJobName'])}", ""]
    if report["partial"]:
        lines += [f"**{plain(as_sentence(report['partial_reason']))}.** What follows had happened until then.", ""]
    else:
        reason = report["reason"]
        lines += [f"**{plain(as_sentence(reason['what']))}.** {plain(as_sentence(reason['why']))}", ""]
        if report["tier"] is not None:
            lines += [f"Proof of tier {report['tier']}, {TIERS.get(report['tier'], '')}.", ""]
        if not (report.get("explored") and report["verdict"] == "survived"):
            lines += [f"Next: {plain(reason['next_step'])}", ""]
    lines += _explored(report)
    for finding in report["findings"][:FINDINGS]:
        lines += _finding(finding)
    if len(report["findings"]) > FINDINGS:
        lines += [f"{count(len(report['findings']) - FINDINGS, 'finding')} more: see report.json.", ""]
    lines += _attempts(report)
    lines += _listed("What proves it", report["tier_evidence"])
    lines += _listed("What was lost", [line.plain for line in losses_told(report)])
    lines += _listed("Time and money", [line.plain for line in money_told(report)])
    lines += _listed("Not proved", report["not_proved"])
    lines += _listed("Not tried", () if report.get("explored") else report.get("not_tried") or ())
    lines += _listed("Unlike SageMaker", report["fidelity_lost"])
    lines += _listed("Warnings", list(dict.fromkeys(report["warnings"]))[:20])
    return "\n".join(lines).rstrip() + "\n"


def plain(text: object) -> str:
    """Text of one line, with nothing in it that Markdown or HTML would take for its own."""
    escaped = _SPECIAL.sub(r"\\\1", clean(" ".join(str(text).split())))
    return _NUMBERED.sub(r"\1\\\2", escaped)


def _finding(finding: Mapping[str, Any]) -> list[str]:
    where = f", attempt {finding['attempt']}" if finding["attempt"] else ""
    title = f"### {plain(finding['rule'])} {plain(finding['name'])} ({plain(finding['severity'])}{where})"
    fix = printable(str(finding["fix"]))
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", fix)), default=0))
    seen = evidence_told(finding["evidence"])
    told = [plain(as_sentence(finding["message"])), "", *([f"Seen: {plain(seen)}", ""] if seen else [])]
    return [title, "", *told, "How to mend it:", "", fence, fix, fence, ""]


def _explored(report: Report) -> list[str]:
    explored = report.get("explored")
    if not explored:
        return []
    lines = ["### What was tried", "", f"**{plain(as_sentence(line_of(explored)))}.**", ""]
    if smallest := smallest_told(explored):
        lines += [f"The smallest failure: {plain(smallest)}", ""]
    lines += [
        line
        for command, does in commands(explored, None)
        for line in (f"{plain(as_sentence(does))}:", "", "```", command, "```", "")
    ]
    failed = failures(explored)
    if failed:
        lines += ["| Trial | What was tried | Rules | What was seen |", "| --- | --- | --- | --- |"]
        for trial in failed[:TRIALS]:
            cells = [trial["number"], trial["label"], " ".join(trial["rules"]), trial["evidence"]]
            lines.append("| " + " | ".join(plain(cell) for cell in cells) + " |")
        lines.append("")
        if len(failed) > TRIALS:
            lines += [f"{count(len(failed) - TRIALS, 'failure')} more: see report.json.", ""]
    return [*lines, *(f"- {plain(as_sentence(line))}" for line in how_told(explored)), ""]


def _attempts(report: Report) -> list[str]:
    if not report["attempts"]:
        return []
    rows = [
        "| Attempt | Ended as | Exit code | Lasted | Steps | Interruption |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for attempt in report["attempts"]:
        first, last = attempt["first_step"], attempt["last_step"]
        steps = f"{_number(first)} to {_number(last)}" if first is not None else "none logged"
        cells = [
            attempt["attempt"],
            attempt["outcome"] or "not ended",
            "" if attempt["exit_code"] is None else attempt["exit_code"],
            seconds(attempt["seconds"]),
            steps,
            attempt["interruption"]["trigger"] if attempt["interruption"] else "none",
        ]
        rows.append("| " + " | ".join(plain(cell) for cell in cells) + " |")
    return [*rows, ""]


def _listed(title: str, lines: Iterable[str]) -> list[str]:
    told = [f"- {plain(as_sentence(line))}" for line in lines]
    return [f"### {title}", "", *told, ""] if told else []


def _number(value: object) -> str:
    return number(value) if isinstance(value, int | float) else str(value)
