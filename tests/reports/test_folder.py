"""A run's folder: what is kept, when, and what happens to what was there before."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from simulator.core.errors import EnvironmentFailure, ExitCode, UsageError
from simulator.core.timeline import Event, Kind, from_jsonl
from simulator.reports import folder as folder_module
from simulator.reports.folder import OF_A_SEARCH, OURS, RESERVE, RunFolder, read_run
from simulator.reports.render import RENDERED
from tests.reports.story import record, story, until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "my-job"


class FullDisk:
    """Lets `room` bytes through and then answers as a full disk does."""

    def __init__(self, room: int) -> None:
        self.room = room

    def append(self, file, content: bytes) -> None:
        if len(content) > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= len(content)
        file.write(content)


def written(path: Path) -> RunFolder:
    folder = RunFolder.create(path)
    for event in story():
        folder.on_event(event)
    folder.on_log(1, b"hello")
    folder.write_report(record())
    return folder


def test_every_event_is_on_disk_as_soon_as_it_has_happened(path):
    folder = RunFolder.create(path)
    for count, event in enumerate(story(), 1):
        folder.on_event(event)
        assert len((path / "timeline.jsonl").read_text().splitlines()) == count
    folder.close()


def test_the_timeline_reads_back_as_it_was(path):
    written(path)
    with (path / "timeline.jsonl").open() as lines:
        assert [event.to_json() for event in from_jsonl(lines)] == [event.to_json() for event in story()]


def test_logs_are_kept_byte_for_byte_an_attempt_each(path):
    folder = RunFolder.create(path)
    folder.on_log(1, bytes(range(10)))
    folder.on_log(2, b"\x1b[31mred")
    folder.close()
    assert (path / "logs" / "attempt-1.log").read_bytes() == bytes(range(10)) + b"\n"
    assert (path / "logs" / "attempt-2.log").read_bytes() == b"\x1b[31mred\n"


def test_a_finished_folder_holds_only_what_is_documented(path):
    written(path)
    assert {entry.name for entry in path.iterdir()} == {"report.json", "timeline.jsonl", "logs", *RENDERED}


def test_the_report_is_strict_json(path):
    folder = RunFolder.create(path)
    events = [*until(5), Event(5, Kind.METRIC, 1, {"name": "loss", "value": float("nan")})]
    folder.write_report(record(events))

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    json.loads((path / "report.json").read_text(), parse_constant=refuse)


def test_a_run_reads_back_as_it_was_written(path):
    folder = RunFolder.create(path)
    for event in story():
        folder.on_event(event)
    report = folder.write_report(record())
    run = read_run(path)
    assert run.report == report
    assert len(run.timeline) == len(list(story()))


def test_a_run_whose_simulator_was_killed_is_told_from_its_timeline(path):
    folder = RunFolder.create(path)
    for event in until(20):
        folder.on_event(event)
    with (path / "timeline.jsonl").open("a") as timeline:
        timeline.write('{"at": 21, "att')
    report = read_run(path).report
    assert (report["partial"], report["exit_code"], len(report["attempts"])) == (True, ExitCode.ENVIRONMENT, 1)
    assert report["job"]["TrainingJobName"] == "my-job"


def test_an_earlier_run_is_replaced_wholly(path):
    folder = written(path)
    folder.on_log(7, b"late")
    RunFolder.create(path).close()
    assert not (path / "report.json").exists()
    assert (path / "timeline.jsonl").read_text() == ""
    assert list((path / "logs").iterdir()) == []


def test_an_empty_folder_is_taken(path):
    path.mkdir(parents=True)
    written(path)
    assert (path / "report.json").exists()


@pytest.mark.parametrize("names", [["thesis.txt"], ["report.json", "thesis.txt"], ["logs"]])
def test_a_folder_that_is_not_a_runs_is_left_alone(path, names):
    path.mkdir(parents=True)
    for name in names:
        (path / name).write_text("precious")
    with pytest.raises(UsageError, match="not a run's folder"):
        RunFolder.create(path)
    assert all((path / name).read_text() == "precious" for name in names)


def test_a_file_where_the_folder_should_be_is_left_alone(path):
    path.parent.mkdir(parents=True)
    path.write_text("precious")
    with pytest.raises(UsageError, match="cannot hold a run"):
        RunFolder.create(path)
    assert path.read_text() == "precious"


def test_two_living_runs_do_not_share_a_folder(path):
    first = RunFolder.create(path)
    with pytest.raises(UsageError, match="another run is writing"):
        RunFolder.create(path)
    first.close()
    RunFolder.create(path).close()


def test_links_in_an_old_folder_are_removed_and_not_followed(path, tmp_path):
    written(path)
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("precious")
    (path / "junit.xml").unlink()
    (path / "junit.xml").symlink_to(precious)
    RunFolder.create(path).close()
    assert (precious / "file").read_text() == "precious"
    assert not (path / "junit.xml").exists()


def test_a_full_disk_is_told_once_and_the_run_goes_on(path, monkeypatch):
    told: list[str] = []
    folder = RunFolder.create(path, told.append)
    monkeypatch.setattr(folder_module, "_append", FullDisk(500).append)
    for event in story():
        folder.on_event(event)
        folder.on_log(1, b"a line")
    assert len(told) == 1
    assert "No space left" in told[0]


def test_after_a_full_disk_the_timeline_is_written_again_when_there_is_room(path, monkeypatch):
    folder = RunFolder.create(path)
    monkeypatch.setattr(folder_module, "_append", FullDisk(500).append)
    for event in story():
        folder.on_event(event)
    folder.write_report(record())
    with (path / "timeline.jsonl").open() as lines:
        assert len(from_jsonl(lines)) == len(list(story()))


def test_log_lines_lost_to_a_full_disk_make_the_run_partial(path, monkeypatch):
    folder = RunFolder.create(path)
    monkeypatch.setattr(folder_module, "_append", FullDisk(5).append)
    folder.on_log(1, b"more than five bytes")
    with pytest.raises(EnvironmentFailure) as failure:
        folder.write_report(record())
    assert failure.value.exit_code == ExitCode.ENVIRONMENT
    report = json.loads((path / "report.json").read_text())
    assert (report["partial"], report["exit_code"]) == (True, ExitCode.ENVIRONMENT)


def test_a_half_written_line_is_taken_back(tmp_path):
    class Filling:
        def __init__(self) -> None:
            self.content = b"whole\n"

        def seek(self, offset: int, whence: int) -> int:
            return len(self.content)

        def write(self, content: bytes) -> int:
            if len(self.content) > 6:
                raise OSError(errno.ENOSPC, "No space left on device")
            self.content += bytes(content[:3])
            return 3

        def truncate(self, size: int) -> None:
            self.content = self.content[:size]

    file = Filling()
    with pytest.raises(OSError, match="No space left"):
        folder_module._append(file, b"another\n")
    assert file.content == b"whole\n"


def test_room_for_the_report_is_set_aside_while_the_run_goes_on(path):
    folder = RunFolder.create(path)
    assert (path / RESERVE).stat().st_size == folder_module.RESERVED_BYTES
    folder.write_report(record())
    assert not (path / RESERVE).exists()


def test_a_report_that_cannot_be_written_leaves_no_half_of_one(path, monkeypatch):
    folder = RunFolder.create(path)

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(folder_module.os, "fsync", full)
    with pytest.raises(EnvironmentFailure, match="cannot be written"):
        folder.write_report(record())
    assert {entry.name for entry in path.iterdir()} <= {"timeline.jsonl", "logs"}


def test_a_folder_removed_meanwhile_is_made_again_for_the_report(path):
    import shutil

    folder = RunFolder.create(path)
    shutil.rmtree(path)
    folder.write_report(record())
    assert {entry.name for entry in path.iterdir()} == {"report.json", "timeline.jsonl", *RENDERED}


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"timeline.jsonl": ""},
        {"timeline.jsonl": '{"at": 0, "attempt": 0, "kind": "attempt-started"}\n'},
        {"timeline.jsonl": '{"kind": "no-such-kind", "at": 0, "attempt": 0}\n'},
        {"timeline.jsonl": "", "report.json": "{"},
        {"timeline.jsonl": "", "report.json": "{}"},
        {"timeline.jsonl": "", "report.json": "[]"},
        {"timeline.jsonl": "", "report.json": '{"schema_version": "2.0"}'},
    ],
)
def test_a_folder_without_a_readable_run_is_refused_with_a_reason(path, files):
    path.mkdir(parents=True)
    for name, content in files.items():
        (path / name).write_text(content)
    with pytest.raises(UsageError, match="holds no run"):
        read_run(path)


def test_every_file_that_a_run_leaves_counts_as_ours():
    assert {"report.json", "timeline.jsonl", "logs", "report.html", "junit.xml", "summary.md", "badge.svg"} <= OURS


def test_the_results_of_a_search_that_goes_on_are_kept(path):
    written(path)
    for name in OF_A_SEARCH:
        (path / name).write_text("one result")
    RunFolder.create(path, keep=("trials.jsonl", "search.json")).close()
    assert {entry.name for entry in path.iterdir()} == {"timeline.jsonl", "logs", "trials.jsonl", "search.json"}


def test_a_search_that_was_killed_before_its_report_says_how_it_goes_on(path):
    RunFolder.create(path).close()
    (path / "trials.jsonl").write_text("")
    with pytest.raises(UsageError) as error:
        read_run(path)
    assert f"--resume {path}" in error.value.next_step
