"""Local mode held to the contract of all runtimes, both ways in: an image's own entrypoint, and the SDK's driver."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from simulator.runtimes.local_mode import LocalModeRuntime
from simulator.runtimes.port import RunningAttempt
from tests.runtimes.contract import HANDLES_SIGTERM, SECONDS, RuntimeContract, ShutInContract, until_line
from tests.runtimes.local_mode.conftest import Start

pytestmark = pytest.mark.docker


class TestAnImagesOwnEntrypoint(ShutInContract):
    @pytest.fixture
    def start(self, start_image: Start) -> Iterator[Start]:
        def start(script: str, attempt: int = 1, **job: object) -> RunningAttempt:
            return start_image(script, attempt, **job)

        yield start

    def test_the_image_is_run_with_the_argument_train(self, start: Start) -> None:
        running = start("import sys\nprint(sys.argv[1:])")
        assert list(running.log_lines()) == [b"['train']"]


class TestTheSdksDriver(RuntimeContract):
    @pytest.fixture
    def runtime(self, runtime: LocalModeRuntime) -> LocalModeRuntime:
        return runtime

    @pytest.fixture
    def image(self, python_image: str) -> str:
        return python_image

    def test_output_of_any_bytes_comes_as_lines_and_ends(self, start: Callable[..., RunningAttempt]) -> None:
        """SageMaker's driver decodes the output, and dies of what is no UTF-8, here as there."""
        running = start("print('one\\n' + 'ü' * 40000 + '\\nlast')")
        lines = list(running.log_lines())
        assert b"one" in lines and b"last" in lines
        assert sum(line.count("ü".encode()) for line in lines) == 40_000
        assert running.wait(SECONDS) == 0

    def test_sigterm_to_its_shell_never_reaches_the_script(self, start: Callable[..., RunningAttempt]) -> None:
        running = start(HANDLES_SIGTERM)
        until_line(running, b"ready")
        processes = {process.pid: process for process in running.processes()}
        assert "bash" in processes[1].command and not processes[1].catches_sigterm
        (catching,) = [process for process in processes.values() if process.catches_sigterm]
        assert catching.pid != 1 and catching.command.endswith(" train.py")
        assert running.signal(signal.SIGTERM) is True
        assert running.wait(0.5) is None
        assert running.kill() is True

    def test_hyperparameters_come_as_arguments_word_for_word(self, start: Callable[..., RunningAttempt]) -> None:
        running = start(
            "import os, sys\nprint(sys.argv[1:], os.environ['TOKEN'])",
            HyperParameters={"note": "a $HOME of ${its} own"},
            Environment={"TOKEN": "$PATH$$"},
        )
        assert b"['--note', 'a $HOME of ${its} own'] $PATH$$" in list(running.log_lines())

    def test_the_users_folder_stays_as_it_was(self, start: Callable[..., RunningAttempt], tmp_path: Path) -> None:
        running = start("import os\nos.makedirs('state')\nopen('state/model', 'w').write('x')\nprint(os.getcwd())")
        assert b"/opt/ml/input/data/code" in list(running.log_lines())
        assert running.wait(SECONDS) == 0
        assert [path.name for path in (tmp_path / "source-1").iterdir()] == ["train.py"]
