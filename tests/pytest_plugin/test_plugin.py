"""The plugin as pytest runs it: whole sessions of small test files, most with a real run in the process runtime."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from simulator import pytest_plugin
from simulator.app import simulate  # noqa: F401 - here, so that pytester does not unload it after each session
from simulator.pytest_plugin import SpotRun
from simulator.runtimes.process import Isolation, ProcessRuntime
from tests.app import scripts
from tests.app.harness import PATIENCE_SECONDS, ROOT, wait_until

pytest_plugins = ["pytester"]

PLUGIN = ("-p", "simulator.pytest_plugin")
PYPROJECT = """
[tool.spot-simulator]
runtime = "process"
source-dir = "source"
entry-script = "train.py"
warning = 9
grace = 2
out = "never-used"
[tool.spot-simulator.hyperparameters]
epochs = 3
"""

needs_namespaces = pytest.mark.skipif(
    ProcessRuntime().mode is Isolation.PLAIN, reason="the scripts name /opt/ml: needs namespaces"
)


def project(pytester: pytest.Pytester, script: str, tests: str) -> None:
    """A small repository: settings, a script of half the usual length, tests."""
    pytester.makefile(".toml", pyproject=PYPROJECT)
    scripts.write(pytester.path / "source", script.replace("step < 120", "step < 60"))
    pytester.makepyfile(test_spot=f"import pytest\n{tests}")


def session(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess(*PLUGIN, *arguments)


def report_in(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "report.json").read_text())


# What costs nothing.


def test_a_session_that_collects_imports_nothing_heavy(pytester: pytest.Pytester):
    pytester.makepyfile("def test(spot_simulator): ...")
    pytester.makeconftest(
        "import sys\n"
        "def pytest_sessionfinish():\n"
        "    heavy = 'boto3 botocore docker moto pydantic rich sagemaker simulator.app simulator.checks'.split()\n"
        "    print('imported:', [name for name in heavy if name in sys.modules])\n"
    )
    result = pytester.runpytest_subprocess(*PLUGIN, "--collect-only", "-s")
    result.stdout.fnmatch_lines(["*<Function test>*", "*imported: []*"])


def test_the_marker_and_the_fixture_are_listed(pytester: pytest.Pytester):
    session(pytester, "--strict-markers", "--markers").stdout.fnmatch_lines(["@pytest.mark.interrupt(*when*"])
    session(pytester, "--fixtures").stdout.fnmatch_lines(["spot_simulator*", "*spot interruptions*"])


def test_the_page_explains_every_option_and_every_property_of_a_run():
    page = (ROOT / "docs" / "pytest.md").read_text()
    options = set(re.findall(r'"(--spot-[\w-]+)",', Path(pytest_plugin.__file__).read_text()))
    properties = {name for name, value in vars(SpotRun).items() if isinstance(value, property)} - {"is_open"}
    assert options
    assert [name for name in options if f"`{name} " not in page] == []
    assert [name for name in properties if f"`run.{name}`" not in page] == []


def test_a_marked_test_that_interrupts_nothing_fails(pytester: pytest.Pytester):
    pytester.makepyfile(
        "import pytest\n"
        "@pytest.mark.interrupt('step=1')\n"
        "def test_without_the_fixture(): ...\n"
        "@pytest.mark.interrupt('step=1')\n"
        "def test_without_a_call(spot_simulator): ...\n"
        "@pytest.mark.interrupt('step=1')\n"
        "def test_skipped(spot_simulator):\n    pytest.skip('not here')\n"
        "@pytest.mark.interrupt('step=1', warnin=2)\n"
        "def test_that_goes_on(spot_simulator):\n    with pytest.raises(Exception):\n        spot_simulator()\n"
    )
    result = session(pytester)
    result.assert_outcomes(errors=1, failed=2, skipped=1)
    result.stdout.fnmatch_lines(["*does not use spot_simulator*", "*never called*", "*although*could not run*"])


def test_a_marked_module_may_hold_other_tests_too(pytester: pytest.Pytester):
    pytester.makepyfile("import pytest\npytestmark = pytest.mark.interrupt('step=1')\ndef test(): ...")
    session(pytester).assert_outcomes(passed=1)


def test_a_wrong_setting_is_named_with_where_it_came_from_and_no_internals(pytester: pytest.Pytester):
    tests = "@pytest.mark.interrupt('step=30', warnin=2)\ndef test(spot_simulator):\n    spot_simulator()\n"
    project(pytester, scripts.GOOD, tests)
    result = session(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["E*CannotRun: the settings are wrong: the setting 'warnin'*", "E*markers or its call*"]
    )
    assert str(ROOT / "simulator") not in result.stdout.str()


@pytest.mark.parametrize(("option", "outcome"), [((), "failed"), (("--spot-unavailable", "skip"), "skipped")])
def test_a_machine_that_cannot_run_it_fails_the_test_unless_skipping_was_asked_for(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, option: tuple[str, ...], outcome: str
):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{pytester.path}/no-engine.sock")
    project(pytester, scripts.GOOD, "def test(spot_simulator):\n    spot_simulator(runtime='local-mode')\n")
    result = session(pytester, "-rs", *option)
    result.assert_outcomes(**{outcome: 1})
    result.stdout.fnmatch_lines(["*engine*"])
    assert ("CannotRun: the environment fails, not the script" in result.stdout.str()) == (outcome == "failed")


# Whole runs.


@pytest.mark.slow
@needs_namespaces
def test_a_script_that_survives_passes_under_all_its_settings(pytester: pytest.Pytester):
    tests = """
