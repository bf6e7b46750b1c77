"""Which write a file's content comes from, where names and sizes alone could mislead."""

from __future__ import annotations

from simulator.checks.durability import file_history
from simulator.core.timeline import Event, Kind


def event(at: float, kind: Kind, path: str, **data: object) -> Event:
    return Event(at, kind, 1, {"path": path, "bytes": 500, **data})


def test_an_old_checkpoint_that_is_thrown_away_is_not_taken_for_the_new_one_of_its_size() -> None:
    history = file_history(
        [
            event(1.0, Kind.FILE_CHANGED, "step-1.npz"),
            event(1.1, Kind.FILE_SETTLED, "step-1.npz"),
            event(1.2, Kind.UPLOAD_STARTED, "step-1.npz"),
            event(1.3, Kind.UPLOAD_FINISHED, "step-1.npz", digest="one"),
            event(2.0, Kind.FILE_DELETED, "step-1.npz"),
            event(2.0, Kind.FILE_CHANGED, "step-2.npz"),
        ]
    )
    assert history.versions["step-2.npz"][0].started_at == 2.0


def test_a_file_written_aside_and_renamed_began_when_its_writing_did() -> None:
    history = file_history(
        [
            event(1.0, Kind.FILE_CHANGED, "step-1.npz.tmp"),
            event(1.9, Kind.FILE_DELETED, "step-1.npz.tmp"),
            event(1.9, Kind.FILE_CHANGED, "step-1.npz"),
        ]
    )
    assert history.versions["step-1.npz"][0].started_at == 1.0


def test_a_file_in_a_manifest_came_from_a_transfer_before_it_not_from_equal_content_later() -> None:
    saves = [
        event(at + after, kind, "step-1/shard-0.npy", digest="same")
        for at in (1.0, 5.0)
        for after, kind in enumerate((Kind.FILE_CHANGED, Kind.FILE_SETTLED, Kind.UPLOAD_STARTED, Kind.UPLOAD_FINISHED))
    ]
    history = file_history(saves)
    manifest = {"step-1/shard-0.npy": {"bytes": 500, "digest": "same"}}
    early, late = history.durable(manifest, 4.5)[0].version, history.durable(manifest)[0].version
    assert early is not None and late is not None
    assert (early.started_at, late.started_at) == (1.0, 5.0)


def test_the_same_bytes_written_again_by_a_later_attempt_are_not_what_was_there_before() -> None:
    writes = [
        Event(at + 10 * attempt, kind, attempt, {"path": "state.json", "bytes": 500, "digest": "same"})
        for attempt in (1, 2)
        for at, kind in enumerate((Kind.FILE_CHANGED, Kind.FILE_SETTLED, Kind.UPLOAD_STARTED, Kind.UPLOAD_FINISHED))
    ]
    history = file_history(writes)
    files = {"state.json": {"bytes": 500, "digest": "same"}}
    found = [history.durable(files, until=until)[0].version for until in (1, 2, None)]
    assert [version.attempt for version in found if version is not None] == [1, 2, 2]
