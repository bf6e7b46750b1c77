"""A job on several instances, from `run` to its verdict: who saves what, and what comes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.app.simulate import Result, simulate
from simulator.core.errors import ExitCode
from simulator.core.timeline import Kind
from simulator.runtimes.process import Isolation, ProcessRuntime

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(ProcessRuntime().mode is Isolation.PLAIN, reason="hosts have names only in namespaces"),
]

TRAIN = """
import json, os, time

HOST = os.environ["SM_CURRENT_HOST"]
HOSTS = json.loads(os.environ["SM_HOSTS"])
RANK = HOSTS.index(HOST)
FOLDER = "/opt/ml/checkpoints"
{saving}

def save(step):
    path = NAME
    with open(path + ".tmp", "w") as file:
        json.dump({{"step": step, "weights": WEIGHTS}}, file)
    os.replace(path + ".tmp", path)

def load():
    try:
        with open(NAME) as file:
            return json.load(file)["step"]
    except FileNotFoundError:
        return 0

step = load()
print(f"{{HOST}} begins at {{step}}", flush=True)
time.sleep(2 - time.time() % 2)  # in step with the others, as hosts that exchange gradients are
while step < 60:
    step += 1
    time.sleep(0.02)
    if RANK == 0:
        print(f"step={{step}} loss={{1 / step}}", flush=True)
    if step % 10 == 0 and SAVES:
        save(step)
if RANK == 0:
    with open("/opt/ml/model/model.json", "w") as file:
        json.dump(step, file)
"""
RANK_0 = 'NAME, SAVES, WEIGHTS = FOLDER + "/state.json", RANK == 0, [0.5] * 1000'
A_NAME_A_RANK = 'NAME, SAVES, WEIGHTS = FOLDER + f"/{HOST}.json", True, [RANK] * 1000'
SAME_NAME = 'NAME, SAVES, WEIGHTS = FOLDER + "/state.json", True, [RANK] * 1000'
SAME_BYTES = 'NAME, SAVES, WEIGHTS = FOLDER + "/state.json", True, [0.5] * 1000'


def run(tmp_path: Path, saving: str, **settings: object) -> Result:
    source = tmp_path / "source"
    source.mkdir()
    (source / "train.py").write_text(TRAIN.format(saving=saving))
    return simulate(
        runtime="process",
        source_dir=source,
        entry_script="train.py",
        instance_count=2,
        interrupt=("step=35",),
        profile="sudden",
        out=tmp_path / "out",
        **settings,
    )


def errors(result: Result) -> list[str]:
    return [finding.rule for finding in result.verdict.findings if finding.severity == "error"]


@pytest.mark.parametrize("saving", [RANK_0, A_NAME_A_RANK, SAME_BYTES], ids=["rank 0", "a name a rank", "same bytes"])
def test_ranks_that_share_the_prefix_rightly_survive(tmp_path: Path, saving: str) -> None:
    result = run(tmp_path, saving)
    assert (result.exit_code, errors(result)) == (ExitCode.SURVIVED, [])
    assert {event.data["host"] for event in result.record.timeline.of(Kind.KILLED)} == {"algo-1", "algo-2"}
    resumed = result.report["attempts"][1]
    assert (tmp_path / "out" / resumed["log"]).read_text().startswith("algo-1 begins at 30")
    assert sorted(path.name for path in (tmp_path / "out" / "logs").iterdir()) == [
        f"attempt-{attempt}.{host}.log" for attempt in (1, 2) for host in ("algo-1", "algo-2")
    ]


def test_hosts_that_write_different_bytes_to_one_name_are_convicted(tmp_path: Path) -> None:
    result = run(tmp_path, SAME_NAME)
    assert result.exit_code is ExitCode.DOES_NOT_SURVIVE
    assert "SPOT018" in errors(result)


def test_the_uninterrupted_runs_have_as_many_instances(tmp_path: Path) -> None:
    result = run(tmp_path, RANK_0, baseline=True)
    assert (result.exit_code, result.verdict.tier) == (ExitCode.SURVIVED, 1)
