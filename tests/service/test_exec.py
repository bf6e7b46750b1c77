"""A command that is run: its exit code, its signals, its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from simulator.core.errors import UsageError
from simulator.service.exec import run_command

RUNNER = """
import sys
from simulator.service.exec import run_command
sys.exit(run_command(sys.argv[2:], {}, end_seconds=float(sys.argv[1])))
"""
TELLS = """
import os, signal, time
def leave(signum, frame):
    os.write(1, f"heard {signum}\\n".encode()); os._exit(7)
for each in (signal.SIGTERM, signal.SIGINT): signal.signal(each, leave)
print("ready", flush=True)
time.sleep(60)
"""
DEAF = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 42", 42), ("kill -9 $$", 137)])
def test_the_exit_code_is_the_commands(script: str, code: int) -> None:
    assert run_command(["/bin/sh", "-c", script], {}) == code


def test_the_command_has_the_environment_that_it_is_given_and_no_other(capfd: pytest.CaptureFixture[str]) -> None:
    run_command([sys.executable, "-c", "import os; print(os.environ.get('A'), 'HOME' in os.environ)"], {"A": "1"})
    assert capfd.readouterr().out == "1 False\n"


def test_a_command_that_is_not_there_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no-such-command"):
        run_command(["no-such-command"], os.environ)


def test_a_file_that_is_no_program_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "script").write_text("echo hello")
    with pytest.raises(UsageError, match="cannot be run"):
        run_command([str(tmp_path / "script")], os.environ)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_passed_on_and_the_commands_own_end_counts(signum: signal.Signals) -> None:
    with _running("30", TELLS) as process:
        process.send_signal(signum)
        said, _ = process.communicate(timeout=30)
    assert (said, process.returncode) == (f"heard {int(signum)}\n", 7)


def test_a_command_that_does_not_go_is_killed() -> None:
    with _running("0.1", DEAF) as process:
        process.terminate()
        assert process.wait(30) == 137


def _running(end_seconds: str, script: str) -> subprocess.Popen[str]:
    """In a session of its own: without a terminal, as in CI. Back once the command says that it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUNNER, end_seconds, sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process
