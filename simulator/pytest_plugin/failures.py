"""What a failing test says: the rule, what happened, why it matters, the fix as a diff, the folder, the next command.

All of it is made from report.json's content. The classes call themselves builtins, as pytest's own outcomes do, since
pytest prints an exception with its module.
"""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.core.errors import SimulatorError, UsageError
from simulator.reports.wording import clean

if TYPE_CHECKING:
    from simulator.pytest_plugin.run import SpotRun

WIDTH = 100
LOG_LINES = 6
TIERS = {1: "bit-identical", 2: "equivalent", 3: "progress"}

Report = Mapping[str, Any]


class SpotFailure(Exception):
    """Whatever the plugin fails a test with."""

    __module__ = "builtins"


class DidNotSurvive(SpotFailure, AssertionError):
    """The script does not survive, or not as strongly proved as was asked."""

    __module__ = "builtins"

    def __init__(self, run: SpotRun, wanted_tier: int | None = None) -> None:
        super().__init__(explain(run.report, run.folder, wanted_tier))
        self.run = run


class NothingProved(SpotFailure, AssertionError):
    """Nothing was interrupted, or nothing shows what became of it: neither a pass nor the script's fault."""

    __module__ = "builtins"

    def __init__(self, run: SpotRun) -> None:
        super().__init__(explain(run.report, run.folder))
        self.run = run


class CannotRun(SpotFailure):
    """The settings are wrong, or the machine fails: nothing is known of the script. `error`: what simulate() raised."""

    __module__ = "builtins"

    def __init__(self, message: str, error: SimulatorError) -> None:
        super().__init__(message)
        self.error = error

    @classmethod
    def because(cls, error: SimulatorError, folder: Path) -> CannotRun:
        """From the simulator's error; `folder` is shown where a partial report is in it."""
        whose = "the settings are wrong" if isinstance(error, UsageError) else "the environment fails, not the script"
        lines = [f"{whose}: {error.what}", *_field("why", error.why)]
        if (folder / "report.json").exists():
            lines.append(f"  run   {folder}")
        return cls("\n".join([*lines, *_field("next", error.next_step)]), error)


def headline(report: Report) -> str:
    """The verdict in one short line, the rules first, since pytest's own summary cuts it."""
    moments = clean(", ".join(report["plan"]["interruptions"]) or "no interruption")
    if report["verdict"] == "survived":
        return f"survived {moments}, tier {report['tier']} ({TIERS[report['tier']]})"
    if report["verdict"] == "error":
        return f"{clean(report['reason']['what'])} ({moments})"
    errors = list(dict.fromkeys(f"{found['rule']} {found['name']}" for found in _errors(report)))
    return f"{', '.join(errors) or clean(report['reason']['what'])}: the script does not survive {moments}"


def explain(report: Report, folder: Path, wanted_tier: int | None = None) -> str:
    """Everything there is to say about a run's verdict, as lines of at most WIDTH characters where they are prose."""
    lines = [headline(report)]
    if wanted_tier is not None:
        lines[0] += f", but tier {wanted_tier} ({TIERS.get(wanted_tier, 'unknown')}) was asked for"
    errors = _errors(report) if report["verdict"] == "failed" else []
    for finding in errors:
        lines += ["", *_finding(finding)]
    if not errors and report["verdict"] != "survived":
        lines += _field("why", report["reason"]["why"])
        lines += _log_tail(report, folder)
    for sentence in _unlike_sagemaker(report, bool(errors)):
        lines += _field("note", f"unlike SageMaker: {sentence}")
    for sentence in report["not_proved"] if report["verdict"] == "survived" else ():
        lines += _field("open", sentence)
    if errors:
        lines.append("")
    lines += [f"  run   {folder}", f"  next  {_next_step(report, folder, wanted_tier)}"]  # unbroken, to be copied
    return "\n".join(lines)


def _errors(report: Report) -> list[Mapping[str, Any]]:
    return [finding for finding in report["findings"] if finding["severity"] == "error"]


def _finding(finding: Mapping[str, Any]) -> Iterator[str]:
    from simulator.checks import RULES

    where = f" (attempt {finding['attempt']})" if finding["attempt"] else ""
    yield f"{finding['rule']} {finding['name']}{where}"
    yield from _field("what", finding["message"])
    if finding["rule"] in RULES:
        yield from _field("why", RULES[finding["rule"]].why)
    yield from _field("fix", finding["fix"])


def _field(name: str, text: str) -> list[str]:
    """`  name  text`: the first line as prose, what follows (a diff) as it stands."""
    first, *rest = [clean(line) for line in text.splitlines()] or [""]
    wrapped = textwrap.wrap(first, WIDTH - 8, break_long_words=False, break_on_hyphens=False) or [""]
    return [f"  {name:4}  {wrapped[0]}", *(f"        {line}" for line in [*wrapped[1:], *rest])]


def _log_tail(report: Report, folder: Path) -> list[str]:
    """The end of the last attempt's log: where no rule knows why, the script may have said it."""
    if not report["attempts"]:
        return []
    name = report["attempts"][-1]["log"]
    try:
        said = (folder / name).read_text(errors="replace").splitlines()[-LOG_LINES:]
    except OSError:
        return []
    return [f"  log   {name} ends with:", *(f"        | {clean(line)}" for line in said)] if said else []


def _unlike_sagemaker(report: Report, has_errors: bool) -> list[str]:
    """What may be to blame in place of the script: where it failed and no rule knows why, all that differs from
    SageMaker; with a finding, the differences only of a machine where /opt/ml had to be moved."""
    from simulator.runtimes.process.isolation import FIDELITY_LOST, Isolation

    if report["verdict"] != "failed":
        return []
    lost: list[str] = report["fidelity_lost"]
    return lost if not has_errors or set(lost) & set(FIDELITY_LOST[Isolation.PLAIN]) else []


def _outlasting_warning(report: Report) -> float | None:
    """The seconds of warning that training did not need any more: it completed between the notice and the reclaim."""
    last = report["attempts"][-1] if report["attempts"] else None
    if last is None or last["outcome"] != "completed" or not (last["interruption"] or {}).get("triggered_at"):
        return None
    warning = report["plan"]["profile"]["warning_seconds"]
    return None if warning is None else float(warning)


def _next_step(report: Report, folder: Path, wanted_tier: int | None) -> str:
    if report["verdict"] == "error" and (warning := _outlasting_warning(report)) is not None:
        return f"a warning shorter than the rest of the training: warning=2 in place of {warning:g} s, or train longer"
    if report["verdict"] == "error":
        return re.sub(r"--interrupt ([^\s,;]+)", r'interrupt="\1"', report["reason"]["next_step"])
    if wanted_tier is not None and not (folder / "baseline-1").exists():
        return "compare with uninterrupted runs: spot_simulator(…, baseline=True), or baseline = true in pyproject.toml"
    return f"spot-simulator report {shlex.quote(str(folder))}"
