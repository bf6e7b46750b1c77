"""A recorded run: its timeline, its operations and every version it stored, in a folder that can be read again."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from simulator.checkpoints.folder_store import FolderStore
from simulator.checkpoints.store import FileVersion, ObjectStore
from simulator.core.errors import UsageError
from simulator.core.timeline import Event, Kind, Timeline, from_jsonl
from simulator.explore.archive import Archive, ArchivingStore
from simulator.explore.operations import Act, Cut, Operation, Writing, operations_of, sizes_of
from simulator.explore.states import (
    CrashState,
    History,
    crash_states,
    nothing_was_left,
    nothing_was_saved,
    whole_save_in,
)
from simulator.explore.text_index import names_in
from simulator.explore.writings import WritingWatch

SCHEMA_VERSION = 1
RECORDING = "recording"
"""The name of its folder in a search's."""
OBJECTS, OPERATIONS, TIMELINE, ABOUT = "objects", "operations.jsonl", "timeline.jsonl", "recording.json"


@dataclass(frozen=True)
class Recording:
    """One uninterrupted run. `watched` False: nobody could see how files were written, so none is taken to be torn."""

    timeline: Timeline
    operations: Sequence[Operation]
    archive: Archive
    watched: bool = True

    @cached_property
    def history(self) -> History:
        """The run as the enumeration needs it."""
        ended = self.timeline.first(Kind.PROCESS_EXITED, 1)
        last = max((event.at for event in self.timeline), default=0.0)
        logged = [event.at for event in self.timeline.of(Kind.METRIC, attempt=1)]
        return History.of(self.operations, last if ended is None else ended.at, logged)

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """Digest → bytes, of all that a state can hold."""
        return sizes_of(self.operations)

    def states(self, most: int | None = None) -> list[CrashState]:
        """The distinct states that a reclaim could have left, the most telling first; all of them without `most`."""
        return crash_states(self.history, most)

    def nothing_was_saved(self, state: CrashState) -> bool:
        """Whether a state came before any save had wholly reached S3."""
        return nothing_was_saved(self.history, state)

    def nothing_was_left(self, state: CrashState) -> bool:
        """Whether a state holds the last save of a training that was done with it."""
        return nothing_was_left(self.history, state)

    def whole_save_in(self, state: CrashState) -> tuple[str, ...]:
        """The files of the newest save that a state holds as a whole; none where it holds no such."""
        return whole_save_in(self.history, state)

    def fill(self, store: ObjectStore, state: CrashState) -> None:
        """Put a state's objects into an empty store. Raises FileNotFoundError where the archive lacks one, and the
        store's own errors."""
        with tempfile.TemporaryDirectory(prefix=".torn-", dir=self.archive.folder) as aside:
            for path, digest in state.objects.items():
                source, torn = self.archive.at(digest), state.torn
                if torn is not None and path == torn.path and digest == torn.cut.digest:
                    source = Path(aside) / "capture"
                    self.archive.write_cut(self.operations[torn.operation].digest, torn.cut, source)
                    store.put(source, path, lambda: False)
                elif isinstance(store, FolderStore):
                    store.adopt(source, path, FileVersion(self.sizes[digest], digest))
                else:
                    store.put(source, path, lambda: False)

    def write(self, folder: Path) -> None:
        """Write it down beside its objects, which are in `folder`/objects already. Raises OSError."""
        lines = [json.dumps(operation.as_dict()) + "\n" for operation in self.operations]
        (folder / OPERATIONS).write_text("".join(lines))
        (folder / TIMELINE).write_text("".join(event.to_json() + "\n" for event in self.timeline))
        about = {"schema_version": SCHEMA_VERSION, "operations": len(lines), "watched": self.watched}
        (folder / ABOUT).write_text(json.dumps(about) + "\n")  # last: with it the recording is whole

    @classmethod
    def read(cls, folder: Path) -> Recording:
        """Read a recording back. Raises UsageError where the folder holds none that is whole."""
        try:
            about = json.loads((folder / ABOUT).read_text())
            operations = [Operation.from_dict(json.loads(line)) for line in (folder / OPERATIONS).open()]
            with (folder / TIMELINE).open() as lines:
                timeline = from_jsonl(lines)
            if about["schema_version"] != SCHEMA_VERSION or about["operations"] != len(operations):
                raise ValueError(f"schema {about['schema_version']}, {len(operations)} operations")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"there is no recorded run in {folder}",
                f"{type(error).__name__}: {error}",
                "record it again: run the search without --resume",
            ) from error
        return cls(timeline, operations, Archive(folder / OBJECTS), bool(about["watched"]))


