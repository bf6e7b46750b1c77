"""Rules seen at work: a script that has the bug and its mended twin, each run in the process runtime."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from simulator.app.simulate import Result, simulate
from simulator.checks import Finding
from simulator.core.errors import ExitCode
from simulator.runtimes.process import Isolation, ProcessRuntime
from tests.app import scripts

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(ProcessRuntime().mode is Isolation.PLAIN, reason="the scripts name /opt/ml: needs namespaces"),
]

SLOW_SAVE = """
def save(step):
    text = json.dumps({"step": step, "weights": [step * 0.5] * 1000})
    path = NAME.format(step)
    with open(path + ASIDE, "w") as file:
        file.write(text[:1000])
        if step == 30:
            file.flush()
            time.sleep(1)
            print("half of it is written", flush=True)
            time.sleep(0.3)
        file.write(text[1000:])
    if ASIDE:
        os.replace(path + ASIDE, path)
"""
DIES = 'NAME, ASIDE = FOLDER + "/state.json", ""\n' + SLOW_SAVE + scripts.LOAD
STARTS_OVER = DIES.replace(
    '        return json.load(file)["step"]',
    '        try:\n            return json.load(file)["step"]\n        except ValueError:\n            return 0',
)
ASIDE = DIES.replace('ASIDE = FOLDER + "/state.json", ""', 'ASIDE = FOLDER + "/state.json", ".tmp"')
FALLS_BACK = (
    'NAME, ASIDE = FOLDER + "/state-{:04}.json", ""\n'
    + SLOW_SAVE
    + """
def load():
    for name in sorted((name for name in os.listdir(FOLDER) if name.endswith(".json")), reverse=True):
        try:
            with open(FOLDER + "/" + name) as file:
                return json.load(file)["step"]
        except ValueError as error:
            print(f"skipping {name}: {error}", flush=True)
    return 0
"""
)


def run(tmp_path: Path, script: str, *interruptions: str, **settings: object) -> Result:
    return simulate(
        runtime="process",
        source_dir=scripts.write(tmp_path / "source", script),
        entry_script="train.py",
        interrupt=interruptions or ("step=35",),
        out=tmp_path / "run",
        **{"profile": "sudden", **settings},
    )


def errors(result: Result) -> list[str]:
    return sorted(finding.rule for finding in result.verdict.findings if finding.severity == "error")


def warnings(result: Result) -> list[str]:
    return sorted(finding.rule for finding in result.verdict.findings if finding.severity == "warning")


def of(result: Result, rule: str) -> Finding:
    return next(finding for finding in result.verdict.findings if finding.rule == rule)


@pytest.mark.parametrize("script", [DIES, STARTS_OVER], ids=["dies", "starts-over"])
def test_a_script_that_overwrites_its_only_file_in_place_is_convicted_of_the_torn_one(
    tmp_path: Path, script: str
) -> None:
    result = run(tmp_path, scripts.HEAD + script + scripts.LOOP, "line=half of it")
    assert (result.exit_code, errors(result)) == (ExitCode.DOES_NOT_SURVIVE, ["SPOT004"])
    assert of(result, "SPOT004").evidence["file"] == "state.json"


@pytest.mark.parametrize("script", [ASIDE, FALLS_BACK], ids=["aside", "falls-back"])
def test_its_twin_that_writes_aside_or_falls_back_aloud_survives(tmp_path: Path, script: str) -> None:
    result = run(tmp_path, scripts.HEAD + script + scripts.LOOP, "line=half of it")
    assert (result.exit_code, errors(result)) == (ExitCode.SURVIVED, [])


SILENT = FALLS_BACK.replace('print(f"skipping {name}: {error}", flush=True)', "continue")


def test_its_twin_that_falls_back_in_silence_survives_with_a_warning(tmp_path: Path) -> None:
    loop = scripts.LOOP.replace("sleep(0.03)", "sleep(0.1)").replace("step < 120", "step < 60")
    result = run(tmp_path, scripts.HEAD + SILENT + loop, "line=half of it")
    assert (result.exit_code, errors(result), warnings(result)) == (ExitCode.SURVIVED, [], ["SPOT004"])


TRAINS_LONGER = scripts.LOOP.replace("step < 120", "step < 200")
KEEPS_ALL = """
def save(step):
    path = f"{FOLDER}/state-{step:04}.json"
    with open(path + ".tmp", "w") as file:
        json.dump({"step": step, "weights": [step * 0.5] * 1000}, file)
    os.replace(path + ".tmp", path)

def load():
    names = sorted(name for name in os.listdir(FOLDER) if name.endswith(".json"))
    return int(names[-1][6:10]) if names else 0
"""
KEEPS_THREE = KEEPS_ALL.replace(
    "\ndef load",
    """    for old in sorted(name for name in os.listdir(FOLDER) if name.endswith(".json"))[:-3]:
        os.remove(f"{FOLDER}/{old}")

