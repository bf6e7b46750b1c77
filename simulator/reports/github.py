"""What GitHub Actions shows of a run: annotations beside the change, and the step's summary page.

Workflow commands are lines of standard output; their escapes are those of GitHub's own toolkit (actions/toolkit,
packages/core/src/command.ts), since a script's text must not be able to give commands of its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from simulator.reports.markdown import markdown
from simulator.reports.search_told import line_of, smallest_told
from simulator.reports.summary import as_sentence
from simulator.reports.wording import printable

Report = Mapping[str, Any]


def tell_github(report: Report, stream: TextIO | None = None, environ: Mapping[str, str] | None = None) -> None:
    """Print the annotations and append to the step summary, where GitHub Actions runs this; otherwise nothing. Never
    raises: a summary that cannot be written is told, and changes no verdict."""
    environ = os.environ if environ is None else environ
    if environ.get("GITHUB_ACTIONS") != "true":
        return
    out = stream or sys.stdout
    out.write("".join(f"{line}\n" for line in workflow_commands(report)))
    out.flush()
    target = environ.get("GITHUB_STEP_SUMMARY")
    if target:
        try:
            with Path(target).open("a", encoding="utf-8", errors="replace") as summary:
                summary.write(markdown(report) + "\n")
        except OSError as error:
            out.write(_command("warning", "Step summary", f"it could not be written: {error}") + "\n")


def workflow_commands(report: Report) -> list[str]:
    """A workflow command for each finding, and one for a verdict that no finding tells."""
    lines = []
    for finding in report["findings"]:
        where = f" (attempt {finding['attempt']})" if finding["attempt"] else ""
        told = f"{as_sentence(finding['message'])}\nHow to mend it: {finding['fix']}"
        level = "error" if finding["severity"] == "error" else "warning"
        lines.append(_command(level, f"{finding['rule']} {finding['name']}{where}", told))
    reason = report["reason"]
    if report.get("explored"):
        lines.append(_explored(report["explored"]))
    if report["partial"]:
        lines.append(_command("error", "Spot interruption: cut short", str(report["partial_reason"])))
    elif report["verdict"] == "survived":
        lines.append(_command("notice", f"Spot interruption: survived, tier {report['tier']}", str(reason["what"])))
    elif report["verdict"] == "error" or all(finding["severity"] != "error" for finding in report["findings"]):
        title = "not proved" if report["verdict"] == "error" else "does not survive"
        told = f"{as_sentence(reason['what'])}: {reason['why']}\nNext: {reason['next_step']}"
        lines.append(_command("error", f"Spot interruption: {title}", told))
    return lines


def _explored(explored: Report) -> str:
    """A search's line, as an error where something failed; a workflow's log keeps it under its own title."""
    told = [line_of(explored), *([f"smallest: {smallest}"] if (smallest := smallest_told(explored)) else [])]
    level = "error" if explored["counts"]["failed"] else "notice"
    return _command(level, f"Spot interruption: explored {explored['search']}", "\n".join(told))


def _command(level: str, title: str, message: str) -> str:
    data = _escaped(message)
    return f"::{level} title={_escaped(title).replace(':', '%3A').replace(',', '%2C')}::{data}"


def _escaped(text: str) -> str:
    return printable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
