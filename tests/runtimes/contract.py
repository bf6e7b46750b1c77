"""What every runtime keeps: subclass it with a `runtime` fixture, and its tests run against that runtime."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from simulator.core.errors import EnvironmentFailure
from simulator.core.job import CheckpointConfig, TrainingJob, host_names
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


MakeSpecs = Callable[..., list[AttemptSpec]]
StartHosts = Callable[..., Sequence[RunningAttempt]]


class HostsContract:
    """The tests of a job with several hosts, where a script is shut in. `runtime` comes from the subclass; `make_specs`
    takes a script for each host, and what else the job has. `listens_on`, an expression of Python's, is where a server
    of `own`, the host, can listen whatever the other hosts' servers do: everywhere, where each has its own network."""

    listens_on = "''"

    @pytest.fixture
    def image(self) -> str | None:
        return None

    @pytest.fixture
    def make_specs(self, tmp_path: Path, image: str | None) -> MakeSpecs:
        def make_specs(*scripts: str, **job: object) -> list[AttemptSpec]:
            hosts = host_names(len(scripts))
            return [
                spec_of_host(tmp_path, host, hosts, script, image, **job)
                for host, script in zip(hosts, scripts, strict=True)
            ]

        return make_specs

    @pytest.fixture
    def start_hosts(self, runtime: Runtime, make_specs: MakeSpecs) -> Iterator[StartHosts]:
        started: list[RunningAttempt] = []

        def start_hosts(*scripts: str, **job: object) -> Sequence[RunningAttempt]:
            specs = make_specs(*scripts, **job)
            runtime.prepare(specs[0].job)
            started.extend(runtime.start(specs))
            return started

        yield start_hosts
        for running in started:
            assert running.wipe() == []

    def test_hosts_reach_each_other_and_themselves_by_name(self, start_hosts: StartHosts) -> None:
        """All listen on one port, as the workers of a TF_CONFIG do."""
        greets = GREETS.replace("LISTENS_ON", self.listens_on)
        attempts = start_hosts(greets, greets, greets)
        said = [list(running.log_lines()) for running in attempts]
        assert [running.wait(SECONDS) for running in attempts] == [0, 0, 0], said
        assert said == [[b"greeted by algo-1 algo-2 algo-3"]] * 3

    def test_each_host_is_told_who_it_is(self, start_hosts: StartHosts) -> None:
        said = [list(running.log_lines()) for running in start_hosts(TELLS_WHO, TELLS_WHO)]
        assert said == [
            [b"algo-1 algo-1 algo-1 ['algo-1', 'algo-2']"],
            [b"algo-2 algo-2 algo-2 ['algo-1', 'algo-2']"],
        ]

    def test_each_host_has_its_own_files(self, start_hosts: StartHosts, tmp_path: Path) -> None:
        """The same paths are written for the first time on each, and a channel holds what its host was given."""
        hosts = ("algo-1", "algo-2")
        for host in hosts:
            (tmp_path / host / "data").mkdir(parents=True)
            (tmp_path / host / "data" / "part").write_text(f"of {host}")
        attempts = start_hosts(WRITES, WRITES, channels={"train": Path("data")})
        said = [list(running.log_lines()) for running in attempts]
        assert said == [[b"of algo-1"], [b"of algo-2"]]
        for host, running in zip(hosts, attempts, strict=True):
            paths = running.paths
            for folder in (paths.checkpoints, paths.model, paths.output / "data"):
                assert (folder / "state").read_text() == host
            assert json.loads((paths.input_config / "resourceconfig.json").read_text())["current_host"] == host
            assert {"/root/state", "/tmp/state"} <= {written.path for written in running.written_paths()}
            assert [path.name for path in (tmp_path / host / "data").iterdir()] == ["part"]

    def test_what_was_restored_for_a_host_is_there_when_it_starts(
        self, runtime: Runtime, make_specs: MakeSpecs
    ) -> None:
        specs = make_specs(READS_STATE, READS_STATE)
        for spec in specs:
            (spec.checkpoints / "state").write_text(f"of {spec.host}")
        attempts = runtime.start(specs)
        try:
            assert [list(running.log_lines()) for running in attempts] == [[b"of algo-1"], [b"of algo-2"]]
        finally:
            assert [running.wipe() for running in attempts] == [[], []]

    def test_killing_one_host_leaves_the_other(self, start_hosts: StartHosts) -> None:
        first, second = start_hosts(HANDLES_SIGTERM, HANDLES_SIGTERM)
        until_line(first, b"ready")
        until_line(second, b"ready")
        assert first.kill() is True and first.wait(SECONDS) == 137
        assert first.processes() == []
        assert second.wait(0) is None
        assert [process.pid for process in second.processes()] == [1]
        assert second.kill() is True

    def test_sigterm_to_one_host_is_not_the_others(self, start_hosts: StartHosts) -> None:
        first, second = start_hosts(HANDLES_SIGTERM, HANDLES_SIGTERM)
        until_line(first, b"ready")
        until_line(second, b"ready")
        assert second.signal(signal.SIGTERM) is True
        assert second.wait(SECONDS) == 7
        assert first.wait(0) is None
        assert first.signal(signal.SIGTERM) is True
        assert first.wait(SECONDS) == 7

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["first-goes-first", "last-goes-first"])
    def test_a_wiped_host_is_gone_and_leaves_the_others_working(
        self, start_hosts: StartHosts, tmp_path: Path, order: tuple[int, int]
    ) -> None:
        answers = ANSWERS.replace("LISTENS_ON", self.listens_on)
        attempts = start_hosts(answers, answers)
        folders = [tmp_path / host / "instance" for host in ("algo-1", "algo-2")]
        logs = [running.log_lines() for running in attempts]
        assert [next(log) for log in logs] == [b"ready", b"ready"]
        gone, stays = order
        assert attempts[gone].wipe() == []
        assert not folders[gone].exists() and folders[stays].exists()
        assert attempts[stays].wait(0) is None
        (attempts[stays].paths.input_config / "ask").write_text("")
        assert next(logs[stays]) == b"reached myself"
        assert attempts[stays].wipe() == []
        assert not folders[stays].exists()
        assert attempts[gone].wipe() == []

    def test_a_start_that_fails_at_the_last_host_leaves_nothing(
        self, runtime: Runtime, make_specs: MakeSpecs, tmp_path: Path
    ) -> None:
        specs = make_specs("import time\ntime.sleep(600)", "", channels={"train": Path("data")})
        (tmp_path / "algo-1" / "data").mkdir()
        with pytest.raises(EnvironmentFailure):
            runtime.start(specs)
        assert not [spec.host for spec in specs if spec.instance_dir.exists()]


