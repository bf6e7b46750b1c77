"""`spot-simulator exec` and `env` as commands: exit codes, what is told, and that nothing is left."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.app.harness import harness, wait_for

ROOT = Path(__file__).parents[2]
CREATE = """
import boto3, time
from tests.service.serving import request
sagemaker = boto3.client("sagemaker")
boto3.client("s3").create_bucket(Bucket="launches")
boto3.client("s3").put_object(Bucket="launches", Key="source.tar.gz", Body=open("ARCHIVE", "rb").read())
sagemaker.create_training_job(**request("left-running", "s3://launches/source.tar.gz"))
while sagemaker.describe_training_job(TrainingJobName="left-running")["SecondaryStatus"] != "Training":
    time.sleep(0.1)
"""
PENDING = '["TrainingJobStatus"] == "InProgress"'


def simulator(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "simulator", *arguments],
        cwd=ROOT,
        env={**os.environ, "XDG_CACHE_HOME": str(folder), "AWS_PROFILE": "work"},
        capture_output=True,
        text=True,
        check=False,
    )


def exec_here(folder: Path, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return simulator(folder, "exec", "--runtime", "process", "--out", folder / "runs", "--", *command)


def test_the_exit_code_and_the_output_are_the_commands_and_the_hosts_are_told(tmp_path: Path) -> None:
    before = set(Path(tempfile.gettempdir()).glob("spot-simulator-exec-*"))
    script = "import os, boto3; del os.environ['AWS_ENDPOINT_URL']; "
    script += "print(boto3.client('sts').get_caller_identity()['Account'])"
    done = exec_here(tmp_path, [sys.executable, "-c", f"{script}; raise SystemExit(7)"])
    assert (done.returncode, done.stdout) == (7, "123456789012\n")
    assert "sts.us-east-1.amazonaws.com: 1 request, answered here (moto)" in done.stderr
    assert set(Path(tempfile.gettempdir()).glob("spot-simulator-exec-*")) <= before


def test_a_job_that_the_command_leaves_running_is_named_and_ends_with_it(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import time; time.sleep(600)")
    archive = tmp_path / "source.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / "train.py", "train.py")
    done = exec_here(tmp_path, [sys.executable, "-c", CREATE.replace("ARCHIVE", str(archive))])
    assert done.returncode == 0, done.stderr
    assert "left-running is still Training, and ends with the command" in done.stderr
    assert "left-running: Failed" in done.stderr
    assert (tmp_path / "runs" / "left-running" / "report.json").is_file()


def test_sigterm_ends_the_command_and_then_what_was_started_for_it(tmp_path: Path) -> None:
    said = tmp_path / "said"
    sleeps = "import os, time; print(os.environ['AWS_CA_BUNDLE'], 'ready', flush=True); time.sleep(600)"
    with harness(said, "exec", "--runtime", "process", "--", sys.executable, "-c", sleeps) as running:
        wait_for(running, said, "ready")
        bundle = next(Path(line.split()[0]) for line in said.read_text().splitlines() if line.endswith("ready"))
        assert bundle.is_file()
        running.terminate()
        assert running.wait(60) == 128 + 15
    assert not bundle.parent.exists()


def test_what_a_killed_exec_leaves_is_swept_by_the_next(tmp_path: Path) -> None:
    said = tmp_path / "said"
    sleeps = "import os, time; print(os.environ['AWS_CA_BUNDLE'], 'ready', flush=True); time.sleep(60)"
    with harness(said, "exec", "--runtime", "process", "--", sys.executable, "-c", sleeps) as running:
        wait_for(running, said, "ready")
        bundle = next(Path(line.split()[0]) for line in said.read_text().splitlines() if line.endswith("ready"))
        running.kill()
        running.wait(60)
    assert bundle.is_file()
    done = exec_here(tmp_path, [sys.executable, "-c", ""])
    assert not bundle.parent.exists()
    assert f"removed what an earlier run had left: folder {bundle.parent.name}" in done.stderr


def test_what_proves_nothing_does_not_read_like_a_fault_of_the_job(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("print('step=1')")
    archive = tmp_path / "source.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / "train.py", "train.py")
    launch = CREATE.replace("ARCHIVE", str(archive)).replace('["SecondaryStatus"] != "Training"', PENDING)
    done = exec_here(tmp_path, [sys.executable, "-c", launch])
    assert done.returncode == 0, done.stderr
    last = next(line for line in reversed(done.stderr.splitlines()) if "left-running" in line)
    told = "nothing proved: nothing was interrupted, as the plan holds no interruption"
    assert (
        last == f"spot-simulator: left-running: Completed; {told}; spot-simulator report {tmp_path}/runs/left-running"
    )


def test_what_moto_calls_completed_and_nobody_ran_is_said_at_the_end(tmp_path: Path) -> None:
    script = """
import boto3
boto3.client("sagemaker").create_processing_job(ProcessingJobName="p", RoleArn="arn:aws:iam::123456789012:role/r",
    AppSpecification={"ImageUri": "image"}, ProcessingResources={"ClusterConfig":
    {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5}})
"""
    done = exec_here(tmp_path, [sys.executable, "-c", script])
    assert done.returncode == 0, done.stderr
    assert "CreateProcessingJob is answered by moto, which runs nothing" in done.stderr
    assert "CreateProcessingJob (once) was answered by moto, and nothing was run for it" in done.stderr


def test_a_command_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    done = exec_here(tmp_path, ["no-such-command"])
    assert done.returncode == 2
    assert "there is no command 'no-such-command'" in done.stderr


def test_a_wrong_image_map_is_told_before_anything_starts(tmp_path: Path) -> None:
    done = simulator(tmp_path, "exec", "--image-map", "nonsense", "--", "true")
    assert done.returncode == 2
    assert "URI=IMAGE" in done.stderr


def test_env_names_the_server_that_is_to_be_started(tmp_path: Path) -> None:
    done = simulator(tmp_path, "env")
    assert (done.returncode, done.stdout) == (2, "")
    assert "spot-simulator serve --port 5055" in done.stderr


def test_a_shell_that_evaluates_env_meets_the_server(tmp_path: Path) -> None:
    said = tmp_path / "said"
    arguments = ("serve", "--port", "0", "--runtime", "process", "--out", str(tmp_path / "runs"))
    with harness(said, *arguments, XDG_CACHE_HOME=str(tmp_path)) as running:
        wait_for(running, said, "spot-simulator env")
        port = next((tmp_path / "spot-simulator" / "serve").glob("*.json")).stem
        ask = "import boto3; print(boto3.client('iam').get_role(RoleName='Mine')['Role']['RoleName'])"
        script = f'eval "$("$0" -m simulator env --port {port})"; "$0" -c "$1"; env -u AWS_ENDPOINT_URL "$0" -c "$1"'
        done = subprocess.run(
            ["sh", "-c", script, sys.executable, ask],
            cwd=ROOT,
            env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout == "Mine\nMine\n", done.stderr
        running.terminate()
        running.wait(60)
    assert list((tmp_path / "spot-simulator" / "serve").iterdir()) == []
