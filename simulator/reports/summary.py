"""The final summary: the verdict first, then what proves it, what was lost, what spot saves, and what is left open.

Made from report.json's content alone, so that a run reads the same when it is shown again.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from simulator.core.errors import ExitCode
from simulator.reports.search_told import caveats, commands, how_told, short_line, smallest_told
from simulator.reports.stream import as_forgiving
from simulator.reports.wording import clean, count, number, seconds

TIERS = {
    1: "bit-identical: checkpoints and metrics equal the uninterrupted run's",
    2: "equivalent: metrics within the tolerance, the same samples in the same order where they are told",
    3: "progress: training went on from the checkpoint",
}
EXIT_CODES = {
    ExitCode.SURVIVED: "survives",
    ExitCode.DOES_NOT_SURVIVE: "does not survive",
    ExitCode.USAGE: "nothing was proved",
    ExitCode.ENVIRONMENT: "the environment failed",
    ExitCode.INTERRUPTED_BY_USER: "interrupted by you",
}

VERDICTS = {
    "survived": ("SURVIVED", "bold green"),
    "failed": ("DOES NOT SURVIVE", "bold red"),
    "error": ("NOT PROVED", "bold yellow"),
}
CUT_SHORT = ("CUT SHORT", "bold yellow")
_PRICE = "The spot price is not in this: its discount of up to 90 % comes on top and is not known here."
_CLOCK = "Which seconds are billed around an interruption is an assumption: see docs/assumptions.md."
_WIDTH = 100

Report = Mapping[str, Any]


def print_summary(report: Report, folder: Path | None = None, stream: TextIO | None = None) -> None:
    """Print the summary: with colours on a terminal, as plain text elsewhere (and with NO_COLOR)."""
    out = as_forgiving(stream or sys.stdout)
    console = Console(file=out, highlight=False, markup=False, emoji=False)
    if console.is_terminal:
        console.print(summary(report, folder))
        for line in _last_lines(report, folder):
            console.print(line, soft_wrap=True)
    else:
        out.write(summary_text(report, folder))
        out.flush()


def summary_text(report: Report, folder: Path | None = None, width: int = _WIDTH) -> str:
    """The summary as plain text."""
    stream = io.StringIO()
    console = Console(file=stream, width=width, color_system=None, force_terminal=False)
    console.print(summary(report, folder))
    for line in _last_lines(report, folder):
        console.print(line, soft_wrap=True)
    return "".join(line.rstrip() + "\n" for line in stream.getvalue().splitlines())


def summary(report: Report, folder: Path | None = None) -> RenderableType:
    """The summary for a console of any width."""
    sections: list[RenderableType] = [Text(), *_verdict(report)]
    sections += _section("What was tried", list(_explored(report)))
    sections += _section("What proves it", [Text(clean(line)) for line in report["tier_evidence"]])
    sections += _section("Findings", [_finding(finding) for finding in report["findings"]])
    sections += _section("What was lost", list(losses_told(report)))
    sections += _section("Time and money", list(money_told(report)))
    sections += _section("What was not proved", [Text(clean(line)) for line in report["not_proved"]])
    if report["verdict"] == "survived" and not report.get("explored"):
        sections += _section("What was not tried", [Text(clean(line)) for line in report.get("not_tried", ())])
    sections += _section("Unlike SageMaker", [Text(clean(line)) for line in report["fidelity_lost"]])
    sections += _section("Signal and grace", list(_grace(report)))
    sections += _section("Warnings", _warnings(report))
    sections += _section("Files", list(_files(report, folder)))
    return Group(*sections)


def _verdict(report: Report) -> Iterable[RenderableType]:
    words, style = CUT_SHORT if report["partial"] else VERDICTS[report["verdict"]]
    code = report["exit_code"]
    head = Text.assemble((words, style), "  ", (clean(report["job"]["TrainingJobName"]), "bold"))
    head.append(f"  exit code {code}, {EXIT_CODES[ExitCode(code)]}", "dim")
    yield head
    reason = report["reason"]
    if report["partial"]:
        yield _indented(Text(clean(report["partial_reason"].replace("\n", ";"))))
        yield _indented(Text("What is below is what had happened until then.", "dim"))
        return
    if report["tier"] is not None:
        yield _indented(Text(f"tier {report['tier']}, {TIERS[report['tier']]}"))
    yield _indented(Text(as_sentence(reason["what"])))
    told_below = {*report["tier_evidence"], *(finding["message"] for finding in report["findings"])}
    if reason["why"] not in told_below:
        yield _indented(Text.assemble(("why   ", "dim"), clean(reason["why"])))
    if not (report.get("explored") and report["verdict"] == "survived"):
        yield _indented(Text.assemble(("next  ", "dim"), clean(reason["next_step"])))


def _explored(report: Report) -> Iterable[Text]:
    """What a search tried, and its smallest failure."""
    explored = report.get("explored")
    if not explored:
        return
    yield Text(short_line(explored), "bold")
    yield from (Text(f"  {line}") for line in caveats(explored))
    if smallest := smallest_told(explored):
        yield Text.assemble(("smallest  ", "dim"), smallest)
    yield from (Text(line, "dim") for line in how_told(explored))


def _finding(finding: Mapping[str, Any]) -> RenderableType:
    style = "bold red" if finding["severity"] == "error" else "yellow"
    head = Text.assemble((f"{finding['rule']} {finding['name']}", style), f" ({finding['severity']}")
    head.append(f", attempt {finding['attempt']})" if finding["attempt"] else ")")
    lines: list[RenderableType] = [head, _indented(Text(as_sentence(finding["message"])))]
    told = evidence_told(finding["evidence"])
    if told:
        lines.append(_indented(Text.assemble(("seen  ", "dim"), told)))
    fix = [clean(line) for line in str(finding["fix"]).splitlines()]
    lines.append(_indented(Text.assemble(("fix   ", "dim"), "\n      ".join(fix))))
    return Group(*lines)


def evidence_told(evidence: Mapping[str, Any]) -> str:
    """The evidence's plain facts; lists and tables are in report.json."""
    facts = []
    for name, value in evidence.items():
        if isinstance(value, bool | int | float | str):
            facts.append(f"{name.replace('_', ' ')}: {_value(value)}")
        elif isinstance(value, Sequence) and value:
            shown = ", ".join(_value(item) for item in value[:3] if isinstance(item, str | int | float))
            more = f" and {len(value) - 3} more" if len(value) > 3 else ""
            facts.append(f"{name.replace('_', ' ')}: {shown + more if shown else count(len(value), 'entry')}")
    return "; ".join(facts)


