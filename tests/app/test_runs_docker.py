"""Whole runs on the SageMaker local mode runtime: real containers, moto in Compose, the bundled trainer."""

from __future__ import annotations

import json
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.app.simulate import Result, simulate
from simulator.core.errors import EnvironmentFailure, ExitCode
from simulator.core.timeline import Kind
from simulator.runtimes.ownership import owner
from simulator.runtimes.port import LABEL_OWNER, LABEL_RUN
from tests.app import scripts
from tests.app.harness import PATIENCE_SECONDS, harness, started_here, wait_for

pytestmark = [pytest.mark.docker, pytest.mark.slow]
TRAIN = Path(__file__).parents[2] / "train"


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    before = leftovers()
    yield
    assert leftovers() - before == set()


def labelled() -> set[str]:
    """`ID OWNER` of the containers and networks that any harness has."""
    line = f'{{{{.ID}}}} {{{{.Label "{LABEL_OWNER}"}}}}'
    found = set()
    for kind in (["ps", "-a"], ["network", "ls"]):
        command = ["docker", *kind, "--filter", f"label={LABEL_RUN}", "--format", line]
        found |= set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())
    return found


def leftovers() -> set[str]:
    """Those of this process and of the harnesses it started: other runs and tests go on beside these, and some of
    those kill their harness on purpose."""
    return {thing for thing in labelled() if thing.partition(" ")[2] in {owner(), *started_here()}}


def run(tmp_path: Path, *interruptions: str, **settings: object) -> Result:
    return simulate(
        **{
            "runtime": "local-mode",
            "interrupt": interruptions or ("step=63",),
            "warning": 1.0,
            "grace": 20.0,
            "out": tmp_path / "run",
            **settings,
        }
    )


def rules(result: Result) -> list[str]:
    return sorted(finding.rule for finding in result.verdict.findings if finding.severity == "error")


@pytest.mark.tensorflow
def test_the_bundled_trainer_survives_in_its_container(tmp_path: Path, training_image: str) -> None:
    result = run(tmp_path)
    assert (result.exit_code, rules(result)) == (ExitCode.SURVIVED, [])
    assert result.verdict.tier is not None
    assert result.report["attempts"][0]["exit_code"] == 143


@pytest.mark.tensorflow
def test_the_bundled_trainer_without_its_restore_restarts_from_scratch(tmp_path: Path, training_image: str) -> None:
    source = tmp_path / "train"
    source.mkdir()
    text = (TRAIN / "resumable.py").read_text()
    changed = text.replace("for step, path in self._checkpoints():", "for step, path in []:", 1)
    assert changed != text
    (source / "resumable.py").write_text(changed)
    (source / "train.py").write_text((TRAIN / "train.py").read_text())
    (source / "data").symlink_to(TRAIN / "data")
    result = run(tmp_path, image=training_image, source_dir=source, entry_script="train.py", grace=3.0)
    assert result.exit_code is ExitCode.DOES_NOT_SURVIVE
    assert "SPOT002" in rules(result)


def test_the_sdks_driver_scripts_swallow_sigterm_and_it_is_told(tmp_path: Path, training_image: str) -> None:
    source = scripts.write(tmp_path / "source", scripts.SIGNAL_ONLY)
    result = run(
        tmp_path, "step=15", image=training_image, source_dir=source, entry_script="train.py", warning=0.5, grace=1.0
    )
    assert result.exit_code is ExitCode.DOES_NOT_SURVIVE
    finding = next(finding for finding in result.verdict.findings if finding.rule == "SPOT005")
    assert "exec" in finding.fix and "SourceCode" in finding.fix
    hops = result.report["attempts"][0]["signal_path"]["hops"]
    assert (hops[0]["pid"], hops[0]["kind"], hops[0]["got"], hops[0]["swallowed"]) == (1, "toolkit", False, True)
    assert (hops[-1]["kind"], hops[-1]["disposition"], hops[-1]["got"]) == ("python", "caught", False)
    assert result.record.timeline.of(Kind.PROCESSES, attempt=1)[-1].data["when"] == "before-sigkill"


