"""What the fixture hands out: a function that runs a job under the test's interruptions, and remembers its runs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from simulator.core.errors import EnvironmentFailure, SimulatorError
from simulator.pytest_plugin.failures import CannotRun, NothingProved, explain
from simulator.pytest_plugin.markers import MARKER, is_marked, marked_settings, merged
from simulator.pytest_plugin.run import SpotRun

if TYPE_CHECKING:
    from simulator.app.settings import Settings
    from simulator.app.simulate import Result

_NAME_CHARACTERS = 80

Folders = Callable[[int], Path]
Prepared = tuple[Path, Callable[[], "Result"]]


class SpotSimulator:
    """Call it with settings of `spot-simulator run` as keywords; it blocks until the verdict, and returns a SpotRun.

    Settings come from [tool.spot-simulator] of the root folder's pyproject.toml, then the session's options, then the
    markers, then the call; the last word wins. Relative paths begin at pytest's root folder.

    Raises NothingProved where nothing was interrupted or proved (that is no pass, whatever a test would ask), and
    CannotRun where the settings are wrong or the machine fails.
    """

    def __init__(self, item: pytest.Item, folders: Folders, property_name: str) -> None:
        self._item, self._folders, self._property = item, folders, property_name
        self.runs: list[SpotRun] = []
        self._calls = 0

    def __call__(self, **settings: Any) -> SpotRun:
        """Run a job. `config=` names another TOML file than the root folder's pyproject.toml."""
        __tracebackhide__ = True
        from simulator.app.simulate import run_settings

        def prepared(folder: Path) -> Prepared:
            chosen = self._settings(settings, folder)
            return chosen.out or folder, lambda: run_settings(chosen)

        return self._carried_out(prepared)

    def _carried_out(self, prepare: Callable[[Path], Prepared]) -> SpotRun:
        """A run and what came of it; `prepare` is given the next folder, and may choose another."""
        __tracebackhide__ = True
        self._calls += 1
        folder = self._folders(self._calls)
        try:
            folder, run_it = prepare(folder)
            result = run_it()
        except EnvironmentFailure as error:
            if self._item.config.getoption("--spot-unavailable") == "skip":
                pytest.skip(f"{error.what}: {error.why}")
            raise CannotRun.because(error, folder) from None
        except SimulatorError as error:
            raise CannotRun.because(error, folder) from None
        run = SpotRun(result)
        self.runs.append(run)
        self._item.user_properties.append((self._property, run.in_one_line()))
        if run.is_open:
            raise NothingProved(run)
        return run

    def replay(self, file: str | Path, **settings: Any) -> SpotRun:
        """Run what a search wrote to a replay file; `settings` win over the file's. Otherwise as a call."""
        __tracebackhide__ = True
        from simulator.app.replay import replay

        path = self._item.config.rootpath / file
        return self._carried_out(lambda folder: (folder, lambda: replay(path, out=folder, **settings)))

    def __repr__(self) -> str:
        return "<spot_simulator>"

    def overlooked(self) -> str | None:
        """What a test that passed should not have passed over; None where there is no such thing."""
        if not self.runs and is_marked(self._item):
            did = "went on although spot_simulator could not run" if self._calls else "never called spot_simulator"
            return (
                f"the test is marked `{MARKER}`, but {did}: nothing was interrupted\n"
                "  next: call it, spot_simulator(source_dir=…, entry_script=…), or remove the marker"
            )
        for run in self.runs:
            if not run.was_asked and not run.survived:
                return (
                    f"{explain(run.report, run.folder)}\n\n"
                    "The test itself never asked. If this is what it expects: assert not run.survived"
                )
        return None

    def told(self) -> list[str]:
        """What there is to say about each run, for a test that failed."""
        return [explain(run.report, run.folder) for run in self.runs]

    def _settings(self, call: dict[str, Any], folder: Path) -> Settings:
        from simulator.app.settings import load_settings

        config, root = self._item.config, self._item.config.rootpath
        session = {"runtime": config.getoption("--spot-runtime")}
        asked = merged(merged(session, marked_settings(self._item)), call)
        file = asked.pop("config", None)
        settings = load_settings(root / file if file else None, asked, root, "the test's markers or its call")
        chosen: dict[str, Any] = {"source_dir": settings.source_dir}
        if settings.source_dir is None and settings.entry_script is not None:
            chosen["source_dir"] = Path(settings.entry_script).parent
            chosen["entry_script"] = Path(settings.entry_script).name
        if chosen["source_dir"] is not None:
            chosen["source_dir"] = root / chosen["source_dir"]
        chosen["channels"] = {name: root / path for name, path in settings.channels.items()}
        chosen["out"] = root / asked["out"] if asked.get("out") else folder  # a file's folder would serve one test only
        if "view" not in asked:
            chosen["view"] = "plain" if config.getoption("capture", "fd") == "no" else "quiet"
        return settings.model_copy(update=chosen)


def run_folders(item: pytest.Item, tmp_path: Path) -> Folders:
    """Where a test's runs go: under --spot-out by the test's name, otherwise into its temporary folder, which pytest
    keeps for the last three sessions (tmp_path_retention_count)."""
    out = item.config.getoption("--spot-out")
    if out is None:
        return lambda number: tmp_path / "runs" / str(number)
    base = item.config.invocation_params.dir / out
    name = _file_name(item.nodeid)
    return lambda number: base / (name if number == 1 else f"{name}-{number}")


def _file_name(nodeid: str) -> str:
    """A test's id as a folder's name; where it could not be kept as it is, a few digits tell two tests apart."""
    readable = re.sub(r"\.py::|::|/", "-", nodeid)
    name = re.sub(r"[^\w.=-]+", "-", readable)[-_NAME_CHARACTERS:].strip("-.")
    return name if name == readable else f"{name}-{hashlib.sha256(nodeid.encode()).hexdigest()[:6]}"
