"""What all tests share: the rules for Docker and browser tests, the images, and the score of the corpus."""

from __future__ import annotations

import os
import shutil
from functools import cache

import pytest


@cache
def engine_answers() -> bool:
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env(timeout=10)
        try:
            return bool(client.ping())
        finally:
            client.close()
    except DockerException:
        return False


@cache
def browser_is_there() -> bool:
    browsers = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return any(map(shutil.which, browsers)) and shutil.which("chromedriver") is not None


NEEDS = {"docker": ("a Docker engine", engine_answers), "browser": ("Chromium with chromedriver", browser_is_there)}
"""What the tests of a marker need, and whether it is here."""


RERUNS = int(os.environ.get("SLOW_RERUNS", "1"))
"""Of the slow tests: those kill processes at moments of real time, on a machine that runs other such tests beside
them. What was run again is told at the end (`R` and "rerun"); what fails twice has failed. SLOW_RERUNS=0 for none."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Docker and browser tests run wherever they can; elsewhere they are skipped, but never in CI."""
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.flaky(reruns=RERUNS))
    for marker, (need, is_there) in NEEDS.items():
        wanting = [item for item in items if item.get_closest_marker(marker)]
        if not wanting or is_there():
            continue
        if os.environ.get("CI"):
            pytest.exit(f"CI has not {need}, and the {marker} tests must not be skipped there", returncode=3)
        for item in wanting:
            item.add_marker(pytest.mark.skip(reason=f"there is not {need}"))


@pytest.fixture(scope="session")
def training_image() -> str:
    """The bundled training image, built when its inputs changed; moto's too, before any test's patience is tried."""
    from simulator.images import ensure_training_image
    from simulator.services.compose_moto import moto_image

    moto_image(print)
    return ensure_training_image(progress=print)


JUDGED = "corpus"
"""The property of a test that judged a trainer of the corpus: `PATH  RULES`."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The corpus as `make corpus` prints it, where its table was judged: a row a trainer, and the score."""
    rows = sorted(
        (str(value), report.passed)
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, value in report.user_properties
        if name == JUDGED
    )
    if not rows:
        return
    terminalreporter.section("corpus")
    for row, right in rows:
        terminalreporter.line(f"{'ok' if right else 'WRONG':5} {row}")
    faulty = [right for row, right in rows if row.startswith("faulty/")]
    correct = [right for row, right in rows if row.startswith("correct/")]
    terminalreporter.line(f"caught {sum(faulty)}/{len(faulty)}, false alarms {correct.count(False)}/{len(correct)}")