def _value(value: object) -> str:
    if isinstance(value, float):
        return number(value)
    return clean(str(value))


def losses_told(report: Report) -> Iterable[Text]:
    """What each interruption cost, a line each."""
    losses = report["losses"]["interruptions"]
    for loss in losses:
        restart = loss["restart_seconds"]
        lost = [seconds(loss["work_seconds"] + (restart or 0.0))]
        told = [f"{seconds(loss['work_seconds'])} of its time is in no checkpoint in S3"]
        unit = clean(loss["metric"] or "")
        if loss["progress_lost"] is not None and unit:
            lost.insert(0, count(round(loss["progress_lost"]), unit))
            told.insert(0, f"reached {unit} {number(loss['reached'])}, went on at {unit} {number(loss['resumed_at'])}")
        else:
            told.insert(0, "how many steps is not known, as no later attempt logged any")
        if restart is not None:
            told.append(f"{seconds(restart)} passed until the script ran again")
        trigger = _trigger_of(report, loss["attempt"])
        yield Text(f"attempt {loss['attempt']}{trigger}: {' and '.join(lost)}: {'; '.join(told)}")
    if len(losses) > 1:
        yield Text(f"together {seconds(report['losses']['seconds_lost'])}")
    if not losses and any(attempt["interruption"] for attempt in report["attempts"]):
        yield Text("no instance was taken away")


