"""The pytest plugin: the `spot_simulator` fixture, the `interrupt` marker, and failures that hold the fix.

    @pytest.mark.interrupt("step=40", warning=2)
    def test_training_survives(spot_simulator):
        run = spot_simulator(source_dir="src", entry_script="train.py")
        assert run.survived

pytest imports this at every start, also where no test wants it: whatever else there is, is imported when first used,
and the simulator itself by the first call of the fixture.
PYTEST_DONT_REWRITE
"""

from __future__ import annotations

from collections.abc import Generator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from simulator.pytest_plugin.markers import MARKER, is_marked

if TYPE_CHECKING:
    from simulator.pytest_plugin.failures import CannotRun, DidNotSurvive, NothingProved
    from simulator.pytest_plugin.fixture import SpotSimulator
    from simulator.pytest_plugin.run import SpotRun

__all__ = ["CannotRun", "DidNotSurvive", "NothingProved", "SpotRun", "SpotSimulator", "spot_simulator"]

RUN_PROPERTY = "spot_run"
"""The name under which junit.xml and the summary hold a test's runs."""

_ROOMS = {
    "CannotRun": "failures",
    "DidNotSurvive": "failures",
    "NothingProved": "failures",
    "SpotRun": "run",
    "SpotSimulator": "fixture",
}
_SIMULATOR = pytest.StashKey["SpotSimulator"]()


def __getattr__(name: str) -> Any:
    """The public classes, imported when first asked for."""
    if name in _ROOMS:
        return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of a whole session; everything about a job is said by its test or by [tool.spot-simulator]."""
    group = parser.getgroup("spot-simulator", "spot interruptions")
    group.addoption(
        "--spot-runtime",
        choices=["auto", "local-mode", "process"],
        help="Where attempts run; wins over [tool.spot-simulator], not over what a test itself asks for.",
    )
    group.addoption(
        "--spot-out",
        metavar="DIR",
        help="Keep the folders of all runs in DIR, one a test, instead of in the tests' temporary folders.",
    )
    group.addoption(
        "--spot-unavailable",
        choices=["fail", "skip"],
        default="fail",
        help="What becomes of a test where the machine cannot run it: no engine, no image, no S3 [fail].",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(*when, **settings): when spot_simulator takes the instance away ('step=40', 'save', '60s'), once "
        "an attempt, and settings of 'spot-simulator run' as keywords (warning=2, profile='sudden').",
    )


@pytest.fixture
def spot_simulator(request: pytest.FixtureRequest, tmp_path: Path) -> SpotSimulator:
    """Run a training script under spot interruptions: run = spot_simulator(source_dir="src", entry_script="train.py"),
    then assert run.survived, or run.assert_survived(tier=1). Keywords are the settings of spot-simulator run."""
    from simulator.pytest_plugin.fixture import SpotSimulator, run_folders

    simulator = SpotSimulator(request.node, run_folders(request.node, tmp_path), RUN_PROPERTY)
    request.node.stash[_SIMULATOR] = simulator
    return simulator


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A marked test that never gets the fixture would pass without any interruption: it fails instead."""
    if is_marked(item) and "spot_simulator" not in getattr(item, "fixturenames", ()):
        pytest.fail(
            f"the test is marked `{MARKER}`, but does not use spot_simulator: nothing would be interrupted\n"
            "  next: take spot_simulator as an argument and call it, or remove the marker",
            pytrace=False,
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """After a test that passed: nothing may be left that it should have looked at."""
    outcome = yield
    simulator = item.stash.get(_SIMULATOR, None)
    if simulator is not None and (complaint := simulator.overlooked()):
        pytest.fail(complaint, pytrace=False)
    return outcome


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that failed on an assertion of its own gets the runs' verdicts below it."""
    report = yield
    simulator = item.stash.get(_SIMULATOR, None)
    if simulator is None or report.when != "call" or not report.failed or call.excinfo is None:
        return report
    from simulator.pytest_plugin.failures import SpotFailure

    if not isinstance(call.excinfo.value, SpotFailure | pytest.fail.Exception):
        report.sections += [("spot-simulator", text) for text in simulator.told()]
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line a run: the verdict, what happened, where its folder is."""
    if terminalreporter.config.get_verbosity() < 0:
        return
    lines = [
        f"{report.nodeid}: {value}"
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, value in report.user_properties
        if name == RUN_PROPERTY
    ]
    if lines:
        terminalreporter.section("spot interruptions")
        for line in lines:
            terminalreporter.line(line)