@pytest.mark.interrupt("step=25", warning=0.3)
def test_it(spot_simulator, record_property):
    run = spot_simulator(hyperparameters={"epochs": 4, "lr": 0.1})
    assert run.survived
    run.assert_survived(tier=3)
    assert (run.tier, run.rules, int(run.exit_code)) == (3, [], 0)
    assert "step=26" in run.log(1) + run.log(2)
    assert run.report["attempts"][1]["first_step"] > 1
"""
    project(pytester, scripts.GOOD, tests)
    result = session(pytester, "--basetemp", "kept", "--junitxml", "junit.xml")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*spot interruptions*", "test_spot.py::test_it: survived step=25, tier 3*"])
    report = report_in(pytester.path / "kept" / "test_it0" / "runs" / "1")
    assert (report["plan"]["profile"]["warning_seconds"], report["plan"]["profile"]["grace_seconds"]) == (0.3, 2.0)
    assert report["job"]["HyperParameters"] == {"epochs": "4", "lr": "0.1"}
    assert 'name="spot_run" value="survived' in (pytester.path / "junit.xml").read_text()
    assert not (pytester.path / "never-used").exists()


@pytest.mark.slow
@needs_namespaces
def test_a_script_that_does_not_survive_fails_whether_the_test_asks_or_not(pytester: pytest.Pytester):
    tests = """
pytestmark = pytest.mark.interrupt("step=25", warning=0.3)
def test_asks(spot_simulator):
    run = spot_simulator()
    assert run.survived
def test_never_asks(spot_simulator):
    spot_simulator()
"""
    project(pytester, scripts.NEVER_LOADS, tests)
    result = session(pytester)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "E*assert <SPOT002 restarted-from-scratch: the script does not survive step=25>",
            "E*where * = <SpotRun *>.survived",
            "*- spot-simulator -*",
            "*  what  Attempt 2 began again*",
            "*  fix   *",
            "*  next  spot-simulator report *",
            "*test_never_asks*",
            "The test itself never asked.*",
        ]
    )
    assert "Traceback" not in result.stdout.str()


@pytest.mark.slow
@needs_namespaces
def test_a_test_may_expect_a_loss_but_nothing_interrupted_never_passes(pytester: pytest.Pytester):
    tests = """
@pytest.mark.interrupt("step=25", warning=0.3)
def test_expects_it(spot_simulator):
    run = spot_simulator()
    assert not run.survived
    assert run.rules == ["SPOT002"]
@pytest.mark.interrupt("step=9999")
def test_comes_too_late(spot_simulator):
    run = spot_simulator()
    assert not run.survived
"""
    project(pytester, scripts.NEVER_LOADS, tests)
    result = session(pytester)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["E*NothingProved: nothing was interrupted (step=9999)", "E*next*interrupt=*"])


@pytest.mark.slow
@needs_namespaces
def test_workers_run_side_by_side_and_keep_their_folders_apart(pytester: pytest.Pytester):
    tests = """
@pytest.mark.parametrize("moment", ["step=25", "line=step=2[0-9]"])
def test_it(spot_simulator, moment):
    assert spot_simulator(interrupt=moment, warning=0.3).survived
"""
    project(pytester, scripts.GOOD, tests)
    pytest.importorskip("xdist")
    result = pytester.runpytest_subprocess(*PLUGIN, "-p", "xdist.plugin", "-n", "2", "--spot-out", "kept")
    result.assert_outcomes(passed=2)
    folders = list((pytester.path / "kept").iterdir())
    assert {report_in(folder)["plan"]["interruptions"][0] for folder in folders} == {"step=25", "line=step=2[0-9]"}
    assert result.stdout.str().count(": survived ") == 2


@pytest.mark.slow
@needs_namespaces
def test_ctrl_c_ends_the_session_in_good_order_and_keeps_the_partial_report(pytester: pytest.Pytester):
    project(
        pytester, scripts.GOOD, "def test_it(spot_simulator):\n    spot_simulator(interrupt='step=50', warning=60)\n"
    )
    command = [sys.executable, "-m", "pytest", *PLUGIN, "--spot-out", "kept"]
    said = pytester.path / "said"
    with (
        said.open("wb") as output,
        subprocess.Popen(command, env={**os.environ}, stdout=output, stderr=output) as running,
    ):
        try:
            timeline = pytester.path / "kept" / "test_spot-test_it" / "timeline.jsonl"
            wait_until(lambda: timeline.exists() and '"metric"' in timeline.read_text(), "the script to train")
            running.send_signal(signal.SIGINT)
            assert running.wait(PATIENCE_SECONDS) == pytest.ExitCode.INTERRUPTED
        finally:
            running.kill()
    report = report_in(timeline.parent)
    assert (report["verdict"], report["partial"]) == ("error", True)
    assert "no tests ran" in said.read_text()
