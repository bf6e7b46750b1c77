"""Whole runs in the process runtime, each with another way for SIGTERM to the training: heard, swallowed, held back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from simulator.app.simulate import Result, simulate
from simulator.checks.rule import Finding, Severity
from simulator.core.errors import ExitCode
from simulator.runtimes.process import Isolation, ProcessRuntime
from tests.app import scripts

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(ProcessRuntime().mode is Isolation.PLAIN, reason="the scripts name /opt/ml: needs namespaces"),
]

PYTHON = sys.executable

WAITS_FOR_ITS_CHILD = f"""
import subprocess, sys
sys.exit(subprocess.run([{PYTHON!r}, "train.py"]).returncode)
"""

KILLS_AFTER_A_SECOND = f"""
import signal, subprocess, sys
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(child.send_signal(signal.SIGTERM)))
child = subprocess.Popen([{PYTHON!r}, "train.py"])
while child.poll() is None:
    try:
        child.wait(0.1)
    except subprocess.TimeoutExpired:
        if asked:
            try:
                child.wait(1)
            except subprocess.TimeoutExpired:
                child.kill()
sys.exit(child.wait())
"""

SAVES_SLOWLY = scripts.SIGNAL_ONLY.replace(
    '    with open(STATE + ".tmp", "w") as file:\n',
    '    print("SIGTERM received, saving", flush=True)\n'
    '    with open(STATE + ".tmp", "w") as file:\n'
    "        file.write(' ')\n        file.flush()\n        time.sleep(20)\n",
)
EVALUATES = scripts.SIGNAL_ONLY.replace(
    "    if asked:\n",
    "    if step == 40:\n        print('evaluating batch 1/900', flush=True)\n        time.sleep(15)\n    if asked:\n",
)
BLOCKS = scripts.SIGNAL_ONLY.replace(
    "step = load()\n", "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})\nstep = load()\n"
)
WAITS_IN_A_THREAD = scripts.SIGNAL_ONLY.replace(
    scripts.HANDLER,
    "\nimport threading\nsignal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})\n"
    "threading.Thread(target=lambda: asked.append(signal.sigwait({signal.SIGTERM})), daemon=True).start()\n",
)


def run(tmp_path: Path, script: str, entry: tuple[str, str] | None = None, **settings: Any) -> Result:
    """`entry`: the name and text of what is started in place of train.py."""
    source = scripts.write(tmp_path / "source", script)
    name, text = entry or ("train.py", script)
    (source / name).write_text(text)
    return simulate(
        runtime="process",
        source_dir=source,
        entry_script=name,
        out=tmp_path / "run",
        **{"interrupt": ("step=35",), "warning": 0.3, "grace": 2.0, **settings},
    )


def finding_of(result: Result, rule: str) -> Finding:
    found = [finding for finding in result.verdict.findings if finding.rule == rule]
    assert found, [finding.message for finding in result.verdict.findings]
    return found[0]


def hops(result: Result) -> list[dict[str, Any]]:
    path: dict[str, Any] = result.report["attempts"][0]["signal_path"]
    return list(path["hops"])


def told(result: Result) -> list[tuple[str, str, bool | None, bool]]:
    return [(hop["kind"], hop["disposition"], hop["got"], hop["swallowed"]) for hop in hops(result)]


def test_a_script_as_pid_1_hears_it_and_its_grace_is_split(tmp_path: Path) -> None:
    result = run(tmp_path, scripts.SIGNAL_ONLY)
    assert result.exit_code is ExitCode.SURVIVED
    assert told(result) == [("python", "caught", True, False)]
    assert hops(result)[0]["acted_after_seconds"] <= hops(result)[0]["ended_after_seconds"]
    budget = result.report["attempts"][0]["grace_budget"]
    assert [segment["name"] for segment in budget["segments"]] == [
        *("notice-seen", "step-finished", "save", "upload", "margin"),
    ]
    assert budget["bytes"] > 0 and budget["fits"]["bytes"] > 0


def test_a_shell_that_waits_for_its_last_line_swallows_it(tmp_path: Path) -> None:
    result = run(tmp_path, scripts.SIGNAL_ONLY, ("run.sh", f"{PYTHON} train.py\ntrue\n"))
    assert result.exit_code is ExitCode.DOES_NOT_SURVIVE
    assert told(result) == [("shell", "default", False, True), ("python", "caught", False, False)]
    finding = finding_of(result, "SPOT005")
    assert finding.severity is Severity.ERROR
    assert finding.fix.startswith("exec python")
    assert "never ran" in finding.message


def test_a_shell_that_is_replaced_by_the_script_swallows_nothing(tmp_path: Path) -> None:
    result = run(tmp_path, scripts.SIGNAL_ONLY, ("run.sh", f"exec {PYTHON} train.py\n"))
    assert (result.exit_code, list(result.verdict.findings)) == (ExitCode.SURVIVED, [])
    assert told(result) == [("python", "caught", True, False)]


def test_a_trap_that_passes_it_on_and_waits_again_swallows_nothing(tmp_path: Path) -> None:
    shell = f"trap 'kill -TERM $child' TERM\n{PYTHON} train.py &\nchild=$!\nwait $child\nwait $child\n"
    result = run(tmp_path, scripts.SIGNAL_ONLY, ("run.sh", shell))
    assert (result.exit_code, list(result.verdict.findings)) == (ExitCode.SURVIVED, [])
    assert told(result) == [("shell", "caught", True, False), ("python", "caught", True, False)]


def test_a_trap_that_passes_it_on_and_leaves_cuts_the_save_short(tmp_path: Path) -> None:
    shell = f"trap 'kill -TERM $child' TERM\n{PYTHON} train.py &\nchild=$!\nwait $child\nsleep 0.3\n"
    result = run(tmp_path, SAVES_SLOWLY, ("run.sh", shell))
    finding = finding_of(result, "SPOT006")
    assert (finding.severity, finding.evidence["cut_by_launcher"]) == (Severity.ERROR, True)
    assert finding.fix.startswith("exec python")


def test_a_driver_that_only_waits_for_its_child_swallows_it(tmp_path: Path) -> None:
    result = run(tmp_path, scripts.SIGNAL_ONLY, ("launch.py", WAITS_FOR_ITS_CHILD))
    assert told(result) == [("python", "default", False, True), ("python", "caught", False, False)]
    assert "child.send_signal(signal.SIGTERM)" in finding_of(result, "SPOT005").fix


def test_a_launcher_that_kills_its_child_before_the_grace_ends_is_named(tmp_path: Path) -> None:
    result = run(tmp_path, SAVES_SLOWLY, ("launch.py", KILLS_AFTER_A_SECOND), grace=8.0)
    finding = finding_of(result, "SPOT006")
    assert finding.severity is Severity.ERROR
    assert finding.evidence["cut_by_launcher"] is True
    assert "child.wait(timeout=110)" in finding.fix
    child = hops(result)[1]
    assert (child["got"], child["disposition"]) == (True, "caught")
    assert child["acted_after_seconds"] < 1 < child["ended_after_seconds"] < 8


def test_a_flag_that_the_evaluation_never_looks_at_is_named(tmp_path: Path) -> None:
    result = run(tmp_path, EVALUATES, interrupt=("line=evaluating",))
    finding = finding_of(result, "SPOT006")
    assert finding.severity is Severity.ERROR
    assert (finding.evidence["handler_not_polled"], finding.evidence["doing"]) == (True, "evaluation")
    assert finding.evidence["last_lines"][-1] == "evaluating batch 1/900"
    assert "for batch in validation" in finding.fix
    assert finding.evidence["states"] and all(state[0] in "RSD" for state in finding.evidence["states"])


def test_a_signal_mask_that_holds_it_back_is_named(tmp_path: Path) -> None:
    result = run(tmp_path, BLOCKS)
    finding = finding_of(result, "SPOT006")
    assert (finding.severity, finding.evidence["blocked"]) == (Severity.ERROR, True)
    assert "SIG_UNBLOCK" in finding.fix
    assert (hops(result)[0]["disposition"], hops(result)[0]["pending"]) == ("blocked", True)


def test_a_thread_that_waits_for_a_blocked_signal_hears_it(tmp_path: Path) -> None:
    result = run(tmp_path, WAITS_IN_A_THREAD)
    assert (result.exit_code, list(result.verdict.findings)) == (ExitCode.SURVIVED, [])
    assert told(result) == [("python", "blocked", True, False)]
