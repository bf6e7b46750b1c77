"""The reports that are made from a finished run's folder, each a file in it.

A renderer takes the run and somebody to warn, and returns the file's text. One that fails is a warning: a bug in a
picture changes no verdict.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from simulator.reports.badge import badge
from simulator.reports.finished import FinishedRun
from simulator.reports.html_report import html_report
from simulator.reports.junit import junit
from simulator.reports.markdown import markdown
from simulator.reports.page_pictures import Warn

RENDERED: Mapping[str, Callable[[FinishedRun, Warn], str]] = {
    "report.html": html_report,
    "junit.xml": lambda run, warn: junit(run.report),
    "summary.md": lambda run, warn: markdown(run.report),
    "badge.svg": lambda run, warn: badge(run.report),
}


def render(run: FinishedRun) -> list[str]:
    """Write all of them; returns a sentence for each that could not be written, or not wholly."""
    failed: list[str] = []
    for name, make in RENDERED.items():
        try:
            replace_file(run.folder / name, make(run, failed.append).encode("utf-8", "replace"))
        except Exception as error:  # noqa: BLE001 - see above
            failed.append(f"{name} could not be written: {type(error).__name__}: {error}")
    return failed


def replace_file(target: Path, content: bytes) -> None:
    """Write a file whole, or leave what was there. Raises OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.part")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(target)
    except OSError:
        aside.unlink(missing_ok=True)
        raise
