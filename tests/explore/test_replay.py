"""Replay files: written, read back, moved with what they point to; and what is said of those that are none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from simulator.core.errors import EnvironmentFailure, UsageError
from simulator.explore.replay import ReplayFile, read_replay
from simulator.explore.trial import Outcome, Search
from tests.explore.results import result


def project(path: Path) -> Path:
    (path / "src").mkdir(parents=True)
    (path / "data").mkdir()
    (path / "runs" / "one" / "recording").mkdir(parents=True)
    return path


def replay_of(path: Path, **more: Any) -> ReplayFile:
    settings = {
        "source_dir": str(path / "src"),
        "entry_script": "train.py",
        "channels": {"train": str(path / "data")},
        "hyperparameters": {"epochs": "3"},
        "profile": "ec2",
        "out": "runs/one",
        "view": "plain",
        "interrupt": ["2s"],
    }
    failed = result(9, "save=2", "step=30", outcome=Outcome.FAILED, profile="two-minute", faults={"503": 1})
    numbers = {
        "warning_seconds": 1.0,
        "grace_seconds": 5.0,
        "seed": 7,
        "recording": path / "runs" / "one" / "recording",
    }
    return ReplayFile.of(settings, failed, Search.SCHEDULES, **(numbers | more))


def test_what_was_written_is_read_back(tmp_path):
    replay = replay_of(project(tmp_path))
    file = tmp_path / "runs" / "one" / "replay.json"
    replay.write(file)
    assert read_replay(file) == replay


def test_its_keywords_are_those_of_simulate(tmp_path):
    from simulator.app.settings import load_settings

    keywords = replay_of(project(tmp_path)).keywords()
    settings = load_settings(None, keywords, tmp_path)
    assert settings.interrupt == ("save=2", "step=30")
    assert (settings.profile, settings.warning, settings.grace, settings.seed) == ("two-minute", 1.0, 5.0, 7)
    assert (settings.source_dir, settings.entry_script) == (tmp_path / "src", "train.py")
    assert settings.channels == {"train": tmp_path / "data"}
    assert settings.out is None and settings.view == "auto"


def test_a_profile_without_notice_takes_none(tmp_path):
    failed = result(1, "save", outcome=Outcome.FAILED, profile="sudden")
    replay = ReplayFile.of({"image": "mine"}, failed, Search.SCHEDULES, warning_seconds=1.0, grace_seconds=0.0)
    assert replay.warning_seconds is None and "warning" not in replay.keywords()


def test_a_project_that_was_moved_is_replayed_where_it_is_now(tmp_path):
    before, after = project(tmp_path / "a" / "before"), tmp_path / "b" / "after"
    replay_of(before).write(before / "runs" / "one" / "replay.json")
    after.parent.mkdir()
    shutil.move(before, after)
    replay = read_replay(after / "runs" / "one" / "replay.json")
    assert replay.job["source_dir"] == str(after / "src")
    assert replay.job["channels"] == {"train": str(after / "data")}
    assert replay.recording == after / "runs" / "one" / "recording"


def test_no_path_of_the_machine_is_in_it(tmp_path):
    file = project(tmp_path) / "runs" / "one" / "replay.json"
    replay_of(tmp_path).write(file)
    assert str(tmp_path) not in file.read_text()


def test_a_file_elsewhere_than_the_project_holds_whole_paths(tmp_path, monkeypatch):
    replay = ReplayFile.of({"source_dir": "/nowhere/near/src"}, result(1, "save"), Search.SCHEDULES)
    file = tmp_path / "replay.json"
    replay.write(file)
    assert json.loads(file.read_text())["job"]["source_dir"] == "/nowhere/near/src"
    with pytest.raises(UsageError, match="/nowhere/near/src, which is not there"):
        read_replay(file)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"schema_version": "2.0"}, "version 2.0"),
        ({"job": None}, "missing or wrong"),
        ({"search": "all"}, "'all' is not a valid Search"),
        ({"came_to": {}}, "missing or wrong: 'outcome'"),
    ],
)
def test_a_file_that_is_no_replay_says_why(tmp_path, change, why):
    file = project(tmp_path) / "replay.json"
    replay_of(tmp_path).write(file)
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(UsageError, match="is no replay file") as error:
        read_replay(file)
    assert why in error.value.why


@pytest.mark.parametrize(
    "change",
    [
        {"interruptions": ["some day"]},
        {"profile": {"name": "gentle", "warning_seconds": None, "grace_seconds": 0}},
    ],
)
def test_what_no_command_takes_is_told_as_the_commands_tell_it(tmp_path, change):
    file = project(tmp_path) / "replay.json"
    replay_of(tmp_path).write(file)
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(UsageError, match=r"is not understood|there is no profile"):
        read_replay(file)


def test_text_that_is_not_json_and_files_that_are_not_there(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_replay(tmp_path / "replay.json")
    (tmp_path / "replay.json").write_text("import pytest")
    with pytest.raises(UsageError, match="no replay file"):
        read_replay(tmp_path / "replay.json")


def test_a_folder_that_is_not_there_takes_no_file(tmp_path):
    with pytest.raises(EnvironmentFailure, match="cannot be written"):
        replay_of(project(tmp_path)).write(tmp_path / "missing" / "replay.json")
