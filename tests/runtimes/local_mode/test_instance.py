"""What an instance is in local mode: its mounts, its traces, and its end, whatever ends it."""

from __future__ import annotations

import json
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from simulator.core.errors import EnvironmentFailure, UsageError
from simulator.runtimes.local_mode import LocalModeRuntime, attempt, folders
from simulator.runtimes.ownership import owner
from simulator.runtimes.port import LABEL_OWNER
from tests.runtimes.contract import SECONDS, until_line
from tests.runtimes.local_mode.conftest import Start, left_in_engine, removed_after_kill, spec_of
from tests.runtimes.local_mode.relay import EngineRelay

pytestmark = pytest.mark.docker

SLEEPS = "import time\nprint('ready', flush=True)\ntime.sleep(600)"


def test_checkpoints_are_at_their_local_path_with_what_was_restored(start_image: Start, tmp_path: Path) -> None:
    running = start_image(
        "import json, os, time\npath = json.load(open('/opt/ml/input/config/checkpointconfig.json'))['LocalPath']\n"
        "print(path, flush=True)\n"
        "while not os.path.exists(path + '/state'): time.sleep(0.05)\ntime.sleep(0.1)\n"
        "print(open(path + '/state').read())",
        local_path="/mnt/my checkpoints",
    )
    (running.paths.checkpoints / "state").write_text("restored")
    assert list(running.log_lines()) == [b"/mnt/my checkpoints", b"restored"]


def test_the_notice_is_seen_while_training_runs(start_image: Start) -> None:
    running = start_image(
        "import os, time\nprint('ready', flush=True)\n"
        "while not os.path.exists(os.environ['SPOT_INTERRUPTION_NOTICE_FILE']): time.sleep(0.05)\nprint('noticed')"
    )
    until_line(running, b"ready")
    (running.paths.input_config / "spot-instance-action.json").write_text("{}")
    assert running.wait(SECONDS) == 0


