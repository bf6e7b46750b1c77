"""What goes wrong around a run: it ends with the documented exit code, says what to type, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from simulator.app import doctor
from simulator.core.errors import ExitCode
from simulator.runtimes.ownership import is_alive
from simulator.runtimes.process import Isolation, ProcessRuntime
from tests.app import scripts
from tests.app.harness import PATIENCE_SECONDS, ROOT, harness, wait_for, wait_until

shut_in = pytest.mark.skipif(ProcessRuntime().mode is Isolation.PLAIN, reason="the scripts name /opt/ml")
as_root = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and unshare")

LOOPBACK_UP = """
import fcntl, os, socket, struct, sys
with socket.socket() as sock:  # SIOCSIFFLAGS: IFF_UP | IFF_RUNNING
    fcntl.ioctl(sock, 0x8914, struct.pack("16sh", b"lo", 0x1 | 0x40))
os.execvp(sys.argv[1], sys.argv[1:])
"""


def options(source: Path, out: Path, *more: str) -> list[str]:
    """A quick run of a script in the process runtime."""
    return [
        *("run", "--runtime", "process", "--view", "plain"),
        *("--source-dir", str(source), "--entry-script", "train.py", "--out", str(out)),
        *("--interrupt", "step=35", "--warning", "0.5", "--grace", "1", *more),
    ]


def command(source: Path, out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "simulator", *options(source, out, *more)]


def run(arguments: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments,
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, **environment},
        cwd=ROOT,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def abandoned_scratch() -> list[Path]:
    """Folders of harnesses that are gone; other tests' harnesses may be at work beside this one."""
    marks = Path(tempfile.gettempdir()).glob("spot-simulator-*/owner")
    return [mark.parent for mark in marks if not is_alive(mark.read_text())]


@shut_in
def test_a_moto_that_dies_ends_the_run_and_is_named(tmp_path: Path) -> None:
    source = scripts.write(tmp_path / "source", scripts.GOOD)
    with harness(tmp_path / "said", *options(source, tmp_path / "run", "--interrupt", "step=100")) as running:
        wait_for(running, tmp_path / "run" / "timeline.jsonl", '"kind": "metric"')
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        moto = next(pid for pid in children if b"moto_server" in Path(f"/proc/{pid}/cmdline").read_bytes())
        os.kill(int(moto), signal.SIGKILL)
        assert running.wait(PATIENCE_SECONDS) == ExitCode.ENVIRONMENT
    output = (tmp_path / "said").read_text()
    assert "moto" in output and "next:" in output
    assert '"partial"' in (tmp_path / "run" / "report.json").read_text()
    assert abandoned_scratch() == []


def test_a_port_that_is_taken_is_named_with_the_way_out(tmp_path: Path) -> None:
    source = scripts.write(tmp_path / "source", scripts.GOOD)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run(command(source, tmp_path / "run", "--moto-port", port))
    assert done.returncode == ExitCode.ENVIRONMENT
    assert port in done.stderr and "next:" in done.stderr


@shut_in
def test_a_script_that_hangs_and_prints_binary_is_killed_in_time(tmp_path: Path) -> None:
    script = scripts.HEAD + (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "for step in range(40):\n    print(f'step={step}', flush=True)\n    time.sleep(0.01)\n"
        "os.write(1, bytes(range(256)) * 50)\n"
        "time.sleep(8)  # far beyond the first attempt's grace; the second is left alone, and ends\n"
    )
    done = run(command(scripts.write(tmp_path / "source", script), tmp_path / "run"))
    assert done.returncode == ExitCode.DOES_NOT_SURVIVE
    assert "SPOT001" in done.stdout
    assert json.loads((tmp_path / "run" / "report.json").read_text())["attempts"][0]["exit_code"] == 137
    assert bytes(range(11, 256)) in (tmp_path / "run" / "logs" / "attempt-1.log").read_bytes()


@shut_in
@as_root
def test_a_full_disk_is_named_and_the_report_still_written(tmp_path: Path) -> None:
    source = scripts.write(tmp_path / "source", scripts.GOOD.replace("[step * 0.5] * 1000", "[step * 0.5] * 4_000_000"))
    place = tmp_path / "small"
    place.mkdir()
    script = (
        f"mount -t tmpfs -o size=24m small {place} && mkdir {place}/tmp && export TMPDIR={place}/tmp && "
        f"{' '.join(command(source, place / 'run'))}; code=$?; "
        f"test -s {place}/run/report.json || exit 99; ls {place}/tmp; exit $code"
    )
    done = run(["unshare", "--mount", "sh", "-c", script])
    assert done.returncode not in (ExitCode.SURVIVED, 99), done.stdout + done.stderr
    assert "No space left" in done.stdout + done.stderr
    assert "spot-simulator-" not in done.stdout.splitlines()[-1]


