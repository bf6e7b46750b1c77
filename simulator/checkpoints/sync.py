"""While training runs, changed checkpoint files go up to S3, near real time; at the reclaim that stops where it is."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from simulator.checkpoints.folder import Found, Look, Stamp, look, stamp_of
from simulator.checkpoints.markers import Markers
from simulator.checkpoints.patience import PATIENCE_SECONDS, pause_after
from simulator.checkpoints.store import FileVersion, ObjectStore, StoreUnavailable, TransferAbandoned
from simulator.checkpoints.watch import FolderWatch
from simulator.core.clock import Clock
from simulator.core.errors import EnvironmentFailure
from simulator.core.job import CHECKPOINT_LOCAL_PATH
from simulator.core.timeline import Kind

STOP_SECONDS = 15.0  # for requests whose body was wholly sent: their answer tells whether they count
SHORTEST_GAP_SECONDS = 0.01
MARKED_AFTER_SECONDS = 0.2
MARKERS_LINGER_SECONDS = 1.0
"""An upload is marked when it has lasted so long, and how long the markers of a deleted file stay. Assumptions, and
lenient ones: a script that removes a whole folder (Keras' BackupAndRestore does, right after its last save) removes the
markers with it, and must not lose a race of milliseconds for them that a slower uploader would never have run."""
LOOK_SHARE = 0.1  # at most this share of the time goes into looks, however large the folder

Emit = Callable[[Kind, Mapping[str, Any]], object]


@dataclass(frozen=True)
class SyncOptions:
    """The uploader's habits that AWS documents no numbers for; each is a named assumption.

    settle_seconds: how long a file must be left alone before it goes up, unless its writer closed it; 0 sends files
        up as they are at every look, growing or not.
    growing_seconds: a file that never settles goes up as it is when its changes have waited this long.
    uploader_markers: whether *.sagemaker-uploading and *.sagemaker-uploaded appear (read in source, not documented).
    workers: transfers at a time.  poll_seconds: the longest time between two looks at a small folder.
    patience_seconds: how long S3 may refuse for now, no transfer succeeding, until the run ends for it.
    local_path: where the script has the folder mounted; absolute symlinks below it are understood.
    """

    settle_seconds: float = 0.2
    growing_seconds: float = 5.0
    uploader_markers: bool = True
    workers: int = 8
    poll_seconds: float = 0.1
    patience_seconds: float = PATIENCE_SECONDS
    local_path: str = CHECKPOINT_LOCAL_PATH


@dataclass
class _File:
    """What is known of one path. `stored` is the version that is in S3 (or was restored from it)."""

    stamp: Stamp
    source: str
    changed_at: float
    waiting_since: float
    settled: bool = False
    stored: Stamp | None = None
    refused: Stamp | None = None  # the version whose upload failed and is not tried again

    @property
    def is_due(self) -> bool:
        return self.stamp not in (self.stored, self.refused)


class _Act(Enum):
    PUT = "put"
    PUT_AS_IT_IS = "put-as-it-is"  # although it may be changing
    DELETE = "delete"


class CheckpointSync:
    """One instance's uploader. `start()`, then `flush()` if the job ended by itself, then `stop_at_once()` always.

    As SageMaker does: a local delete deletes the object, files go up as they are and one by one, and nothing that
    appears in S3 later is copied in. Versions that were overwritten before their turn never go up. Threads are
    daemons; what ends them is in `failure`.
    """

    def __init__(
        self,
        folder: Path,
        store: ObjectStore,
        clock: Clock,
        emit: Emit,
        options: SyncOptions,
        grant_access: Callable[[], None],
    ) -> None:
        self._folder, self._store, self._clock, self._emit, self._options = folder, store, clock, emit, options
        self._access = _Access(grant_access, self._warn_once)
        self._markers = Markers(folder) if options.uploader_markers else None
        self._watch = FolderWatch(folder, self._heard)
        self._files: dict[str, _File] = {}
        self._queue: dict[str, _Act] = {}  # in order; what is waiting for a worker
        self._busy: dict[str, int] = {}  # path → bytes; what a worker has in hand
        self._cancelled: set[str] = set()
        self._finished: set[str] = set()  # paths whose writer closed them since the last look
        self._deleted_at: dict[str, float] = {}  # files whose markers are still to go
        self._warned: set[str] = set()
        self._refused_since: float | None = None  # since when no transfer has succeeded that was tried
        self._tries: dict[str, int] = {}  # path → tries in vain, one after another
        self._objects: set[str] = set()  # paths that have an object in S3, of whatever version
        self._lock = threading.RLock()  # guards all of the above
        self._work_waits = threading.Condition(self._lock)
        self._done_changed = threading.Condition(self._lock)
        self._looking = threading.Lock()  # one look at a time, events in its order
        self._wake = threading.Event()
        self._frozen = threading.Event()
        self._stopped = False
        self._threads: list[threading.Thread] = []
        self.failure: BaseException | None = None

    # The verbs of the engine

    def start(self, baseline: Mapping[str, Found] | None = None) -> None:
        """Begin. `baseline`: the folder as it was restored (`look(folder).files`, taken before the script started);
        by default the files present now. Those are in S3 already and do not go up until they change."""
        self._watch.start()
        files = baseline if baseline is not None else look(self._folder, self._options.local_path).files
        now = self._clock.now()
        for path, found in files.items():
            self._files[path] = _File(found.stamp, found.source, now, now, settled=True, stored=found.stamp)
        self._objects = set(files)
        self._threads = [threading.Thread(target=self._scan, name="sync-look", daemon=True)]
        self._threads += [
            threading.Thread(target=self._work, name=f"sync-{number}", daemon=True)
            for number in range(self._options.workers)
        ]
        for thread in self._threads:
            thread.start()
        self._wake.set()

    def freeze(self) -> None:
        """From now on nothing goes up: transfers under way are cut, none begins. Returns at once; call it at the
        instant the instance goes, and `stop_at_once` when there is time to tell what was abandoned."""
        self._frozen.set()
        self._wake.set()
        self._notify_all()

    def flush(self, timeout_seconds: float | None) -> bool:
        """Upload all that is there, settled or not, as when a job ended by itself. False when the timeout, a failure
        or `freeze` came first."""
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while not self._is_over:
            if not self._look(settle_all=True):
                return not self._is_over
            with self._done_changed:
                while (self._queue or self._busy) and not self._is_over:
                    left = None if deadline is None else deadline - time.monotonic()
                    if left is not None and left <= 0:
                        return False
                    self._done_changed.wait(left)
        return False

    def stop_at_once(self) -> None:
        """Stop where it is. What was under way or waiting is recorded as UPLOAD_ABANDONED. Safe to call again, and
        before `start`."""
        self.freeze()
        if self._stopped:
            return
        self._stopped = True
        self._watch.stop()
        deadline = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if self._threads:
            self._tell_what_was_lost()

    # Looking at the folder

    def _scan(self) -> None:
        try:
            took = 0.0
            while not self._is_over:
                gap = took / LOOK_SHARE
                self._wake.wait(max(self._options.poll_seconds, gap))
                self._frozen.wait(max(SHORTEST_GAP_SECONDS, gap) if self._wake.is_set() else 0)
                self._wake.clear()
                if self._is_over:
                    return
                began = time.monotonic()
                self._look()
                took = time.monotonic() - began
        except BaseException as error:  # noqa: BLE001 - a thread's end must be seen by the engine
            self._fail(error)

    def _look(self, settle_all: bool = False) -> bool:
        """Look once, record what changed, queue what is to be done. False when nothing is waiting or under way."""
        with self._looking:
            with self._lock:
                finished, self._finished = self._finished, set()
            seen = self._seen()
            for path, reason in seen.passed_over.items():
                self._warn_once(f"not uploaded: {_shown(path)}; {reason}")
            now = self._clock.now()
            self._take_deletions(seen, now)
            self._clear_markers(now)
            for path, found in seen.files.items():
                self._take(path, found, now, settle_all or path in finished)
        with self._lock:
            return bool(self._queue or self._busy)

    def _seen(self) -> Look:
        seen = look(self._folder, self._options.local_path)
        if seen.unreadable and any(self._access.ask("folder " + path) for path in seen.unreadable):
            seen = look(self._folder, self._options.local_path)
        for path in seen.unreadable:
            self._warn_once(f"the folder {_shown(path) or '.'} below the checkpoint path cannot be read")
        return seen

    def _take_deletions(self, seen: Look, now: float) -> None:
        with self._lock:
            gone = [path for path in self._files if path not in seen.files and not seen.hides(path)]
        for path in gone:
            self._emit(Kind.FILE_DELETED, {"path": path})
            with self._lock:
                del self._files[path]
                self._queue.pop(path, None)
                if path in self._busy:
                    self._cancelled.add(path)
                if path in self._objects or path in self._busy:
                    self._enqueue(path, _Act.DELETE)
                self._deleted_at[path] = now

    def _clear_markers(self, now: float) -> None:
        with self._lock:
            due = [path for path, at in self._deleted_at.items() if now - at >= MARKERS_LINGER_SECONDS]
            gone = [path for path in due if path not in self._files]
            for path in due:
                del self._deleted_at[path]
        for path in gone:
            self._mark(path, Markers.gone)

    def _take(self, path: str, found: Found, now: float, finished: bool) -> None:
        """Record a file's state and queue it when its turn has come. Runs in one thread at a time."""
        with self._lock:
            file = self._files.get(path)
            changed = file is None or file.stamp != found.stamp
            if file is None:
                file = self._files[path] = _File(found.stamp, found.source, now, now)
                begins = True
            elif changed:
                begins = file.settled
                if not file.is_due:
                    file.waiting_since = now
                file.stamp, file.source, file.changed_at, file.settled = found.stamp, found.source, now, False
            else:
                begins = False
        if begins:
            self._emit(Kind.FILE_CHANGED, {"path": path, "bytes": found.stamp.bytes})
        rest = self._options.settle_seconds or self._options.poll_seconds
        if not file.settled and (finished or now - file.changed_at >= rest):
            self._emit(Kind.FILE_SETTLED, {"path": path, "bytes": found.stamp.bytes})
            file.settled = True
        with self._lock:
            if file.is_due and path not in self._busy:  # a worker that ends asks for another look
                if file.settled and self._options.settle_seconds > 0:
                    self._enqueue(path, _Act.PUT)
                elif self._options.settle_seconds == 0 or now - file.waiting_since >= self._options.growing_seconds:
                    self._enqueue(path, _Act.PUT_AS_IT_IS)

    def _heard(self, path: str, finished: bool) -> None:
        if finished:
            with self._lock:
                self._finished.add(path)
        self._wake.set()

    # Carrying it out

    def _enqueue(self, path: str, act: _Act) -> None:
        """Queue an act, in place of an earlier one for the same path. The condition is held."""
        if not self._is_over:
            self._queue[path] = act
            self._work_waits.notify()

    def _work(self) -> None:
        try:
            while (job := self._next()) is not None:
                path, act = job
                try:
                    self._delete(path) if act is _Act.DELETE else self._put(path, act is _Act.PUT_AS_IT_IS)
                finally:
                    with self._lock:
                        if path not in self._files:
                            self._deleted_at[path] = self._clock.now()  # deleted after its marker was made
                        self._busy.pop(path, None)
                        self._cancelled.discard(path)
                        if path in self._files and self._files[path].is_due:
                            self._wake.set()
                        self._work_waits.notify()
                        self._done_changed.notify_all()
        except BaseException as error:  # noqa: BLE001 - a thread's end must be seen by the engine
            self._fail(error)

    def _next(self) -> tuple[str, _Act] | None:
        """The first act whose path no other worker has in hand; None at the end."""
        with self._work_waits:
            while not self._is_over:
                for path, act in self._queue.items():
                    if path not in self._busy:
                        del self._queue[path]
                        self._busy[path] = 0
                        return path, act
                self._work_waits.wait()
            return None

    def _put(self, path: str, as_it_is: bool) -> None:
        with self._lock:
            file = self._files.get(path)
            if file is None or not file.is_due or not (file.settled or as_it_is) or self._frozen.is_set():
                return  # the next look decides again
            expected, source, changed_at = file.stamp, file.source, file.changed_at
        try:
            stamp = stamp_of(source)
        except OSError:
            self._wake.set()  # the next look tells what became of it
            return
        if stamp != expected and not as_it_is:
            self._wake.set()  # it changed again: the next look waits until it rests
            return
        with self._lock:
            self._busy[path] = stamp.bytes
        self._emit(Kind.UPLOAD_STARTED, {"path": path, "bytes": stamp.bytes})
        started = self._clock.now()
        try:
            with self._shown_while_it_lasts(path):
                version = self._send(path, source)
        except TransferAbandoned:
            self._left_off(path, stamp)
            return
        except OSError as error:
            self._refuse(path, stamp, error)
            return
        except StoreUnavailable as error:
            self._emit(Kind.UPLOAD_FAILED, {"path": path, "error": error.why})
            self._wait_to_try_again(path, error)
            return
        except EnvironmentFailure as error:
            self._emit(Kind.UPLOAD_FAILED, {"path": path, "error": error.why})
            raise
        self._succeeded(path)
        done = self._clock.now()
        with self._lock:
            if self._files.get(path) is file:
                file.stored, file.waiting_since = stamp, done
            self._objects.add(path)
        self._mark(path, Markers.uploaded)
        self._emit(
            Kind.UPLOAD_FINISHED,
            {
                "path": path,
                "bytes": version.bytes,
                "seconds": done - started,
                "lag_seconds": done - changed_at,
                "digest": version.digest,
            },
        )

    def _send(self, path: str, source: str) -> FileVersion:
        try:
            return self._store.put(Path(source), path, lambda: self._is_cut(path))
        except PermissionError:
            if not self._access.ask(f"file {path} {stamp_of(source)}"):
                raise
            return self._store.put(Path(source), path, lambda: self._is_cut(path))

    def _is_cut(self, path: str) -> bool:
        return self._frozen.is_set() or path in self._cancelled

    def _left_off(self, path: str, stamp: Stamp) -> None:
        if self._frozen.is_set():
            self._emit(Kind.UPLOAD_ABANDONED, {"path": path, "bytes": stamp.bytes})
            with self._lock:
                if path in self._files:
                    self._files[path].refused = stamp  # told, and not to be told again
        else:
            self._emit(Kind.UPLOAD_FAILED, {"path": path, "error": "the file was deleted while it was being uploaded"})

    def _refuse(self, path: str, stamp: Stamp, error: OSError) -> None:
        """A local file that cannot be sent: it is tried again when it changes."""
        self._emit(Kind.UPLOAD_FAILED, {"path": path, "error": str(error)})
        if error.errno not in (errno.ENOENT, errno.ELOOP):  # vanished, or replaced by a link: the next look tells
            self._warn_once(f"not uploaded: {_shown(path)}; {error.strerror or error}")
        with self._lock:
            if path in self._files:
                self._files[path].refused = stamp
        self._wake.set()

    def _delete(self, path: str) -> None:
        with self._lock:
            if path in self._files or path not in self._objects or self._frozen.is_set():
                return  # made again meanwhile (its upload replaces the object), or never uploaded
        try:
            self._store.delete(path, self._frozen.is_set)
        except TransferAbandoned:
            return
        except StoreUnavailable as error:
            self._wait_to_try_again(path, error)
            with self._lock:
                if path not in self._files:
                    self._enqueue(path, _Act.DELETE)
            return
        self._succeeded(path)
        with self._lock:
            self._objects.discard(path)
        self._emit(Kind.OBJECT_DELETED, {"path": path})

    def _wait_to_try_again(self, path: str, error: StoreUnavailable) -> None:
        """Pause, the path in hand, so that no other worker takes it; raises the error when patience has ended. The
        file is due as before: the next look decides what of it goes up."""
        now = self._clock.now()
        with self._lock:
            is_first, since = self._refused_since is None, self._refused_since or now
            self._refused_since = since
            self._tries[path] = tries = self._tries.get(path, 0) + 1
        pause = pause_after(tries)
        if now + pause - since > self._options.patience_seconds:
            raise error
        if is_first:
            self._emit(Kind.WARNING, {"message": f"{error.what} for now, and is tried again: {error.why}"})
        self._frozen.wait(pause)

    def _succeeded(self, path: str) -> None:
        with self._lock:
            self._refused_since = None
            self._tries.pop(path, None)

    @contextmanager
    def _shown_while_it_lasts(self, path: str) -> Iterator[None]:
        """The marker of an upload that takes some time."""
        if self._markers is None:
            yield
            return
        timer = threading.Timer(MARKED_AFTER_SECONDS, self._mark, (path, Markers.uploading))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()

    def _mark(self, path: str, verb: Callable[[Markers, str], None]) -> None:
        if self._markers is None:
            return
        try:
            verb(self._markers, path)
        except OSError as error:
            folder = path.rpartition("/")[0]
            if error.errno == errno.ENAMETOOLONG:
                return  # the file's own name leaves no room for the suffix
            if self._access.ask("marker " + folder):
                try:
                    verb(self._markers, path)
                    return
                except OSError as again:
                    error = again
            self._warn_once(f"no uploader markers can be written: {error.strerror}")

    # The end

    @property
    def _is_over(self) -> bool:
        return self._frozen.is_set() or self.failure is not None

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            if self.failure is None:
                self.failure = error
        self._wake.set()
        self._notify_all()

    def _notify_all(self) -> None:
        with self._lock:
            self._work_waits.notify_all()
            self._done_changed.notify_all()

    def _tell_what_was_lost(self) -> None:
        """Record every version that is not in S3: also those that no look had seen yet."""
        with self._lock:
            stuck = dict(self._busy)  # no answer came in time
        if self.failure is None:
            self._look()
        for path, file in self._files.items():
            if file.is_due or path in stuck:
                self._emit(Kind.UPLOAD_ABANDONED, {"path": path, "bytes": stuck.get(path) or file.stamp.bytes})

    def _warn_once(self, message: str) -> None:
        with self._lock:
            if message in self._warned:
                return
            self._warned.add(message)
        self._emit(Kind.WARNING, {"message": message})


class _Access:
    """Asks the runtime to open what the container's root closed; once for each thing, as it may cost a second."""

    def __init__(self, grant: Callable[[], None], warn: Callable[[str], None]) -> None:
        self._grant, self._warn = grant, warn
        self._asked: set[str] = set()
        self._lock = threading.Lock()

    def ask(self, thing: str) -> bool:
        """Whether access was granted now, so that another try is worth it."""
        with self._lock:
            if thing in self._asked:
                return False
            self._asked.add(thing)
            try:
                self._grant()
            except (OSError, EnvironmentFailure) as error:
                self._warn(f"the checkpoint folder cannot be made readable: {error}")
                return False
            return True


def _shown(path: str) -> str:
    """A path that any terminal can print."""
    return path.encode("utf-8", "backslashreplace").decode()
