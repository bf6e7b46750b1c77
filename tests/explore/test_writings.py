"""How files are written, as the kernel tells it: aside and renamed, in place from nothing, or over the old bytes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from simulator.explore.operations import Writing
from simulator.explore.writings import WATCHED_SECONDS, WritingWatch


def write_slowly(file: Path, mode: str) -> None:
    with file.open(mode, buffering=0) as opened:
        for _ in range(4):
            opened.write(b"x" * 100)
            time.sleep(2 * WATCHED_SECONDS)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Writing]:
    """What a watch told of a few files, each written by its name's own way."""
    folder = tmp_path_factory.mktemp("checkpoints")
    watch = WritingWatch(folder, time.monotonic)
    watch.start()
    if not watch.is_listening:
        pytest.skip("this kernel does not tell")
    (folder / "aside.tmp").write_bytes(b"new")
    (folder / "aside.tmp").replace(folder / "renamed")
    for name in ("emptied", "over the old", "quick"):
        (folder / name).write_bytes(b"o" * 400)
        time.sleep(0.05)  # else the kernel tells two writers as one
    write_slowly(folder / "emptied", "wb")
    write_slowly(folder / "over the old", "r+b")
    (folder / "quick").write_bytes(b"n" * 400)
    (folder / "sub").mkdir()
    time.sleep(0.1)
    (folder / "sub" / "file").write_bytes(b"x")
    (folder / "file.sagemaker-uploaded").write_bytes(b"x")
    watch.stop()
    return watch.writings


def test_a_file_that_is_renamed_into_place_is_never_there_in_part(seen: dict[str, Writing]) -> None:
    assert not seen["renamed"].in_place
    assert [aside for _, aside in seen["renamed"].aside] == ["aside.tmp"]


@pytest.mark.parametrize("path", ["emptied", "over the old", "quick", "sub/file", "aside.tmp"])
def test_a_file_that_is_open_under_its_own_name_is_written_in_place(seen: dict[str, Writing], path: str) -> None:
    assert seen[path].in_place


@pytest.mark.parametrize(("path", "keeps"), [("emptied", False), ("over the old", True), ("quick", False)])
def test_only_what_was_seen_to_keep_its_old_bytes_keeps_them(seen: dict[str, Writing], path: str, keeps: bool) -> None:
    assert seen[path].keeps_its_tail == keeps


def test_markers_are_no_files_of_the_script(seen: dict[str, Writing]) -> None:
    assert "file.sagemaker-uploaded" not in seen