@shut_in
@as_root
@pytest.mark.tensorflow
@pytest.mark.slow
def test_make_simulate_needs_no_way_out(tmp_path: Path) -> None:
    done = run(
        [
            *("unshare", "--net", sys.executable, "-c", LOOPBACK_UP),
            *("make", "simulate", "RUNTIME=process", "WARNING=1", f"OUT={tmp_path / 'run'}", "ARGS=--view plain"),
        ]
    )
    assert done.returncode == ExitCode.SURVIVED, done.stdout + done.stderr


@as_root
@pytest.mark.docker
@pytest.mark.tensorflow
@pytest.mark.slow
def test_the_sdk_needs_no_way_out_either(tmp_path: Path, training_image: str) -> None:
    """The harness, the SDK and Compose see loopback and the engine's socket alone; moto is beside them there."""
    server = f"{Path(sys.executable).parent}/moto_server -H 127.0.0.1 -p 5777 >/dev/null 2>&1 & "
    wait = "until (exec 3<>/dev/tcp/127.0.0.1/5777) 2>/dev/null; do sleep 0.1; done; "
    inner = f"make simulate RUNTIME=local-mode WARNING=1 OUT={tmp_path / 'run'} ARGS='--view plain --s3-endpoint http://127.0.0.1:5777'"
    script = f"{server}{wait}{inner}; code=$?; kill %1; exit $code"
    done = run(["unshare", "--net", sys.executable, "-c", LOOPBACK_UP, "bash", "-c", script])
    assert done.returncode == ExitCode.SURVIVED, done.stdout + done.stderr


@pytest.mark.docker
@pytest.mark.slow
def test_an_engine_that_dies_ends_the_run_and_the_next_one_cleans_up(tmp_path: Path, training_image: str) -> None:
    source = scripts.write(tmp_path / "source", scripts.GOOD)
    arguments = [
        *("run", "--runtime", "local-mode", "--view", "plain", "--image", training_image),
        *("--source-dir", str(source), "--entry-script", "train.py"),
        *("--interrupt", "step=110", "--out", str(tmp_path / "run")),
    ]
    with (
        engine_to_kill() as (address, die),
        harness(tmp_path / "said", *arguments, DOCKER_HOST=f"unix://{address}") as running,
    ):
        wait_for(running, tmp_path / "run" / "timeline.jsonl", '"kind": "metric"')
        die()
        assert running.wait(PATIENCE_SECONDS) == ExitCode.ENVIRONMENT
    output = (tmp_path / "said").read_text()
    assert "engine" in output and "next:" in output
    assert '"partial"' in (tmp_path / "run" / "report.json").read_text()
    assert run([sys.executable, "-m", "simulator", "clean"]).returncode == 0
    left = run(["docker", "ps", "-aq", "--filter", "label=spot-simulator.run"]).stdout.split()
    owners = [
        run(["docker", "inspect", "-f", '{{index .Config.Labels "spot-simulator.owner"}}', c]).stdout for c in left
    ]
    assert not [owner for owner in owners if owner.startswith(f"{running.pid}:")]


@contextmanager
def engine_to_kill() -> Iterator[tuple[Path, Callable[[], None]]]:
    """A socket that leads to the engine, and what cuts it off."""
    with tempfile.TemporaryDirectory() as folder:
        address = Path(folder) / "engine.sock"
        program = str(Path(__file__).with_name("socket_proxy.py"))
        with subprocess.Popen([sys.executable, program, str(address)]) as proxy:
            try:
                wait_until(address.exists, "the proxy's socket")
                yield address, proxy.kill
            finally:
                proxy.kill()


def test_the_doctor_names_a_missing_engine_and_how_to_mend_it() -> None:
    done = run([sys.executable, "-m", "simulator", "doctor"], DOCKER_HOST="unix:///nowhere.sock")
    assert "lacking  Docker engine" in done.stdout
    assert "mend with: sudo systemctl start docker" in done.stdout
    assert "process runtime" in done.stdout
    assert done.returncode == 0


def test_the_doctor_names_a_missing_compose(tmp_path: Path) -> None:
    (tmp_path / "python3").symlink_to(sys.executable)
    done = run([sys.executable, "-m", "simulator", "doctor"], PATH=str(tmp_path))
    assert "lacking  Docker Compose" in done.stdout
    assert "apt-get install docker-compose" in done.stdout


def test_the_doctor_names_a_missing_moto_and_says_that_nothing_can_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    lines, exit_code = doctor.examine([doctor.moto])
    assert lines[0].startswith("missing  moto server")
    assert "make setup" in lines[1]
    assert exit_code is ExitCode.ENVIRONMENT


def test_without_an_engine_the_process_runtime_runs_and_says_so_loudly(tmp_path: Path) -> None:
    source = scripts.write(tmp_path / "source", scripts.CRASHES_AT_ONCE)
    arguments = command(source, tmp_path / "run")
    arguments[arguments.index("process")] = "auto"
    done = run(arguments, DOCKER_HOST="unix:///nowhere.sock")
    assert "NO CONTAINER" in done.stdout
    assert "unlike SageMaker" in done.stdout
