"""The process runtime, with every kind of isolation that this machine allows."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import venv
from dataclasses import replace
from pathlib import Path

import pytest

from simulator.core.errors import EnvironmentFailure, UsageError
from simulator.core.job import CheckpointConfig, TrainingJob
from simulator.runtimes.process import Isolation, ProcessRuntime
from simulator.runtimes.process.isolation import best_isolation, problem_with, why_plain
from tests.runtimes.contract import RuntimeContract, ShutInContract
from tests.runtimes.process_hosts import ProcessHostsContract

ROOT = Path(__file__).parents[2]


class TestNamespaces(ShutInContract):
    @pytest.fixture
    def runtime(self) -> ProcessRuntime:
        if os.geteuid() != 0 or problem_with(Isolation.NAMESPACES):
            pytest.skip("needs root and namespaces")
        return ProcessRuntime(isolation=Isolation.NAMESPACES)


class TestUserNamespaces(ShutInContract):
    @pytest.fixture
    def runtime(self) -> ProcessRuntime:
        if problem_with(Isolation.USER_NAMESPACES):
            pytest.skip("user namespaces are not allowed here")
        return ProcessRuntime(isolation=Isolation.USER_NAMESPACES)


class TestHostsInNamespaces(ProcessHostsContract):
    @pytest.fixture
    def runtime(self) -> ProcessRuntime:
        if os.geteuid() != 0 or problem_with(Isolation.NAMESPACES):
            pytest.skip("needs root and namespaces")
        return ProcessRuntime(isolation=Isolation.NAMESPACES)


class TestHostsInUserNamespaces(ProcessHostsContract):
    @pytest.fixture
    def runtime(self) -> ProcessRuntime:
        if problem_with(Isolation.USER_NAMESPACES):
            pytest.skip("user namespaces are not allowed here")
        return ProcessRuntime(isolation=Isolation.USER_NAMESPACES)


class TestPlain(RuntimeContract):
    @pytest.fixture
    def runtime(self) -> ProcessRuntime:
        return ProcessRuntime(isolation=Isolation.PLAIN)

    def test_it_says_what_it_loses(self, runtime: ProcessRuntime) -> None:
        assert any("needs Docker" in sentence or "need Docker" in sentence for sentence in runtime.fidelity_lost)

    def test_several_hosts_are_refused_as_they_would_not_find_each_other(
        self, runtime: ProcessRuntime, tmp_path: Path
    ) -> None:
        (tmp_path / "train.py").write_text("")
        job = TrainingJob("a-job", CheckpointConfig("s3://bucket/prefix"), source_dir=tmp_path, entry_script="train.py")
        runtime.prepare(job)
        with pytest.raises(EnvironmentFailure) as refusal:
            runtime.prepare(replace(job, hosts=("algo-1", "algo-2")))
        assert "2 hosts" in refusal.value.what
        assert "--runtime local-mode" in refusal.value.next_step


def test_an_image_without_a_script_is_refused_with_the_way_out() -> None:
    job = TrainingJob("a-job", CheckpointConfig("s3://bucket/prefix"), image="some-image")
    with pytest.raises(UsageError) as refusal:
        ProcessRuntime().prepare(job)
    assert "--entry-script" in refusal.value.next_step


def test_a_python_below_tmp_is_seen_although_tmp_is_the_instances_own() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        venv.create(folder, symlinks=True)
        ask = "from simulator.runtimes.process.isolation import best_isolation; print(best_isolation().value)"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        Path(folder, "beside").mkdir()
        program = [f"{folder}/beside/../bin/python", "-c", ask]
        done = subprocess.run(program, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == best_isolation().value


def test_what_keeps_a_script_from_being_shut_in_is_told_where_something_does() -> None:
    assert (best_isolation() is Isolation.PLAIN) == bool(why_plain())


def test_an_isolation_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.runtimes.process.isolation.ENTER", Path("/nonexistent/enter.sh"))
    assert "/nonexistent/enter.sh" in problem_with.__wrapped__(Isolation.USER_NAMESPACES)


HARNESS = """
import sys
from pathlib import Path
from simulator.core.job import CheckpointConfig, TrainingJob
from simulator.runtimes.port import AttemptSpec
from simulator.runtimes.process import ProcessRuntime, ZygoteRuntime
root = Path(sys.argv[1])
(root / "instance" / "checkpoints").mkdir(parents=True)
job = TrainingJob("a-job", CheckpointConfig("s3://b00/p"), source_dir=root / "source", entry_script="train.py")
spec = AttemptSpec(job, "run", 1, "algo-1", root / "instance", root / "instance/checkpoints")
runtime = (ZygoteRuntime if sys.argv[2] == "zygote" else ProcessRuntime)()
(running,) = runtime.start([spec])
assert not getattr(runtime, "cold_because", "")
print(running.identity.split()[1], flush=True)
running.wait(None)
"""


@pytest.mark.parametrize("start", ["cold", "zygote"])
def test_a_killed_harness_takes_its_script_with_it(start: str, tmp_path: Path) -> None:
    if ProcessRuntime().mode is Isolation.PLAIN:
        pytest.skip("without namespaces nothing ties the two together")
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "train.py").write_text("import time\ntime.sleep(600)\n")
    with subprocess.Popen([sys.executable, "-c", HARNESS, str(tmp_path), start], stdout=subprocess.PIPE) as harness:
        assert harness.stdout is not None
        script = int(harness.stdout.readline())
        harness.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while Path(f"/proc/{script}").exists():
        assert time.monotonic() < deadline, "the script outlived its harness"
        time.sleep(0.02)