def own_image(folder: Path, base: str, entrypoint: list[str]) -> str:
    """An image with a script of its own and nothing of the SDK's between SIGTERM and it."""
    scripts.write(folder, scripts.SIGNAL_ONLY)
    (folder / "Dockerfile").write_text(
        f"FROM {base}\nCOPY train.py /opt/ml/code/own.py\nENTRYPOINT {json.dumps(entrypoint)}\n"
    )
    name = f"spot-simulator-test-{secrets.token_hex(4)}"
    subprocess.run(["docker", "build", "--quiet", "--tag", name, str(folder)], check=True, capture_output=True)
    return name


@pytest.mark.parametrize(
    ("entrypoint", "survives", "kinds"),
    [
        (["python", "/opt/ml/code/own.py"], True, [("python", True, False)]),
        (
            ["/bin/sh", "-c", "python /opt/ml/code/own.py; exit $?"],
            False,
            [("shell", False, True), ("python", False, False)],
        ),
    ],
    ids=["exec", "shell"],
)
def test_an_images_own_entrypoint_hears_sigterm_unless_a_shell_stands_there(
    tmp_path: Path, training_image: str, entrypoint: list[str], survives: bool, kinds: list[tuple[str, bool, bool]]
) -> None:
    image = own_image(tmp_path / "context", training_image, entrypoint)
    try:
        result = run(tmp_path, "step=35", image=image, warning=0.5, grace=2.0)
    finally:
        subprocess.run(["docker", "rmi", image], check=False, capture_output=True)
    path = result.report["attempts"][0]["signal_path"]
    assert [(hop["kind"], hop["got"], hop["swallowed"]) for hop in path["hops"]] == kinds
    assert (result.exit_code is ExitCode.SURVIVED) is survives
    assert ("ENTRYPOINT" in (path["fix"] or "")) is not survives
    assert result.report["attempts"][0]["grace_budget"]["from"] == "notice"


def test_a_periodic_saver_survives_behind_the_sdks_driver_scripts(tmp_path: Path, training_image: str) -> None:
    source = scripts.write(tmp_path / "source", scripts.PERIODIC_ONLY)
    result = run(
        tmp_path, "step=35", image=training_image, source_dir=source, entry_script="train.py", warning=0.5, grace=1.0
    )
    assert (result.exit_code, rules(result)) == (ExitCode.SURVIVED, [])


def test_an_image_that_does_not_exist_is_an_environment_failure(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailure) as failure:
        run(tmp_path, image="spot-simulator-no-such-image:none")
    assert "spot-simulator-no-such-image" in failure.value.what
    assert failure.value.next_step


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_to_the_harness_leaves_nothing_but_a_partial_report(
    tmp_path: Path, training_image: str, signum: signal.Signals
) -> None:
    with harness(tmp_path / "said", *long_run(tmp_path, training_image)) as running:
        wait_for(running, tmp_path / "run" / "timeline.jsonl", '"kind": "metric"')
        running.send_signal(signum)
        assert running.wait(PATIENCE_SECONDS) == ExitCode.INTERRUPTED_BY_USER
    assert '"partial"' in (tmp_path / "run" / "report.json").read_text()


def test_what_a_killed_harness_left_is_removed_by_the_next_run(tmp_path: Path, training_image: str) -> None:
    with harness(tmp_path / "said", *long_run(tmp_path, training_image)) as running:
        wait_for(running, tmp_path / "run" / "timeline.jsonl", '"kind": "metric"')
        of_harness = f" {running.pid}:"
        assert [thing for thing in labelled() if of_harness in thing]
        running.kill()
        running.wait(PATIENCE_SECONDS)
    subprocess.run([sys.executable, "-m", "simulator", "clean"], check=True)
    assert [thing for thing in labelled() if of_harness in thing] == []


def long_run(tmp_path: Path, image: str) -> list[str]:
    source = scripts.write(tmp_path / "source", scripts.GOOD)
    return [
        *("run", "--runtime", "local-mode", "--interrupt", "step=110", "--warning", "60", "--image", image),
        *("--source-dir", str(source), "--entry-script", "train.py", "--view", "plain"),
        *("--out", str(tmp_path / "run")),
    ]