EXPECTED = ["{'epochs': '3'}", "algo-1", "1,2", "a-job given testing"]

GREETS = """
import json, socket, time
config = json.load(open("/opt/ml/input/config/resourceconfig.json"))
own = config["current_host"]
listener = socket.create_server((LISTENS_ON, 7777))
for host in config["hosts"]:
    while True:
        try:
            connection = socket.create_connection((host, 7777), 5)
            break
        except OSError:
            time.sleep(0.05)
    connection.sendall(own.encode())
    connection.close()
greeted = []
for _ in config["hosts"]:
    connection, _ = listener.accept()
    with connection.makefile() as words:
        greeted.append(words.read())
print("greeted by", *sorted(greeted))
"""

TELLS_WHO = """
import json, os, socket
config = json.load(open("/opt/ml/input/config/resourceconfig.json"))
print(config["current_host"], os.environ["SM_CURRENT_HOST"], socket.gethostname(), config["hosts"])
"""

WRITES = """
import os
os.makedirs("/root", exist_ok=True)
mounted = ["/opt/ml/" + name for name in ("checkpoints", "model", "output/data", "input/data/train")]
for folder in (*mounted, "/tmp", "/root"):
    open(folder + "/state", "x").write(os.environ["SM_CURRENT_HOST"])
print(open("/opt/ml/input/data/train/part").read())
"""

READS_STATE = 'print(open("/opt/ml/checkpoints/state").read())'

ANSWERS = """
import json, os, socket, time
own = json.load(open("/opt/ml/input/config/resourceconfig.json"))["current_host"]
listener = socket.create_server((LISTENS_ON, 7777))
print("ready", flush=True)
while not os.path.exists("/opt/ml/input/config/ask"):
    time.sleep(0.05)
socket.create_connection((own, 7777), 60)
print("reached myself", flush=True)
time.sleep(600)
"""


def spec_of_host(
    folder: Path, host: str, hosts: Sequence[str], script: str, image: str | None = None, **job: object
) -> AttemptSpec:
    """One host's part of an attempt; channels are named as folders below `folder`/`host`."""
    own = folder / host
    source, instance = own / "source", own / "instance"
    source.mkdir(parents=True)
    (instance / "checkpoints").mkdir(parents=True)
    (source / "train.py").write_text(script)
    training_job = TrainingJob(
        "a-job",
        CheckpointConfig("s3://bucket/prefix"),
        image=image,
        source_dir=source,
        entry_script="train.py",
        hosts=tuple(hosts),
        **own_channels(own, job),  # type: ignore[arg-type]
    )
    return AttemptSpec(training_job, "run", 1, host, instance, instance / "checkpoints")


def own_channels(own: Path, job: Mapping[str, Any]) -> dict[str, Any]:
    """What else a job has, with its channels where the host has them."""
    return {**job, "channels": {name: own / path for name, path in job.get("channels", {}).items()}}


def until_line(running: RunningAttempt, start: bytes) -> bytes:
    """The first log line that begins so; the rest of the log is not read."""
    deadline = time.monotonic() + SECONDS
    for line in running.log_lines():
        if line.startswith(start):
            return line
        assert time.monotonic() < deadline, "no such line in time"
    raise AssertionError(f"the script ended ({running.wait(1)}) without a line {start!r}")
