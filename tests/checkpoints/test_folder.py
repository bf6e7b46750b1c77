"""What counts as a checkpoint file, and what is passed over with a reason."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from simulator.checkpoints.folder import is_safe, look
from simulator.checkpoints.manifest import manifest_of


def test_a_folder_that_is_not_there_has_no_files(tmp_path: Path) -> None:
    assert look(tmp_path / "nothing").files == {}


def test_files_are_found_at_any_depth(folder: Path) -> None:
    (folder / "a/b").mkdir(parents=True)
    (folder / "a/b/c").write_bytes(b"1")
    assert list(look(folder).files) == ["a/b/c"]


@pytest.mark.parametrize("suffix", [".sagemaker-uploading", ".sagemaker-uploaded", ".sagemaker-ignore"])
def test_markers_and_temporary_files_do_not_count(folder: Path, suffix: str) -> None:
    (folder / f"a{suffix}").touch()
    assert look(folder).files == {}
    assert manifest_of(folder) == {}


def test_a_link_to_a_file_of_the_folder_counts_as_that_file(folder: Path) -> None:
    (folder / "epoch-3").write_bytes(b"weights")
    (folder / "last").symlink_to("epoch-3")
    manifest = manifest_of(folder)
    assert manifest["last"] == manifest["epoch-3"]


def test_an_absolute_link_made_inside_the_container_is_understood(folder: Path) -> None:
    (folder / "epoch-3").write_bytes(b"weights")
    (folder / "last").symlink_to("/opt/ml/checkpoints/epoch-3")
    assert "last" in look(folder, "/opt/ml/checkpoints").files


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("nothing", "not there"),
        ("../outside", "outside"),
        ("/etc/hostname", "outside"),
        ("sub", "no file"),
        ("me", "not there"),
    ],
)
def test_other_links_are_passed_over_with_a_reason(folder: Path, target: str, reason: str) -> None:
    (folder.parent / "outside").write_bytes(b"secret")
    (folder / "sub").mkdir()
    (folder / "me").symlink_to(target)
    seen = look(folder)
    assert seen.files == {}
    assert reason in seen.passed_over["me"]


def test_sockets_and_fifos_are_passed_over(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(folder / "fifo")
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        seen = look(folder)
    assert seen.files == {}
    assert set(seen.passed_over) == {"fifo", "socket"}


def test_a_name_that_is_not_utf8_is_passed_over(folder: Path) -> None:
    (Path(os.fsdecode(os.fsencode(folder) + b"/\xff"))).write_bytes(b"1")
    seen = look(folder)
    assert seen.files == {}
    assert len(seen.passed_over) == 1


def test_a_rewritten_file_is_another_version(folder: Path) -> None:
    (folder / "a").write_bytes(b"1")
    before = look(folder).files["a"].stamp
    (folder / "aside").write_bytes(b"2")
    (folder / "aside").replace(folder / "a")
    assert look(folder).files["a"].stamp != before


@pytest.mark.parametrize(
    ("path", "safe"),
    [
        ("a", True),
        ("a/b", True),
        ("..a/b..", True),
        ("..", False),
        ("a/../b", False),
        ("/a", False),
        ("a/", False),
        ("", False),
    ],
)
def test_only_paths_that_stay_below_are_safe(path: str, safe: bool) -> None:
    assert is_safe(path) is safe
