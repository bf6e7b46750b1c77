"""`spot-simulator explore all`: the three searches one after another, and one line for all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from simulator.app.explore import ExploreOptions, explore
from simulator.app.settings import Settings
from simulator.app.simulate import Result, plan_and_job
from simulator.core.errors import ExitCode
from simulator.explore.coverage import coverage_line
from simulator.explore.trial import Search

WORST_FIRST = (ExitCode.DOES_NOT_SURVIVE, ExitCode.ENVIRONMENT, ExitCode.USAGE, ExitCode.SURVIVED)
ALONE = frozenset({Search.SCHEDULES, Search.FAULTS})
"""The searches that profiles choose from; a state is what an instance that went without notice has left."""


@dataclass(frozen=True)
class AllResults:
    """What all searches came to, each with a folder of its own."""

    results: tuple[Result, ...]

    @property
    def exit_code(self) -> ExitCode:
        """The worst of theirs: one failure is one, whatever the others say."""
        codes = {result.exit_code for result in self.results}
        return next(code for code in WORST_FIRST if code in codes)

    @property
    def line(self) -> str:
        """The line for CI: `survived 400 of 400 schedules, 214 of 214 states, 40 of 40 faults, seed 7`."""
        return coverage_line([result.record.explored for result in self.results if result.record.explored is not None])


def explore_all(
    settings: Settings, options: ExploreOptions, search: Callable[[Settings, ExploreOptions], Result] = explore
) -> AllResults:
    """Search over schedules, states and faults, each with the whole budget and in `out`/NAME. Raises as `explore`
    does, and then the searches that are left are not begun."""
    out = options.resume or settings.out or Path("runs") / f"explore-{plan_and_job(settings)[1].TrainingJobName}"
    results = []
    for kind in Search:
        folder = out / kind.value
        began = options.resume is not None and folder.exists()
        own = replace(
            options,
            search=kind,
            profiles=options.profiles if kind in ALONE else (),
            resume=folder if began else None,
        )
        results.append(search(settings.model_copy(update={"out": folder}), own))
    return AllResults(tuple(results))