class RunRecording:
    """Records one run: `around` its store, and `on_event` among its Recorder's listeners. Then `finish`. `scratch` is
    the JobRun's: the checkpoint folder is watched there."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self._folder, self._scratch = folder, scratch
        self._archive = Archive(folder / OBJECTS)
        self._watch: WritingWatch | None = None

    def around(self, store: ObjectStore) -> ArchivingStore:
        """The store to run with."""
        return ArchivingStore(store, self._archive)

    def on_event(self, event: Event) -> None:
        """A listener of the run's Recorder: watches the checkpoint folder from before the script starts, until it
        ends."""
        if event.kind is Kind.RESTORE_STARTED and event.attempt == 1:
            began = time.monotonic() - event.at  # the run's clock, which is monotonic too
            folder = self._scratch / "attempt-1" / "checkpoints"
            self._watch = WritingWatch(folder, lambda: time.monotonic() - began)
            self._watch.start()
        elif event.kind is Kind.ATTEMPT_ENDED and self._watch is not None:
            self._watch.stop()

    def finish(self, timeline: Timeline) -> Recording:
        """The recording, written down. Raises OSError."""
        writings = {} if self._watch is None else self._watch.writings
        operations = operations_of(timeline, writings)
        operations = [self._detailed(operations, index, writings) for index in range(len(operations))]
        watched = self._watch is not None and self._watch.is_listening
        recording = Recording(timeline, operations, self._archive, watched)
        recording.write(self._folder)
        return recording

    def _detailed(self, operations: Sequence[Operation], index: int, writings: Mapping[str, Writing]) -> Operation:
        """With its captures, and the names in it: what takes the archive to tell."""
        operation = operations[index]
        if operation.act is not Act.PUT:
            return operation
        paths = {other.path for other in operations if other.act is Act.PUT}
        names = names_in(self._archive.at(operation.digest), operation.path, paths)
        return replace(operation, names=names, cuts=self._cuts(operations, index, writings))

    def _cuts(self, operations: Sequence[Operation], index: int, writings: Mapping[str, Writing]) -> tuple[Cut, ...]:
        """Half of it where it was written aside; where in place, nothing, half, and all but the last byte."""
        operation = operations[index]
        if operation.aside:
            return (self._archive.cut(operation.digest, operation.bytes // 2),)
        if not operation.in_place or not operation.bytes:
            return ()
        before = _version_before(operations, index)
        tail = ""
        if before is not None and operation.path in writings and writings[operation.path].keeps_its_tail:
            tail = before.digest
        places = sorted({operation.bytes // 2, operation.bytes - 1} | (set() if tail else {0}))
        cuts = [self._archive.cut(operation.digest, kept, tail) for kept in places]
        return tuple(cut for cut in cuts if cut.digest not in (operation.digest, tail))


def _version_before(operations: Sequence[Operation], index: int) -> Operation | None:
    earlier = [other for other in operations[:index] if other.path == operations[index].path]
    return earlier[-1] if earlier and earlier[-1].act is Act.PUT else None


def as_manifest(recording: Recording, state: CrashState) -> dict[str, dict[str, Any]]:
    """What a manifest of a state says: {path: {bytes, digest}}."""
    return {
        path: {"bytes": recording.sizes[digest], "digest": digest} for path, digest in sorted(state.objects.items())
    }
