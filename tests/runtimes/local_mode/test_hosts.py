"""Several hosts in local mode: the contract of all runtimes, and the one project and network that they share."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from simulator.core.errors import EnvironmentFailure
from simulator.runtimes.local_mode import LocalModeRuntime
from simulator.runtimes.ownership import owner
from simulator.runtimes.port import AttemptSpec
from tests.runtimes.contract import GREETS, SECONDS, HostsContract, MakeSpecs, StartHosts, spec_of_host
from tests.runtimes.local_mode.conftest import left_in_engine, removed_after_kill

pytestmark = pytest.mark.docker

SLEEPS = "import time\ntime.sleep(600)"


class TestAnImagesOwnEntrypoint(HostsContract):
    @pytest.fixture
    def make_specs(self, own_entrypoint_image: str, tmp_path: Path) -> MakeSpecs:
        def make_specs(*scripts: str, **job: object) -> list[AttemptSpec]:
            hosts = tuple(f"algo-{number}" for number, _ in enumerate(scripts, 1))
            return [
                as_entrypoint(spec_of_host(tmp_path, host, hosts, script, own_entrypoint_image, **job))
                for host, script in zip(hosts, scripts, strict=True)
            ]

        return make_specs

    def test_the_network_goes_with_the_last_host(self, start_hosts: StartHosts) -> None:
        attempts = start_hosts(SLEEPS, SLEEPS, SLEEPS)
        assert len(left_in_engine(owner())) == 4
        assert attempts[1].kill() is True
        for wiped, left in ((1, 3), (0, 2), (2, 0)):
            assert attempts[wiped].wipe() == []
            assert len(left_in_engine(owner())) == left

    def test_hosts_that_are_wiped_at_once_leave_no_network(self, start_hosts: StartHosts) -> None:
        attempts = start_hosts(SLEEPS, SLEEPS)
        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(lambda running: running.wipe(), attempts)) == [[], []]
        assert left_in_engine(owner()) == []

    def test_a_host_that_cannot_start_takes_the_others_with_it(
        self, runtime: LocalModeRuntime, make_specs: MakeSpecs
    ) -> None:
        first, last = make_specs(SLEEPS, SLEEPS)
        last = replace(last, job=replace(last.job, entrypoint=("/no-such-program",)))
        with pytest.raises(EnvironmentFailure) as failure:
            runtime.start([first, last])
        assert "/no-such-program" in failure.value.why
        assert left_in_engine(owner()) == []
        assert not first.instance_dir.exists() and not last.instance_dir.exists()

    def test_the_hosts_of_a_killed_harness_are_swept(
        self, runtime: LocalModeRuntime, own_entrypoint_image: str, start_hosts: StartHosts, tmp_path: Path
    ) -> None:
        living = start_hosts(SLEEPS, SLEEPS)
        removed = removed_after_kill(runtime, HARNESS, tmp_path / "other", own_entrypoint_image, leaves=3)
        folders = [tmp_path / "other" / host / "instance" for host in ("algo-1", "algo-2")]
        assert {f"folder {folder}" for folder in folders} <= set(removed)
        assert not [folder for folder in folders if folder.exists()]
        assert [running.wait(0) for running in living] == [None, None]


def test_the_sdks_driver_runs_the_script_of_each_host(
    runtime: LocalModeRuntime, python_image: str, tmp_path: Path
) -> None:
    hosts = ("algo-1", "algo-2")
    greets = GREETS.replace("LISTENS_ON", HostsContract.listens_on)
    script = "for folder in ('.', '/opt/ml/input/data/sm_drivers'): open(folder + '/mark', 'x')\n" + greets
    specs = [spec_of_host(tmp_path, host, hosts, script, python_image) for host in hosts]
    runtime.prepare(specs[0].job)
    attempts = runtime.start(specs)
    try:
        said = [list(running.log_lines()) for running in attempts]
        assert [running.wait(SECONDS) for running in attempts] == [0, 0], said
        assert all(b"greeted by algo-1 algo-2" in lines for lines in said)
    finally:
        assert [running.wipe() for running in attempts] == [[], []]


HARNESS = """
import sys
from pathlib import Path
from simulator.runtimes.local_mode import LocalModeRuntime
from simulator.runtimes.ownership import owner
from tests.runtimes.contract import spec_of_host
from tests.runtimes.local_mode.test_hosts import SLEEPS, as_entrypoint
folder, image = Path(sys.argv[1]), sys.argv[2]
hosts = ("algo-1", "algo-2")
running = LocalModeRuntime().start([as_entrypoint(spec_of_host(folder, host, hosts, SLEEPS, image)) for host in hosts])
print(owner(), flush=True)
sys.stdin.read()
"""


def as_entrypoint(spec: AttemptSpec) -> AttemptSpec:
    """The same with its script as the channel that the image's entrypoint runs."""
    source = spec.job.source_dir
    assert source is not None
    (source / "train.py").rename(source / "script.py")
    channels = {"script": source, **spec.job.channels}
    return replace(spec, job=replace(spec.job, source_dir=None, entry_script=None, channels=channels))
