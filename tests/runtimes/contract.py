"""What every runtime keeps: subclass it with a `runtime` fixture, and its tests run against that runtime."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import pytest

from simulator.core.job import CheckpointConfig, TrainingJob
from simulator.runtimes.port import AttemptSpec, RunningAttempt, Runtime

SECONDS = 60.0

HANDLES_SIGTERM = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("handled as", os.getpid(), flush=True), sys.exit(7)))
print("ready", os.getpid(), flush=True)
time.sleep(600)
"""


class RuntimeContract:
    """The tests. `runtime` comes from the subclass; scripts are written into `source_dir`."""

    @pytest.fixture
    def image(self) -> str | None:
        return None

    @pytest.fixture
    def start(self, runtime: Runtime, tmp_path: Path, image: str | None) -> Iterator[Callable[..., RunningAttempt]]:
        started: list[RunningAttempt] = []

        def start(script: str, attempt: int = 1, name: str = "train.py", **job: object) -> RunningAttempt:
            source = tmp_path / f"source-{attempt}"
            source.mkdir()
            (source / name).write_text(script)
            instance = tmp_path / f"attempt-{attempt}"
            (instance / "checkpoints").mkdir(parents=True)
            training_job = TrainingJob(
                "a-job",
                CheckpointConfig("s3://bucket/prefix"),
                image=image,
                source_dir=source,
                entry_script=name,
                **job,  # type: ignore[arg-type]
            )
            runtime.prepare(training_job)
            spec = AttemptSpec(training_job, "run", attempt, "algo-1", instance, instance / "checkpoints")
            started.extend(runtime.start([spec]))
            return started[-1]

        yield start
        for running in started:
            assert running.wipe() == []

    def test_output_of_any_bytes_comes_as_lines_and_ends(self, start: Callable[..., RunningAttempt]) -> None:
        running = start("import os\nos.write(1, b'one\\n\\xff\\x00two\\r\\n' + b'x' * 100000 + b'\\nlast')")
        lines = list(running.log_lines())
        assert [line for line in lines if len(line) < 100] == [b"one", b"\xff\x00two", b"last"]
        assert sum(len(line) for line in lines if len(line) >= 100) == 100_000
        assert running.wait(SECONDS) == 0

    def test_the_exit_code_is_the_scripts(self, start: Callable[..., RunningAttempt]) -> None:
        assert start("raise SystemExit(5)").wait(SECONDS) == 5

    def test_sigkill_is_observed_and_gives_137(self, start: Callable[..., RunningAttempt]) -> None:
        running = start(HANDLES_SIGTERM)
        until_line(running, b"ready")
        assert running.wait(0) is None
        assert running.kill() is True
        assert running.wait(SECONDS) == 137
        assert running.kill() is False
        assert running.signal(signal.SIGTERM) is False

    def test_the_script_finds_what_sagemaker_gives_it(
        self, start: Callable[..., RunningAttempt], tmp_path: Path
    ) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "x.csv").write_text("1,2")
        running = start(
            "import json, os\n"
            "root = os.environ.get('SM_ML_ROOT', '/opt/ml')\n"
            "config = root + '/input/config/'\n"
            "print(json.load(open(config + 'hyperparameters.json')))\n"
            "print(json.load(open(config + 'resourceconfig.json'))['current_host'])\n"
            "print(open(os.environ['SM_CHANNEL_TRAIN'] + '/x.csv').read())\n"
            "print(os.environ['TRAINING_JOB_NAME'], os.environ['EXTRA'], os.environ['AWS_ACCESS_KEY_ID'])\n"
            "path = json.load(open(config + 'checkpointconfig.json'))['LocalPath']\n"
            "open(path + '/state', 'w').write('saved')\n"
            "open(os.environ['SM_MODEL_DIR'] + '/model', 'w').write('trained')\n",
            HyperParameters={"epochs": "3"},
            channels={"train": tmp_path / "data"},
            Environment={"EXTRA": "given"},
        )
        lines = [line.decode() for line in running.log_lines()]
        assert running.wait(SECONDS) == 0, lines
        assert [line for line in lines if line in EXPECTED] == EXPECTED, lines
        assert (running.paths.checkpoints / "state").read_text() == "saved"
        assert (running.paths.model / "model").read_text() == "trained"

    def test_a_wiped_instance_is_gone_with_all_it_wrote(
        self, start: Callable[..., RunningAttempt], tmp_path: Path
    ) -> None:
        running = start(
            "import os, time\nd = os.environ['SM_MODEL_DIR'] + '/deep/er'\nos.makedirs(d)\n"
            "open(d + '/f', 'w').write('x')\nos.chmod(d, 0o500)\nprint('ready', flush=True)\ntime.sleep(600)"
        )
        until_line(running, b"ready")
        assert running.wipe() == []
        assert not (tmp_path / "attempt-1").exists()
        assert running.wipe() == []


