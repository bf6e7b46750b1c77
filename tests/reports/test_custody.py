"""Where checkpoint files got to: in S3 or not, when, and whether they were given back."""

from __future__ import annotations

from simulator.core.timeline import Event, Kind, Timeline
from simulator.reports.custody import FILES, custody
from tests.reports.story import story

WRITE = (Kind.FILE_CHANGED, Kind.FILE_SETTLED)
UP = (Kind.UPLOAD_STARTED, Kind.UPLOAD_FINISHED)


def attempt(*events: tuple[float, Kind, str], kept: dict[str, int] | None = None) -> Timeline:
    made = [Event(0, Kind.ATTEMPT_STARTED, 1, {})]
    made += [Event(at, kind, 1, {"path": path, "bytes": 10, "lag_seconds": 0.5}) for at, kind, path in events]
    if kept is not None:
        files = {path: {"bytes": size, "digest": "d"} for path, size in kept.items()}
        made.append(Event(99, Kind.MANIFEST, 1, {"when": "kill", "files": files}))
    return Timeline(made)


def states(timeline: Timeline) -> dict[str, tuple[str, bool]]:
    return {row.path: (row.state, row.safe) for row in custody(timeline)[0].files}


def test_a_file_that_reached_s3_is_safe_and_its_way_there_is_timed():
    first, second = custody(Timeline(story()))
    assert [row.path for row in first.files] == ["ck-4.npz", "ck-3.npz", "ck-2.npz", "ck-1.npz"]
    row = first.files[0]
    assert (row.state, row.safe, row.lag_seconds, row.given_back) == ("in S3", True, 0.0, True)
    assert (first.durable_files, first.durable_bytes) == (4, 4800)
    assert all(row.written_at is None and row.given_back is None for row in second.files)


def test_a_file_written_again_after_its_upload_is_in_s3_in_an_older_version():
    events = [(1, WRITE[0], "a"), (1, WRITE[1], "a"), (2, UP[0], "a"), (3, UP[1], "a"), (4, WRITE[0], "a")]
    assert states(attempt(*events, kept={"a": 10})) == {"a": ("an older version is in S3", False)}


def test_a_file_cut_off_on_its_way_is_told():
    events = [(1, WRITE[0], "a"), (2, UP[0], "a"), (3, Kind.UPLOAD_ABANDONED, "a")]
    assert states(attempt(*events, kept={})) == {"a": ("cut off on its way to S3", False)}


def test_a_file_that_never_began_its_way_is_not_in_s3():
    assert states(attempt((1, WRITE[0], "a"), kept={})) == {"a": ("not in S3", False)}


def test_a_file_that_the_script_removed_is_no_loss_and_stands_last():
    events = [(1, WRITE[0], "old"), (2, UP[0], "old"), (3, UP[1], "old"), (5, Kind.FILE_DELETED, "old")]
    timeline = attempt((0.5, WRITE[0], "new"), (0.6, UP[0], "new"), (0.7, UP[1], "new"), *events, kept={"new": 10})
    assert list(states(timeline).items()) == [("new", ("in S3", True)), ("old", ("removed by the script", True))]


def test_temporary_files_are_counted_and_not_listed():
    found = custody(attempt((1, WRITE[0], "a.part"), (2, Kind.FILE_DELETED, "a.part"), kept={}))[0]
    assert (found.files, found.passing) == ([], 1)


def test_without_a_manifest_only_the_uploads_are_known():
    assert states(attempt((1, WRITE[0], "a"), (2, UP[0], "a"), (3, UP[1], "a"))) == {"a": ("uploaded", True)}


def test_a_file_that_came_back_no_more_is_told():
    gone = [
        Event(e.at, e.kind, e.attempt, {**e.data, "files": {}}) if e.data.get("when") == "restored" else e
        for e in story()
    ]
    assert custody(Timeline(gone))[0].files[0].given_back is False


def test_more_files_than_fit_are_counted():
    found = custody(attempt(*[(n, WRITE[0], f"ck-{n}") for n in range(FILES + 7)], kept={}))[0]
    assert (len(found.files), found.left_out) == (FILES, 7)
    assert found.files[0].path == f"ck-{FILES + 6}"
