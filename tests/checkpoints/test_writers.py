"""Which process wrote which file, as the kernel tells it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from simulator.checkpoints.writers import Told, WriterWatch

WRITE = "import os, sys; [open(path, 'w').write('x' * 100) for path in sys.argv[1:]]"

ASIDE = """
import os, sys
name = f"{sys.argv[1]}.tmp{os.getpid()}"
with open(name, "w") as file:
    file.write("x")
os.replace(name, sys.argv[1])
"""


def _may_watch() -> bool:
    watch = WriterWatch(Path.cwd(), "/opt/ml/checkpoints", time.monotonic)
    try:
        return watch.start()
    finally:
        watch.stop()


needs_the_kernel = pytest.mark.skipif(not _may_watch(), reason="fanotify needs Linux and root")


def process(code: str, *arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-c", code, *map(str, arguments)], check=True)


def watched(folder: Path, act: Callable[[WriterWatch], None]) -> Told:
    watch = WriterWatch(folder, "/opt/ml/checkpoints", time.monotonic)
    assert watch.start()
    act(watch)
    told = watch.stop()
    assert told is not None
    return told


@needs_the_kernel
def test_two_processes_that_wrote_one_file_are_told_apart_in_order(tmp_path: Path) -> None:
    def act(watch: WriterWatch) -> None:
        for _ in range(2):
            process(WRITE, tmp_path / "state", tmp_path / "state")

    told = watched(tmp_path, act)
    runs = told.files["state"]
    assert told.writes == sum(run.writes for run in runs)
    assert [run.bytes for run in runs] == [100, 100]
    assert all(run.writes in (1, 2) for run in runs)  # the kernel tells once what one process did before it was read
    assert runs[0].first_at <= runs[0].last_at < runs[1].first_at
    assert len(told.processes) == 2


@needs_the_kernel
def test_a_file_of_one_process_is_counted_and_not_told(tmp_path: Path) -> None:
    told = watched(tmp_path, lambda watch: process(WRITE, tmp_path / "a", tmp_path / "b"))
    assert (told.writes, told.files, told.processes) == (2, {}, {})


@needs_the_kernel
def test_what_the_simulator_writes_itself_is_nobodys(tmp_path: Path) -> None:
    def act(watch: WriterWatch) -> None:
        (tmp_path / "state.sagemaker-uploaded").write_text("")
        process(WRITE, tmp_path / "state.sagemaker-uploading")

    assert watched(tmp_path, act).writes == 0


@needs_the_kernel
def test_a_file_written_aside_is_known_by_its_final_name(tmp_path: Path) -> None:
    def act(watch: WriterWatch) -> None:
        for _ in range(2):
            process(ASIDE, tmp_path / "state")
            time.sleep(0.5)  # before the next takes the name: who looks too late finds the file gone

    told = watched(tmp_path, act)
    assert "state" in told.files


@needs_the_kernel
def test_a_folder_that_came_later_is_watched_from_its_first_file_on(tmp_path: Path) -> None:
    def act(watch: WriterWatch) -> None:
        (tmp_path / "step-1").mkdir()
        watch.also_below("step-1/model")
        for _ in range(2):
            process(WRITE, tmp_path / "step-1" / "model")

    assert list(watched(tmp_path, act).files) == ["step-1/model"]


@needs_the_kernel
def test_a_thousand_small_files_lose_nothing_and_hold_few_open(tmp_path: Path) -> None:
    many = "import sys; [open(f'{sys.argv[1]}/{n}', 'w').write('x') for n in range(1000)]"
    assert watched(tmp_path, lambda watch: process(many, tmp_path)).writes == 1000


def test_where_nothing_can_be_seen_nothing_is_told(tmp_path: Path) -> None:
    watch = WriterWatch(tmp_path / "absent", "/opt/ml/checkpoints", time.monotonic)
    assert watch.start() is False
    watch.also_below("step-1/model")
    assert watch.stop() is None