def _trigger_of(report: Report, attempt: int) -> str:
    for facts in report["attempts"]:
        if facts["attempt"] == attempt and facts["interruption"]:
            return f" ({clean(facts['interruption']['trigger'])})"
    return ""


def money_told(report: Report) -> Iterable[Text]:
    """What the service would bill, and what that leaves open."""
    job, money = report["job"], report["billing"]
    if money["training_seconds"] <= 0:
        return
    training, billable = job["TrainingTimeInSeconds"], job["BillableTimeInSeconds"]
    yield Text(f"TrainingTimeInSeconds {training}, BillableTimeInSeconds {billable}")
    yield Text(
        f"Managed Spot Training savings: {money['savings_percent']:.1f} %, as the service prints it:"
        f" {seconds(money['waiting_seconds'])} of that time had no instance"
    )
    break_even = _break_even_percent(report)
    if break_even is not None:
        yield Text(
            f"The interruptions were paid for with about {seconds(_extra_seconds(report))} of the billed time: spot"
            f" pays for this run while its price is below about {break_even:.0f} % of the on-demand price"
        )
    yield Text(f"{_PRICE} {_CLOCK}", "dim")


def _extra_seconds(report: Report) -> float:
    """Billed seconds that an uninterrupted run would not have had: work done again and restores."""
    work = sum(float(loss["work_seconds"]) for loss in report["losses"]["interruptions"])
    again = sum(float((attempt["restored"] or {}).get("seconds") or 0) for attempt in report["attempts"][1:])
    return min(work + again, float(report["billing"]["billable_seconds"]))


def _break_even_percent(report: Report) -> float | None:
    billable = float(report["billing"]["billable_seconds"])
    if report["verdict"] != "survived" or billable <= 0:
        return None  # what did not resume costs more than its losses tell
    return (billable - _extra_seconds(report)) / billable * 100


def _grace(report: Report) -> Iterable[Text]:
    """What became of SIGTERM, unless a finding tells it already, and of the time until SIGKILL."""
    told = " ".join(finding["message"] for finding in report["findings"])
    for attempt in report["attempts"]:
        path, budget = attempt.get("signal_path"), attempt.get("grace_budget")  # runs of older versions have none
        lines = [path["story"]] if path and path["story"] not in told else []
        lines += [budget["sentence"]] if budget else []
        for line in lines:
            yield Text(f"attempt {attempt['attempt']}: {clean(line)}")


def _warnings(report: Report) -> list[RenderableType]:
    warnings = list(dict.fromkeys(report["warnings"]))
    shown: list[RenderableType] = [Text(clean(line)) for line in warnings[:5]]
    if len(warnings) > 5:
        shown.append(Text(f"{len(warnings) - 5} more are in report.json"))
    return shown


def _files(report: Report, folder: Path | None) -> Iterable[Text]:
    if folder is not None:
        name = clean(str(folder))
        yield Text(f"{name}/report.json, timeline.jsonl, logs/ ({count(len(report['attempts']), 'attempt')})")
        yield Text(f"spot-simulator report {name} shows this again")


def _last_lines(report: Report, folder: Path | None) -> Iterable[Text]:
    """What is never broken, so that it can be clicked or copied: commands and a path."""
    if report.get("explored"):
        for command, does in commands(report["explored"], folder):
            yield Text(f"\n{as_sentence(does)}:\n  {command}")
    if folder is not None and (folder / "report.html").exists():
        yield Text(f"\nAll of it with pictures: {clean(str(folder))}/report.html")


def _section(title: str, items: Sequence[RenderableType]) -> list[RenderableType]:
    if not items:
        return []
    return [Text(), Text(title, "bold"), *(_indented(item) for item in items)]


def _indented(item: RenderableType) -> RenderableType:
    return Padding(item, (0, 0, 0, 2))


def as_sentence(text: str) -> str:
    """Made harmless, and with a capital at its beginning."""
    text = clean(text)
    return text[:1].upper() + text[1:]
