"""All searches in one command: a folder each, the worst exit code, one line."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from simulator.app.explore import ExploreOptions, explore_settings
from simulator.app.explore_all import explore_all
from simulator.app.settings import Settings
from simulator.core.errors import ExitCode
from simulator.explore.coverage import Explored, Stop, Tried
from simulator.explore.search import Budget
from simulator.explore.trial import Outcome, Schedule, Search, Trial, TrialResult


def explored(search: Search, *outcomes: Outcome) -> Explored:
    trials = [Trial(number, Schedule((), "sudden"), "") for number in range(len(outcomes))]
    tried = [Tried(TrialResult(trial, outcome, "")) for trial, outcome in zip(trials, outcomes, strict=True)]
    return Explored(search, 7, tried, len(tried), Stop.EXHAUSTED, 1.0, 1, "loky")


class Searches:
    """Answers for the searches, and keeps what they were asked."""

    def __init__(self, **codes: ExitCode) -> None:
        self.codes, self.asked = codes, list[tuple[Search, Path, Path | None, tuple[str, ...]]]()

    def __call__(self, settings: Settings, options: ExploreOptions) -> SimpleNamespace:
        assert settings.out is not None
        self.asked.append((options.search, settings.out, options.resume, options.profiles))
        code = self.codes.get(options.search.value, ExitCode.SURVIVED)
        outcome = Outcome.FAILED if code is ExitCode.DOES_NOT_SURVIVE else Outcome.SURVIVED
        record = SimpleNamespace(explored=explored(options.search, Outcome.SURVIVED, outcome))
        return SimpleNamespace(exit_code=code, record=record)


def options(**more: object) -> ExploreOptions:
    return ExploreOptions(**{"search": Search.SCHEDULES, "budget": Budget(trials=2), "jobs": 1, **more})


def test_each_search_has_a_folder_and_all_have_one_line(tmp_path: Path) -> None:
    searches = Searches()
    found = explore_all(explore_settings(None, {"out": tmp_path}), options(profiles=("ec2",)), searches)
    assert searches.asked == [
        (Search.SCHEDULES, tmp_path / "schedules", None, ("ec2",)),
        (Search.STATES, tmp_path / "states", None, ()),
        (Search.FAULTS, tmp_path / "faults", None, ("ec2",)),
    ]
    assert found.line == "survived 2 of 2 schedules, 2 of 2 states, 2 of 2 faults, seed 7"
    assert found.exit_code is ExitCode.SURVIVED


def test_those_that_had_begun_are_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "schedules").mkdir()
    searches = Searches()
    explore_all(explore_settings(None, {}), options(resume=tmp_path), searches)
    assert [resume for _, _, resume, _ in searches.asked] == [tmp_path / "schedules", None, None]


@pytest.mark.parametrize(
    ("codes", "worst"),
    [
        ({"states": ExitCode.DOES_NOT_SURVIVE, "faults": ExitCode.USAGE}, ExitCode.DOES_NOT_SURVIVE),
        ({"faults": ExitCode.USAGE}, ExitCode.USAGE),
    ],
)
def test_the_worst_exit_code_is_the_commands(codes: dict[str, ExitCode], worst: ExitCode, tmp_path: Path) -> None:
    assert explore_all(explore_settings(None, {"out": tmp_path}), options(), Searches(**codes)).exit_code is worst
