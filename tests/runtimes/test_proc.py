"""What is read of /proc: masks, pending signals, states and start times, from this machine and from a dump."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from simulator.runtimes.port import ProcessInfo
from simulator.runtimes.proc import DUMP_SCRIPT, parse_dump, parse_status, read_group

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux'")

BLOCKS = """
import signal, time
signal.signal(signal.SIGTERM, lambda *_: None)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
print("ready", flush=True)
time.sleep(600)
"""
STATUS = """State:\tS (sleeping)
Pid:\t12
PPid:\t3
NSpid:\t12\t4
SigPnd:\t0000000000000000
ShdPnd:\t{pending}
SigBlk:\t0000000000004000
SigIgn:\t0000000000001000
SigCgt:\t0000000000004002
Name:\tpython
Command: python train.py
Wchan: hrtimer_nanosleep
Stat: 12 (a ) name) S 3 1 1 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 98765 1 2
"""


@pytest.fixture
def blocking() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", BLOCKS], stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def found(pid: int) -> ProcessInfo:
    return next(info for info in read_group(pid) if info.pid == pid)


def test_a_blocked_signal_is_pending_once_it_was_sent(blocking: subprocess.Popen[bytes]) -> None:
    before = found(blocking.pid)
    os.kill(blocking.pid, signal.SIGTERM)
    after = found(blocking.pid)
    assert (before.pends_sigterm, after.pends_sigterm) == (False, True)
    assert (after.catches_sigterm, after.blocks_sigterm) == (True, True)
    assert after.state in "SRD" and after.started == before.started


def test_the_dump_tells_the_same_as_proc_itself(blocking: subprocess.Popen[bytes]) -> None:
    os.kill(blocking.pid, signal.SIGTERM)
    deadline = time.monotonic() + 20
    while not found(blocking.pid).wchan and time.monotonic() < deadline:
        time.sleep(0.01)  # until it sleeps
    said = subprocess.run(["/bin/sh", "-c", DUMP_SCRIPT], capture_output=True, text=True, check=True, errors="replace")
    dumped = next(info for info in parse_dump(said.stdout) if info.pid == blocking.pid)
    direct = found(blocking.pid)
    assert (dumped.pends_sigterm, dumped.started, dumped.catches_sigterm) == (True, direct.started, True)
    assert dumped.wchan == direct.wchan


@pytest.mark.parametrize(("mask", "pends"), [("0000000000004000", True), ("0000000000000000", False)])
def test_the_shared_mask_tells_a_pending_signal(mask: str, pends: bool) -> None:
    info = parse_status(STATUS.format(pending=mask))
    assert info is not None
    assert (info.pid, info.pends_sigterm, info.state, info.started) == (4, pends, "S", 98765)
    assert info.wchan == "hrtimer_nanosleep"


def test_a_status_without_the_newer_lines_is_read_too() -> None:
    text = "\n".join(line for line in STATUS.splitlines() if not line.startswith(("Wchan", "Stat:", "S", "Command")))
    text += "\nState:\tR (running)\nSigBlk:\t0\nSigIgn:\t0\nSigCgt:\t0\n"
    info = parse_status(text)
    assert info is not None
    assert (info.pends_sigterm, info.wchan, info.started, info.command) == (False, "", None, "python")