def load""",
)


def test_a_script_that_never_removes_a_checkpoint_is_warned(tmp_path: Path) -> None:
    result = run(tmp_path, scripts.HEAD + KEEPS_ALL + TRAINS_LONGER)
    assert (result.exit_code, warnings(result)) == (ExitCode.SURVIVED, ["SPOT010"])
    assert of(result, "SPOT010").evidence["files"] == 20


def test_its_twin_that_keeps_three_is_not(tmp_path: Path) -> None:
    result = run(tmp_path, scripts.HEAD + KEEPS_THREE + TRAINS_LONGER)
    assert (result.exit_code, errors(result), warnings(result)) == (ExitCode.SURVIVED, [], [])


SLOWLY = """
def write(step):
    with open(STATE + ".tmp", "w") as file:
        json.dump({"step": step, "weights": [step * 0.5] * 1000}, file)
        time.sleep(0.3)
    os.replace(STATE + ".tmp", STATE)
"""
WAITS = SLOWLY + "\ndef save(step):\n    write(step)\n"
DOES_NOT_WAIT = """
from concurrent.futures import ThreadPoolExecutor
writer = ThreadPoolExecutor(1)

def save(step):
    writer.submit(write, step)
"""


def test_a_script_that_waits_for_its_slow_saves_is_warned(tmp_path: Path) -> None:
    result = run(tmp_path, scripts.HEAD + WAITS + scripts.LOAD + TRAINS_LONGER, "step=75")
    assert (result.exit_code, warnings(result)) == (ExitCode.SURVIVED, ["SPOT014"])
    assert of(result, "SPOT014").evidence["share"] > 0.2


def test_its_twin_that_saves_in_the_background_is_not(tmp_path: Path) -> None:
    script = scripts.HEAD + SLOWLY + DOES_NOT_WAIT + scripts.LOAD + TRAINS_LONGER
    result = run(tmp_path, script, "step=75")
    assert (result.exit_code, errors(result), warnings(result)) == (ExitCode.SURVIVED, [], [])


RANKS = """
import multiprocessing

def train(rank, start, barrier):
    for step in range(start + 1, 121):
        time.sleep(0.03)
        barrier.wait()
        if rank == 0:
            print(f"step={step} loss={1 / step}", flush=True)
        if step % 10 == 0:
            save_in(rank, step)

start, barrier = load(), multiprocessing.Barrier(2, timeout=5)
ranks = [multiprocessing.Process(target=train, args=(rank, start, barrier)) for rank in range(2)]
for rank in ranks:
    rank.start()
for rank in ranks:
    rank.join()
with open("/opt/ml/model/model.json", "w") as file:
    json.dump({"step": 120}, file)
"""
EVERY_RANK = "\ndef save_in(rank, step):\n    save(step)\n"
RANK_0 = "\ndef save_in(rank, step):\n    if rank == 0:\n        save(step)\n"
A_FORK_A_SAVE = """
def save_in(rank, step):
    if rank == 0:
        child = multiprocessing.Process(target=save, args=(step,))
        child.start()
        child.join()
"""
A_NAME_A_RANK = """
def save_in(rank, step):
    with open(f"{FOLDER}/rank-{rank}.json.tmp", "w") as file:
        json.dump([rank] * 1000, file)
    os.replace(f"{FOLDER}/rank-{rank}.json.tmp", f"{FOLDER}/rank-{rank}.json")
    if rank == 0:
        save(step)
"""
IN_PLACE = scripts.SAVE.replace(' + ".tmp"', "").replace("    os.replace(STATE, STATE)\n", "")
ASIDE_BY_PID = scripts.SAVE.replace('".tmp"', 'f".tmp{os.getpid()}"')
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="who wrote a file is told to root only")


@needs_root
@pytest.mark.parametrize("save", [ASIDE_BY_PID, IN_PLACE], ids=["aside", "in place"])
def test_ranks_that_all_save_to_one_name_are_convicted(tmp_path: Path, save: str) -> None:
    result = run(tmp_path, scripts.HEAD + save + scripts.LOAD + EVERY_RANK + RANKS, "step=55")
    assert "SPOT018" in errors(result)
    finding = of(result, "SPOT018")
    assert len(finding.evidence["processes"]) == 2
    assert "train.py" in finding.message


@pytest.mark.parametrize("save_in", [RANK_0, A_FORK_A_SAVE, A_NAME_A_RANK], ids=["rank 0", "forks", "a name a rank"])
def test_ranks_that_share_the_folder_rightly_survive(tmp_path: Path, save_in: str) -> None:
    result = run(tmp_path, scripts.HEAD + scripts.SAVE + scripts.LOAD + save_in + RANKS, "step=55")
    assert (result.exit_code, errors(result), warnings(result)) == (ExitCode.SURVIVED, [], [])
