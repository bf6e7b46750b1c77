"""What the process runtime keeps besides for the hosts of a job, from a zygote or not: they share one network."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from simulator.core.errors import EnvironmentFailure, UsageError
from simulator.core.job import host_names
from simulator.runtimes.port import AttemptSpec
from simulator.runtimes.process import ProcessRuntime
from simulator.runtimes.process.entrypoints import Entrypoint
from tests.runtimes.contract import SECONDS, HostsContract, StartHosts, spec_of_host, until_line

LOOKS_UP = """
import json, socket
found = {name: socket.gethostbyname(name) for name in ("algo-1", "algo-2", "localhost")}
print(json.dumps({"own": socket.gethostbyname(socket.gethostname()), **found}), flush=True)
"""
LISTENS = """
import socket, time
listener = socket.create_server((socket.gethostname(), 7777))
print("listens", flush=True)
time.sleep(600)
"""
TAKES_ALL = """
import socket
listener = socket.create_server(("0.0.0.0", 7778))
connection, (address, _) = listener.accept()
connection.sendall(address.encode())
connection.recv(1)
"""
FINDS_TAKEN = """
import errno, socket, time
while True:
    try:
        connection = socket.create_connection(("algo-1", 7778), 5)
        break
    except OSError:
        time.sleep(0.05)
try:
    socket.create_server(("0.0.0.0", 7778))
except OSError as error:
    assert error.errno == errno.EADDRINUSE
    print("taken, from", connection.recv(100).decode())
"""


class ProcessHostsContract(HostsContract):
    """The tests."""

    listens_on = "own"

    def test_hosts_have_addresses_of_their_own_and_the_machines_entries(self, start_hosts: StartHosts) -> None:
        attempts = start_hosts(LOOKS_UP, LOOKS_UP)
        first, second = (json.loads(next(running.log_lines())) for running in attempts)
        names = {name: first[name] for name in ("algo-1", "algo-2", "localhost")}
        assert first == {"own": first["algo-1"], **names}
        assert second == {"own": first["algo-2"], **names}
        assert len(set(names.values())) == 3
        assert names["localhost"] == "127.0.0.1"

    def test_their_names_are_not_told_as_written_and_stay_their_own(self, start_hosts: StartHosts) -> None:
        before = Path("/etc/hosts").read_bytes()
        writes = "open('/etc/hosts', 'a').write('# more')\nopen('/etc/by-the-script', 'w').write('x')"
        attempts = start_hosts(writes, LOOKS_UP)
        assert [running.wait(SECONDS) for running in attempts] == [0, 0]
        assert [[path.path for path in running.written_paths()] for running in attempts] == [["/etc/by-the-script"], []]
        assert Path("/etc/hosts").read_bytes() == before

    def test_two_attempts_at_once_may_use_the_same_port(self, runtime: ProcessRuntime, tmp_path: Path) -> None:
        attempts = [running for name in ("one", "other") for running in runtime.start(specs_below(tmp_path / name, 2))]
        try:
            assert [until_line(running, b"listens") for running in attempts] == [b"listens"] * 4
        finally:
            assert [running.wipe() for running in attempts] == [[]] * 4

    def test_what_is_said_of_their_network_is_so(self, start_hosts: StartHosts) -> None:
        taken, refused = start_hosts(TAKES_ALL, FINDS_TAKEN)
        assert until_line(refused, b"") == b"taken, from 127.0.0.1"
        assert taken.wait(SECONDS) == 0

    def test_an_instance_that_cannot_be_entered_leaves_nothing(
        self, runtime: ProcessRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Other than a folder that cannot be made, this fails when all was laid out."""
        specs = specs_below(tmp_path, 2)
        enter = runtime._enter

        def enter_the_first(spec: AttemptSpec) -> Entrypoint:
            if spec.host == "algo-2":
                raise EnvironmentFailure("not entered", "a test wants it so", "")
            return enter(spec)

        monkeypatch.setattr(runtime, "_enter", enter_the_first)
        with pytest.raises(EnvironmentFailure) as failure:
            runtime.start(specs)
        assert failure.value.what == "not entered"
        assert not [spec.host for spec in specs if spec.instance_dir.exists()]

    def test_it_says_what_several_hosts_lose_once_there_are_some(self, runtime: ProcessRuntime, tmp_path: Path) -> None:
        runtime.prepare(specs_below(tmp_path / "one", 1)[0].job)
        assert "0.0.0.0" not in " ".join(runtime.fidelity_lost)
        runtime.prepare(specs_below(tmp_path / "two", 2)[0].job)
        assert "0.0.0.0" in " ".join(runtime.fidelity_lost)

    def test_more_hosts_than_it_has_addresses_for_are_refused(self, runtime: ProcessRuntime, tmp_path: Path) -> None:
        job = specs_below(tmp_path, 1)[0].job
        with pytest.raises(UsageError) as refusal:
            runtime.prepare(replace(job, hosts=host_names(255)))
        assert "254" in refusal.value.why


def specs_below(folder: Path, number: int) -> list[AttemptSpec]:
    """The hosts of an attempt that listen at their names."""
    hosts = host_names(number)
    return [spec_of_host(folder, host, hosts, LISTENS) for host in hosts]
