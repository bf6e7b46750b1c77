"""Which version of which checkpoint file had reached S3 when the instance went, when it was written, and what had not.

A *version* is one write of one file, from the first change seen until the next write begins. It is *whole* in S3 when
an upload that began after its last change has finished. What is only perhaps whole may excuse a script, and never
convicts it.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf

from simulator.checks.file_names import is_temporary
from simulator.core.hosts import host_of
from simulator.core.timeline import Event, Kind

FILE_KINDS = (
    Kind.FILE_CHANGED,
    Kind.FILE_SETTLED,
    Kind.FILE_DELETED,
    Kind.UPLOAD_STARTED,
    Kind.UPLOAD_FINISHED,
    Kind.UPLOAD_FAILED,
)


@dataclass(slots=True, eq=False)
class Upload:
    """One transfer of one file to S3."""

    version: Version
    started_at: float
    finished_at: float | None = None
    digest: str = ""

    @property
    def is_whole(self) -> bool:
        """Finished, and begun after the write had ended."""
        settled_at = self.version.settled_at
        return self.finished_at is not None and settled_at is not None and self.started_at >= settled_at

    @property
    def content_at(self) -> float:
        """The instant whose state it holds: the write's beginning, or the upload's where it went up as it was."""
        return self.version.started_at if self.is_whole else self.started_at


@dataclass(slots=True, eq=False)
class Version:
    """One write of one file under the checkpoint path. `host`: where the job has several, and one of them wrote it."""

    path: str
    attempt: int
    started_at: float
    changed_at: float
    bytes: int
    settled_at: float | None = None
    uploads: list[Upload] = field(default_factory=list)
    host: str = ""

    @property
    def durable_at(self) -> float | None:
        """When the whole of it was in S3 for the first time."""
        return next((upload.finished_at for upload in self.uploads if upload.is_whole), None)

    @property
    def done_at(self) -> float:
        """When the write was seen to be over, or last seen to go on."""
        return self.changed_at if self.settled_at is None else self.settled_at


@dataclass(frozen=True)
class DurableFile:
    """A file that a manifest lists, with the upload that brought it there (None when the timeline does not tell)."""

    path: str
    bytes: int
    digest: str
    upload: Upload | None

    @property
    def version(self) -> Version | None:
        """The write that it holds."""
        return self.upload.version if self.upload else None

    @property
    def is_whole(self) -> bool:
        """Surely one whole write."""
        return self.upload is not None and self.upload.is_whole and self.upload.version.bytes == self.bytes


@dataclass
class FileHistory:
    """Every version of every file, over all attempts."""

    versions: dict[str, list[Version]] = field(default_factory=dict)
    by_attempt: dict[int, list[Version]] = field(default_factory=dict)
    left_behind: dict[int, dict[str, Version]] = field(default_factory=dict)
    """Attempt → path → the version on its disk at its end."""
    _uploads: dict[str, list[Upload]] = field(default_factory=dict)
    """Path → the transfers that finished, in order."""

    def durable(
        self, files: Mapping[str, Mapping[str, object]], at: float = inf, until: int | None = None
    ) -> list[DurableFile]:
        """The files of a manifest that was taken at an instant, each with where it came from: never from a later
        transfer, as an attempt that does the same work again writes the same bytes again. `until`: the last attempt
        that can have written them."""
        found = []
        for path, facts in files.items():
            digest, size = str(facts.get("digest", "")), int(str(facts.get("bytes", 0)))
            upload = next(
                (
                    upload
                    for upload in reversed(self._uploads.get(path, ()))
                    if digest in ("", upload.digest)
                    and (upload.finished_at or 0.0) <= at
                    and (until is None or upload.version.attempt <= until)
                ),
                None,
            )
            found.append(DurableFile(path, size, digest, upload))
        return found

    def near(self, version: Version, slack: float) -> list[Version]:
        """The attempt's writes that overlap a write, or nearly; itself left out."""
        return [
            other
            for other in self.by_attempt[version.attempt]
            if other is not version
            and other.started_at <= version.done_at + slack
            and version.started_at <= other.done_at + slack
        ]

    def pending(self, attempt: int) -> list[Version]:
        """Versions on the attempt's disk at its end whose whole was not in S3, though the write had ended; a write that
        was itself cut is no checkpoint that anyone believed safe."""
        return [version for version in self.unfinished(attempt) if version.settled_at is not None]

    def unfinished(self, attempt: int) -> list[Version]:
        """Versions on the attempt's disk at its end whose whole was not in S3, cut writes included."""
        return [version for version in self.left_behind.get(attempt, {}).values() if version.durable_at is None]


_Aside = dict[tuple[str, int], Version]
"""By host and size: what was lately written aside, perhaps to be renamed."""


def file_history(events: Iterable[Event]) -> FileHistory:
    """Read the history from the timeline's file and upload events, in their order."""
    history = FileHistory()
    current: dict[str, Version] = {}
    running: dict[str, deque[Upload]] = defaultdict(deque)  # in order, should one path ever go up twice at a time
    aside: _Aside = {}
    attempt = None
    for event in events:
        if event.attempt != attempt:
            attempt = event.attempt
            current = history.left_behind.setdefault(attempt, {})
            running, aside = defaultdict(deque), {}
        path, size = str(event.data["path"]), int(event.data.get("bytes", 0))
        version = current.get(path)
        match event.kind:
            case Kind.FILE_CHANGED | Kind.FILE_SETTLED:
                if version is None or (version.settled_at is not None and event.kind is Kind.FILE_CHANGED):
                    version = _begin(history, event, path, size, aside)
                    current[path] = version
                elif event.kind is Kind.FILE_CHANGED:
                    version.changed_at = event.at
                version.bytes = size
                if event.kind is Kind.FILE_SETTLED:
                    version.settled_at = event.at
                if is_temporary(path):
                    aside[version.host, size] = version
            case Kind.FILE_DELETED:
                gone = current.pop(path, None)
                # A checkpoint that was safe in S3 was thrown away for its age, not renamed.
                if gone is not None and (is_temporary(path) or gone.durable_at is None):
                    aside[gone.host, gone.bytes] = gone
            case Kind.UPLOAD_STARTED if version is not None:
                running[path].append(Upload(version, event.at))
                version.uploads.append(running[path][-1])
            case Kind.UPLOAD_FINISHED if version is not None:
                if not running[path]:
                    running[path].append(Upload(version, event.at - float(event.data.get("seconds", 0))))
                    version.uploads.append(running[path][-1])
                upload = running[path].popleft()
                upload.finished_at, upload.digest = event.at, str(event.data.get("digest", ""))
                history._uploads.setdefault(path, []).append(upload)
            case Kind.UPLOAD_FAILED if running[path]:
                running[path].popleft()
    return history


def _begin(history: FileHistory, event: Event, path: str, size: int, aside: _Aside) -> Version:
    host = host_of(event)
    renamed = aside.pop((host, size), None) if size and not is_temporary(path) else None
    started_at = renamed.started_at if renamed is not None and event.at - renamed.done_at < 2.0 else event.at
    version = Version(path, event.attempt, started_at, event.at, size, host=host)
    history.versions.setdefault(path, []).append(version)
    history.by_attempt.setdefault(event.attempt, []).append(version)
    return version