def test_what_a_script_writes_into_a_channel_is_lost_with_the_instance(start_image: Start, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    running = start_image("open('/opt/ml/input/data/train/state', 'w').write('x')", channels={"train": data})
    assert running.wait(SECONDS) == 0
    assert list(data.iterdir()) == []


def test_a_channel_too_large_to_copy_is_mounted_read_only(
    start_image: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "large").write_bytes(b"x" * 100_000)
    monkeypatch.setattr(folders, "COPIED_CHANNEL_BYTES", 10_000)
    running = start_image(
        "print(len(open('/opt/ml/input/data/train/large').read()))\nopen('/opt/ml/input/data/train/state', 'w')",
        channels={"train": data},
    )
    lines = list(running.log_lines())
    assert b"100000" in lines and any(b"Read-only file system" in line for line in lines)  # two streams, in any order


def test_a_file_is_a_channel_too(start_image: Start, tmp_path: Path) -> None:
    (tmp_path / "iris.csv").write_text("1,2")
    running = start_image(
        "print(open('/opt/ml/input/data/train/iris.csv').read())", channels={"train": tmp_path / "iris.csv"}
    )
    assert list(running.log_lines()) == [b"1,2"]


def test_processes_are_read_from_outside_where_the_image_has_no_shell(start_image: Start) -> None:
    running = start_image("import os\nos.remove('/bin/sh')\n" + SLEEPS)
    until_line(running, b"ready")
    assert [process.pid for process in running.processes()] == [1]


def test_written_files_are_named_where_the_engines_folders_cannot_be_read(
    start_image: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = start_image(
        "import os\nos.makedirs('/state/empty')\nopen('/state/model.pt', 'w').write('x' * 1000)\n"
        "open('/tmp/a', 'w').write('xy')\nos.symlink('a', '/tmp/link')"
    )
    assert running.wait(SECONDS) == 0
    by_folder = running.written_paths()
    monkeypatch.setattr(attempt, "_is_readable", lambda folder: False)
    by_engine = running.written_paths()
    assert [(written.path, written.bytes) for written in by_engine] == [("/state/model.pt", 1000), ("/tmp/a", 2)]
    assert list(by_folder) == list(by_engine)


@pytest.mark.parametrize("script", [SLEEPS, "print('ready')"], ids=["running", "ended"])
def test_a_harness_that_is_not_root_is_let_in_to_the_checkpoints(
    start_image: Start, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    running = start_image(
        "import os\nos.umask(0o077)\nos.makedirs('/opt/ml/checkpoints/step-1')\n"
        "open('/opt/ml/checkpoints/step-1/state', 'w').write('x')\n" + script
    )
    until_line(running, b"ready")
    if script != SLEEPS:
        assert running.wait(SECONDS) == 0
    folder = running.paths.checkpoints / "step-1"
    assert folder.stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(attempt, "harness_is_root", lambda: False)
    running.grant_access()
    assert folder.stat().st_mode & 0o777 == 0o777
    assert (folder / "state").stat().st_mode & 0o666 == 0o666


def test_attempts_started_at_the_same_time_do_not_collide(start_image: Start) -> None:
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(lambda number: start_image(SLEEPS, number), (1, 2))
    assert one.identity != two.identity
    assert one.wipe() == []
    assert two.wait(0) is None and two.kill() is True


def test_an_image_that_is_not_there_is_named_with_the_next_command(runtime: LocalModeRuntime, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailure) as failure:
        runtime.prepare(spec_of(tmp_path, "localhost:1/no-such-image:1", "").job)
    assert "localhost:1/no-such-image:1" in failure.value.what
    assert failure.value.next_step.startswith("docker pull")


def test_an_image_of_amazons_registry_is_never_pulled_by_us(runtime: LocalModeRuntime, tmp_path: Path) -> None:
    image = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.3"
    with pytest.raises(EnvironmentFailure) as failure:
        runtime.prepare(spec_of(tmp_path, image, "").job)
    assert "docker login" in failure.value.next_step


def test_a_container_that_cannot_start_is_told_and_leaves_nothing(
    runtime: LocalModeRuntime, python_image: str, tmp_path: Path
) -> None:
    spec = spec_of(tmp_path, python_image, "")  # no entrypoint, and no program `train`
    runtime.prepare(spec.job)
    with pytest.raises(EnvironmentFailure) as failure:
        runtime.start([spec])
    assert '"train"' in failure.value.why and "executable file not found" in failure.value.why
    assert not spec.instance_dir.exists()


def test_half_a_way_in_is_a_usage_error(runtime: LocalModeRuntime, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        runtime.prepare(spec_of(tmp_path, "any", "", entry_script="train.py").job)


def test_a_container_that_someone_removes_is_no_exit(start_image: Start) -> None:
    running = start_image(SLEEPS)
    until_line(running, b"ready")
    subprocess.run(["docker", "rm", "--force", running.identity], check=True, capture_output=True)
    try:
        assert running.wait(SECONDS) == 137  # the engine told its end before it was gone
    except EnvironmentFailure as failure:
        assert "removed" in failure.what
    assert running.signal(signal.SIGTERM) is False
    assert running.processes() == [] and running.written_paths() == []


def test_an_engine_that_dies_is_not_taken_for_an_exit(
    own_entrypoint_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EngineRelay(tmp_path / "engine.sock") as relay:
        monkeypatch.setenv("DOCKER_HOST", relay.address)
        runtime = LocalModeRuntime()
        spec = spec_of(tmp_path, own_entrypoint_image, SLEEPS)
        runtime.prepare(spec.job)
        (running,) = runtime.start([spec])
        lines = running.log_lines()
        assert next(lines) == b"ready"
        assert running.wait(0) is None
        relay.die()
        with pytest.raises(EnvironmentFailure, match="engine"):
            running.wait(SECONDS)
        with pytest.raises(EnvironmentFailure, match="engine"):
            list(lines)
        with pytest.raises(EnvironmentFailure, match="engine"):
            runtime.prepare(spec.job)
        left = running.wipe()
        assert len(left) == 1 and "container" in left[0]
        relay.live()
        assert running.wipe() == []
        runtime.close()
        assert left_in_engine(owner()) == []


HARNESS = """
import sys
from pathlib import Path
from simulator.core.job import CheckpointConfig, TrainingJob
from simulator.runtimes.local_mode import LocalModeRuntime
from simulator.runtimes.ownership import owner
from simulator.runtimes.port import AttemptSpec
instance = Path(sys.argv[1])
(instance / "checkpoints").mkdir(parents=True)
channel = instance.parent / "script"
channel.mkdir()
(channel / "script.py").write_text("import time; time.sleep(600)")
config = CheckpointConfig("s3://bucket/prefix")
job = TrainingJob("a-job", config, image=sys.argv[2], channels={"script": channel})
runtime = LocalModeRuntime()
(running,) = runtime.start([AttemptSpec(job, "run", 1, "algo-1", instance, instance / "checkpoints")])
print(owner(), flush=True)
sys.stdin.read()
"""


def test_what_a_killed_harness_left_is_swept_and_a_living_ones_is_not(
    runtime: LocalModeRuntime, own_entrypoint_image: str, start_image: Start, tmp_path: Path
) -> None:
    living = start_image(SLEEPS, attempt=2)
    removed = removed_after_kill(runtime, HARNESS, tmp_path / "other" / "instance", own_entrypoint_image, leaves=2)
    assert {"container", "network"} <= {line.split()[0] for line in removed}
    assert f"folder {tmp_path / 'other' / 'instance'}" in removed
    assert not (tmp_path / "other" / "instance").exists()
    assert living.wait(0) is None


def test_what_has_no_owner_or_another_machines_is_not_swept(runtime: LocalModeRuntime, python_image: str) -> None:
    labels = (f"{LABEL_OWNER}=", "note=by-hand"), (f"{LABEL_OWNER}=1:0", "spot-simulator.machine=elsewhere/pid:[1]")
    names = []
    try:
        for pair in labels:
            create = [
                "docker",
                "create",
                *(part for label in pair for part in ("--label", label)),
                python_image,
                "true",
            ]
            names.append(subprocess.run(create, capture_output=True, text=True, check=True).stdout.strip())
        assert not [line for line in runtime.sweep() if any(name[:12] in line for name in names)]
        seen = subprocess.run(["docker", "inspect", *names], capture_output=True, check=True).stdout
        assert len(json.loads(seen)) == 2
    finally:
        subprocess.run(["docker", "rm", "--force", *names], check=True, capture_output=True)
