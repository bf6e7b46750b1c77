"""Loopback addresses of the hosts of an attempt, and the /etc/hosts that names them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from simulator.core.errors import EnvironmentFailure
from simulator.runtimes.process import names
from simulator.runtimes.process.names import take_block, without

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="addresses are held by names of Linux's")


@pytest.fixture
def two_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "_BLOCKS", range(0xFF00, 0xFF02))


def test_nobody_gets_a_block_that_someone_holds(two_blocks: None) -> None:
    first, second = take_block(), take_block()
    assert first.address(0) != second.address(0)
    with pytest.raises(EnvironmentFailure):
        take_block()
    share = first.share()
    first.close()
    with pytest.raises(EnvironmentFailure):
        take_block()
    share.close()
    share.close()
    again = take_block()
    assert again.address(1) == first.address(1)
    again.close()
    second.close()


def test_nor_does_another_process(two_blocks: None) -> None:
    first = take_block()
    ask = (
        "from simulator.runtimes.process import names\n"
        "names._BLOCKS = range(0xFF00, 0xFF02)\nprint(names.take_block().address(0))\n"
    )
    told = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    second = take_block()  # that process has ended
    assert told.stdout.strip() == second.address(0) != first.address(0)
    first.close()
    second.close()


def test_one_attempt_after_another_has_other_addresses() -> None:
    used = []
    for _ in range(5):
        block = take_block()
        used.append(block.address(0))
        block.close()
    assert len(set(used)) == 5
    assert not [address for address in used if address.startswith("127.0.")]


def test_the_machines_entries_stay_but_for_the_hosts_names() -> None:
    machines = "127.0.0.1 localhost # of all\n\n# ours\n10.0.0.1 algo-1\n10.0.0.2\tbox algo-2 # old\n10.0.0.3 algo-22"
    assert without(machines, ["algo-1", "algo-2"]) == [
        "127.0.0.1 localhost # of all\n",
        "\n",
        "# ours\n",
        "\n",
        "10.0.0.2\tbox\n",
        "10.0.0.3 algo-22\n",
    ]


@pytest.mark.parametrize("machines", [b"127.0.0.1 localhost\n10.0.0.1 b\xfcro", None], ids=["odd", "none"])
def test_the_file_is_the_machines_and_the_hosts(
    machines: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "MACHINES_HOSTS", tmp_path / "machines")
    if machines is not None:
        (tmp_path / "machines").write_bytes(machines)
    block = take_block()
    block.name_hosts(["algo-1", "algo-2"], tmp_path / "hosts")
    block.close()
    own = f"{block.address(0)}\talgo-1\n{block.address(1)}\talgo-2\n".encode()
    assert (tmp_path / "hosts").read_bytes() == (machines + b"\n" if machines else b"127.0.0.1\tlocalhost\n") + own