class ShutInContract(RuntimeContract):
    """What holds besides where a script is shut in: a container, or namespaces."""

    def test_sigterm_reaches_the_handler_of_pid_1(self, start: Callable[..., RunningAttempt]) -> None:
        running = start(HANDLES_SIGTERM)
        lines = running.log_lines()
        assert next(line for line in lines if line.startswith(b"ready")) == b"ready 1"
        assert running.signal(signal.SIGTERM) is True
        assert b"handled as 1" in list(lines)
        assert running.wait(SECONDS) == 7

    def test_pid_1_without_a_handler_ignores_sigterm(self, start: Callable[..., RunningAttempt]) -> None:
        running = start("import time\nprint('ready', flush=True)\ntime.sleep(600)")
        until_line(running, b"ready")
        assert running.signal(signal.SIGTERM) is True
        assert running.wait(0.5) is None

    def test_the_processes_tell_who_catches_sigterm(self, start: Callable[..., RunningAttempt]) -> None:
        running = start(
            "import signal, subprocess, sys, time\n"
            "signal.signal(signal.SIGTERM, lambda *_: None)\n"
            "child = subprocess.Popen([sys.executable, '-c', 'import time; print(\"ready\", flush=True); "
            "time.sleep(600)'])\nchild.wait()\n"
        )
        until_line(running, b"ready")
        processes = {process.pid: process for process in running.processes()}
        assert processes[1].catches_sigterm
        child = next(process for process in processes.values() if process.ppid == 1)
        assert not child.catches_sigterm
        assert "time.sleep" in child.command

    def test_what_is_written_elsewhere_is_named(self, start: Callable[..., RunningAttempt]) -> None:
        running = start(
            "import os\nos.makedirs('/root/state', exist_ok=True)\n"
            "open('/root/state/model.pt', 'wb').write(b'x' * 1000)\nopen('/tmp/best.ckpt', 'w').write('x')\n"
        )
        assert running.wait(SECONDS) == 0
        written = {path.path for path in running.written_paths()}
        assert {"/root/state/model.pt", "/tmp/best.ckpt"} <= written
        assert not [path for path in written if "__pycache__" in path]
        assert not os.path.exists("/root/state/model.pt")  # noqa: PTH110 - of this machine

    def test_what_is_written_beside_the_code_and_into_output_is_named_too(
        self, start: Callable[..., RunningAttempt]
    ) -> None:
        running = start(
            "import os\nprint(os.getcwd())\n"
            "os.makedirs('checkpoints')\nopen('checkpoints/model.ckpt', 'w').write('x')\n"
            "open('/opt/ml/output/data/last.ckpt', 'w').write('x')\nopen('/opt/ml/model/m.ckpt', 'w').write('x')\n"
        )
        assert running.wait(SECONDS) == 0
        written = {path.path for path in running.written_paths()}
        beside = PurePosixPath(next(running.log_lines()).decode(), "checkpoints/model.ckpt")  # an image has its own
        assert {str(beside), "/opt/ml/output/data/last.ckpt"} <= written
        assert not [path for path in written if path.endswith(("train.py", "m.ckpt", ".json"))]

    def test_two_attempts_at_once_do_not_see_each_other(self, start: Callable[..., RunningAttempt]) -> None:
        script = (
            "import os, time\nopen('/tmp/mark', 'x')\nopen('/opt/ml/checkpoints/mark', 'x')\n"
            "print('ready', flush=True)\ntime.sleep(600)"
        )
        first, second = start(script, attempt=1), start(script, attempt=2)
        until_line(first, b"ready")
        until_line(second, b"ready")
        assert first.kill() and second.wait(0) is None
        assert second.kill()


EXPECTED = ["{'epochs': '3'}", "algo-1", "1,2", "a-job given testing"]


def until_line(running: RunningAttempt, start: bytes) -> bytes:
    """The first log line that begins so; the rest of the log is not read."""
    deadline = time.monotonic() + SECONDS
    for line in running.log_lines():
        if line.startswith(start):
            return line
        assert time.monotonic() < deadline, "no such line in time"
    raise AssertionError(f"the script ended ({running.wait(1)}) without a line {start!r}")
