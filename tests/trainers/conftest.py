"""After the table was judged by tests, its score as `make corpus` prints it, for CI's log."""

from __future__ import annotations

import pytest

PROPERTY = "corpus"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A row a trainer, and the score; nothing where none was judged."""
    rows = sorted(
        (str(value), report.passed)
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, value in report.user_properties
        if name == PROPERTY
    )
    if not rows:
        return
    terminalreporter.section("corpus")
    for row, right in rows:
        terminalreporter.line(f"{'ok' if right else 'WRONG':5} {row}")
    faulty = [right for row, right in rows if row.startswith("faulty/")]
    correct = [right for row, right in rows if row.startswith("correct/")]
    terminalreporter.line(f"caught {sum(faulty)}/{len(faulty)}, false alarms {correct.count(False)}/{len(correct)}")
