"""What a test gets of a run: the command's own result, and questions that read well when their assertion fails."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.pytest_plugin.failures import DidNotSurvive, headline

if TYPE_CHECKING:
    from simulator.app.simulate import Result
    from simulator.checks import Finding
    from simulator.core.errors import ExitCode
    from simulator.verdict import Verdict

WEAKEST_TIER = 3


class Survival:
    """The answer to `run.survived`: a truth value whose repr says why, so that a bare `assert` can be read."""

    def __init__(self, survived: bool, said: str) -> None:
        self._survived, self._said = survived, said

    def __bool__(self) -> bool:
        return self._survived

    def __eq__(self, other: object) -> bool:
        return self._survived == bool(other) if isinstance(other, bool | Survival) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._survived)

    def __repr__(self) -> str:
        return f"<{self._said}>"


class SpotRun:
    """One finished run. `result` is what `simulator.simulate()` returns; the properties are its parts.

    A test that passes without asking any of `survived`, `assert_survived`, `tier`, `findings`, `rules`, `verdict` and
    `exit_code` is failed afterwards if the script did not survive.
    """

    def __init__(self, result: Result) -> None:
        self._result = result
        self.was_asked = False

    @property
    def result(self) -> Result:
        """The result of simulate(), with the run's record and timeline."""
        return self._result

    @property
    def survived(self) -> Survival:
        """Whether the script survives: interrupted, observed, resumed."""
        self.was_asked = True
        return Survival(self.report["verdict"] == "survived", headline(self.report))

    def assert_survived(self, tier: int = WEAKEST_TIER) -> None:
        """Fail with every finding and its fix unless the script survived, proved at this tier or a stronger one:
        1 bit-identical and 2 equivalent (both need baseline=True), 3 progress."""
        __tracebackhide__ = True
        if not self.survived:
            raise DidNotSurvive(self)
        if self.report["tier"] > tier:
            raise DidNotSurvive(self, wanted_tier=tier)

    @property
    def tier(self) -> int | None:
        """How strongly it was proved, 1 being the strongest; None where it did not survive."""
        return self.verdict.tier

    @property
    def findings(self) -> Sequence[Finding]:
        """What the rules found, errors first; a survived run may have warnings."""
        return self.verdict.findings

    @property
    def rules(self) -> list[str]:
        """The ids of the rules that found errors: `assert run.rules == ["SPOT001"]`."""
        return sorted({finding.rule for finding in self.findings if finding.severity == "error"})

    @property
    def verdict(self) -> Verdict:
        """The answer with its reason, its proof, and what was not proved."""
        self.was_asked = True
        return self._result.verdict

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the command."""
        self.was_asked = True
        return self._result.exit_code

    @property
    def report(self) -> dict[str, Any]:
        """The content of report.json."""
        return self._result.report

    @property
    def folder(self) -> Path:
        """The folder with report.json, timeline.jsonl and the logs."""
        return self._result.folder

    def log(self, attempt: int = 1) -> str:
        """What the script printed in an attempt; empty where it never ran."""
        file = self.folder / "logs" / f"attempt-{attempt}.log"
        return file.read_text(errors="replace") if file.exists() else ""

    @property
    def is_open(self) -> bool:
        """Whether nothing was interrupted, or nothing proved."""
        return bool(self.report["verdict"] == "error")

    def in_one_line(self) -> str:
        """The verdict, warnings and the folder, for summaries."""
        warnings = sorted({found["rule"] for found in self.report["findings"] if found["severity"] == "warning"})
        also = f", warnings {' '.join(warnings)}" if warnings else ""
        return f"{headline(self.report)}{also} ({self.folder})"

    def __repr__(self) -> str:
        return f"<SpotRun {self.folder}>"
