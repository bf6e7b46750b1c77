"""The finished run as the rules question it: the timeline indexed once, and the questions that several rules share.

Judge what happened, not what was meant: only the timeline is read, never the harness's intentions. What the timeline
must hold and does not is an `EvidenceMissing`, which leaves the question open.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, TypeVar, cast

from simulator.checks.durability import FILE_KINDS, DurableFile, FileHistory, Upload, Version, file_history
from simulator.checks.file_names import may_be_a_checkpoint
from simulator.checks.progress import LoggedLine, Progress, Walk, counted_on, lines_of, progress_of
from simulator.core.hosts import as_judged, ended_by, hosts_of
from simulator.core.job import CHECKPOINT_LOCAL_PATH
from simulator.core.timeline import Event, Kind, Timeline

T = TypeVar("T")
_ANSWERS_WITHIN_SECONDS = 2.0
_SHORTEST_SILENCE_SECONDS = 0.5  # that tells anything of quick steps
_LEAVES_WITHIN_SECONDS = 5.0  # a save this long before the script's own exit is what it left with


class EvidenceMissing(Exception):
    """A rule cannot answer, because the timeline lacks what it has to read."""


@dataclass(frozen=True)
class JudgeOptions:
    """What judging may be told. `metric`: the progress metric, instead of the likeliest.  `rtol`: tier 2's tolerance.
    `detection_seconds`: how late a write, a log line or a transfer may have been noticed, at most."""

    metric: str | None = None
    rtol: float = 1e-3
    detection_seconds: float = 0.5


@dataclass(frozen=True)
class Process:
    """One process of a PROCESSES event."""

    pid: int
    ppid: int
    command: str
    catches_sigterm: bool
    ignores_sigterm: bool
    blocks_sigterm: bool
    pends_sigterm: bool | None = None  # None: the timeline does not tell
    state: str = ""
    wchan: str = ""
    started: int | None = None

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Process:
        """One entry of the event; runs of older versions have fewer fields."""
        pends, started = entry.get("pends_sigterm"), entry.get("started")
        return cls(
            int(entry["pid"]),
            int(entry["ppid"]),
            str(entry.get("command", "")),
            bool(entry.get("catches_sigterm")),
            bool(entry.get("ignores_sigterm")),
            bool(entry.get("blocks_sigterm")),
            None if pends is None else bool(pends),
            str(entry.get("state", "")),
            str(entry.get("wchan", "")),
            None if started is None else int(started),
        )

    def is_same_as(self, other: Process) -> bool:
        """Whether it is the same process at another instant; a pid alone may have been given again."""
        return self.pid == other.pid and (None in (self.started, other.started) or self.started == other.started)

    def as_dict(self) -> dict[str, Any]:
        """The process as a finding's evidence holds it."""
        return {
            "pid": self.pid,
            "ppid": self.ppid,
            "command": self.command,
            "catches_sigterm": self.catches_sigterm,
            "ignores_sigterm": self.ignores_sigterm,
            "blocks_sigterm": self.blocks_sigterm,
        }


@dataclass(frozen=True)
class Look:
    """Who was there at an instant."""

    at: float
    processes: Sequence[Process]


@dataclass(frozen=True)
class _FirstCheckpoint:
    """When an attempt's first checkpoint was in S3: seconds after its process started, and what it had logged by then
    (None: nothing)."""

    delay: float
    progress: float | None


class Evidence:
    """One run's timeline, indexed; `baselines` are the uninterrupted runs of the same job, indexed the same way.

    Where the job has several `hosts` (the leading one first), `timeline` is one story of them all, see `as_judged`,
    and `whole` is what was recorded."""

    def __init__(
        self, timeline: Timeline, options: JudgeOptions | None = None, baselines: Sequence[Evidence] = ()
    ) -> None:
        self.whole, self.timeline = timeline, as_judged(timeline)
        self.hosts = hosts_of(timeline)
        self.options = options or JudgeOptions()
        self.baselines = baselines
        self._by_kind: dict[tuple[int, Kind], list[Event]] = defaultdict(list)
        for event in self.timeline:
            self._by_kind[event.attempt, event.kind].append(event)
        self.attempts = sorted({event.attempt for event in timeline.of(Kind.ATTEMPT_STARTED)})
        self._answers: dict[Callable[[Evidence], object], object] = {}
        self._writes: dict[int, list[Version]] = {}
        self._reactions: dict[int, list[Version]] = {}

    def once(self, question: Callable[[Evidence], T]) -> T:
        """The answer to a question that several rules ask, worked out once."""
        if question not in self._answers:
            self._answers[question] = question(self)
        return cast(T, self._answers[question])

    # What was planned and what became of the job.

    @cached_property
    def started(self) -> Mapping[str, Any]:
        """RUN_STARTED's data."""
        event = self.timeline.first(Kind.RUN_STARTED)
        if event is None:
            raise EvidenceMissing("the timeline has no run-started event")
        return event.data

    @cached_property
    def planned(self) -> list[str]:
        """The planned interruptions' texts, in order; interruption i belongs to attempt i."""
        return [str(text) for text in self.started["interruptions"]]

    @property
    def profile(self) -> Mapping[str, Any]:
        """The profile's fields: warning_seconds, sigterm, grace_seconds."""
        profile: Mapping[str, Any] = self.started["profile"]
        return profile

    @property
    def checkpoint_path(self) -> str:
        """CheckpointConfig.LocalPath."""
        return str((self.started.get("CheckpointConfig") or {}).get("LocalPath", CHECKPOINT_LOCAL_PATH))

    @cached_property
    def final_status(self) -> str | None:
        """The last SecondaryStatus."""
        statuses = self.timeline.of(Kind.SECONDARY_STATUS)
        return str(statuses[-1].data["status"]) if statuses else None

    # Events of one attempt.

    def of(self, kind: Kind, attempt: int) -> list[Event]:
        """Events of a kind in an attempt."""
        return self._by_kind.get((attempt, kind), [])

    def first(self, kind: Kind, attempt: int) -> Event | None:
        """The first one, if any."""
        return next(iter(self.of(kind, attempt)), None)

    def last(self, kind: Kind, attempt: int) -> Event | None:
        """The last one, if any."""
        return next(reversed(self.of(kind, attempt)), None)

    def outcome(self, attempt: int) -> str | None:
        """How the attempt ended: reclaimed, completed, failed or stopped; None while it had not."""
        event = self.last(Kind.ATTEMPT_ENDED, attempt)
        return None if event is None else str(event.data.get("outcome"))

    @cached_property
    def reclaimed(self) -> list[int]:
        """The attempts whose instance was taken away."""
        return [attempt for attempt in self.attempts if self.outcome(attempt) == "reclaimed"]

    def sigterm(self, attempt: int) -> Event | None:
        """The SIGTERM that reached the entrypoint, if one did."""
        return next(
            (
                event
                for event in self.of(Kind.SIGNAL_SENT, attempt)
                if str(event.data.get("signal")) in ("SIGTERM", "15", "Signals.SIGTERM") and event.data.get("delivered")
            ),
            None,
        )

    def notice(self, attempt: int) -> Event | None:
        """The interruption notice, if one was given."""
        return self.first(Kind.NOTICE_GIVEN, attempt)

    def warned_at(self, attempt: int) -> float | None:
        """When the script could first have known: the notice, or else SIGTERM."""
        told = self.notice(attempt) or self.sigterm(attempt)
        return None if told is None else told.at

    def killed(self, attempt: int) -> Event | None:
        """The SIGKILL that ended a process still running, if one did."""
        return next((event for event in self.of(Kind.KILLED, attempt) if event.data.get("observed")), None)

    def exited(self, attempt: int) -> Event | None:
        """The process's end."""
        return self.last(Kind.PROCESS_EXITED, attempt)

    def ended_by(self, attempt: int) -> str:
        """The host whose exit failed the attempt, where that was not the leading one; else empty."""
        return ended_by(self.whole, attempt) if self.hosts else ""

    def exited_by_itself(self, attempt: int) -> bool:
        """Whether the process ended without being killed."""
        return self.exited(attempt) is not None and self.killed(attempt) is None

    def began_at(self, attempt: int) -> float | None:
        """When the process started; None when it never did."""
        event = self.first(Kind.PROCESS_STARTED, attempt)
        return None if event is None else event.at

    def gone_at(self, attempt: int) -> float:
        """When the instance was lost to the script: the kill, else the process's end, else the wipe."""
        ends = [self.killed(attempt), self.exited(attempt), self.last(Kind.INSTANCE_WIPED, attempt)]
        ends.append(self.last(Kind.ATTEMPT_ENDED, attempt))
        for event in ends:
            if event is not None:
                return event.at
        raise EvidenceMissing(f"attempt {attempt} has no end in the timeline")

    def processes_at_sigterm(self, attempt: int) -> list[Process]:
        """The processes as they were when SIGTERM was sent; empty when nobody could read them."""
        signal = self.sigterm(attempt)
        if signal is None:
            return []
        snapshots = [event for event in self.of(Kind.PROCESSES, attempt) if event.data.get("processes")]
        before = [event for event in snapshots if event.at <= signal.at]
        if not before:
            return []
        return [Process.read(entry) for entry in before[-1].data["processes"]]

    def looks_after_sigterm(self, attempt: int) -> list[Look]:
        """The processes as they were seen between SIGTERM and the end, in order; empty for runs of older versions."""
        signal = self.sigterm(attempt)
        return [
            Look(event.at, [Process.read(entry) for entry in event.data["processes"]])
            for event in self.of(Kind.PROCESSES, attempt)
            if signal is not None and event.at > signal.at and event.data.get("processes")
        ]

    # Progress.

    @cached_property
    def lines(self) -> Mapping[int, Sequence[LoggedLine]]:
        """Attempt → the log lines that gave numbers."""
        return counted_on({attempt: lines_of(self.of(Kind.METRIC, attempt)) for attempt in self.attempts})

    @cached_property
    def progress(self) -> Progress | None:
        """How far every attempt came; None when the log tells no progress."""
        began = {attempt: at for attempt in self.attempts if (at := self.began_at(attempt)) is not None}
        return progress_of(self.lines, self.options.metric, began)

    def walk(self, attempt: int) -> Walk | None:
        """One attempt's progress; None when it logged none."""
        return self.progress.walks.get(attempt) if self.progress else None

    def walk_after(self, attempt: int) -> tuple[int, Walk] | None:
        """The first later attempt that logged progress."""
        for later in self.attempts:
            walk = self.walk(later)
            if later > attempt and walk is not None:
                return later, walk
        return None

    # Checkpoints.

    @cached_property
    def files(self) -> FileHistory:
        """Every write and upload."""
        return file_history(event for event in self.timeline if event.kind in FILE_KINDS)

    def manifest(self, when: str, attempt: int) -> Mapping[str, Mapping[str, Any]] | None:
        """A manifest's files, None when it was not taken."""
        taken = self._manifest_event(when, attempt)
        return None if taken is None else taken.data["files"]

    def _manifest_event(self, when: str, attempt: int) -> Event | None:
        taken = [event for event in self.of(Kind.MANIFEST, attempt) if event.data.get("when") == when]
        return taken[-1] if taken else None

    def durable_at_kill(self, attempt: int) -> list[DurableFile]:
        """What was in S3 when the instance went, markers and all."""
        taken = self._manifest_event("kill", attempt) or self._manifest_event("before-restore", attempt + 1)
        if taken is None:
            raise EvidenceMissing(f"attempt {attempt} has no manifest of what was in S3 when the instance went")
        return self.files.durable(taken.data["files"], taken.at)

    def restored(self, attempt: int) -> list[DurableFile] | None:
        """What was restored for an attempt; None when nobody noted it."""
        taken = self._manifest_event("restored", attempt)
        return None if taken is None else self.files.durable(taken.data["files"], taken.at)

    def checkpoints_at_kill(self, attempt: int) -> list[DurableFile]:
        """What of it may be a checkpoint: not empty, no marker, no temporary file, no log."""
        return [file for file in self.durable_at_kill(attempt) if file.bytes > 0 and may_be_a_checkpoint(file.path)]

    def saves(self, attempt: int, host: str | None = None) -> list[Version]:
        """The attempt's writes that may be checkpoints, in order, writes of the same moment taken together; of all
        hosts, or of one. Hosts that save shards side by side drift apart, so that a habit is one host's."""
        moments: list[Version] = []
        for version in sorted(self._checkpoint_writes(attempt, host), key=lambda version: version.started_at):
            if not moments or version.started_at - moments[-1].started_at > self.options.detection_seconds:
                moments.append(version)
        return moments

    def _checkpoint_writes(self, attempt: int, host: str | None = None) -> list[Version]:
        if attempt not in self._writes:
            versions = self.files.by_attempt.get(attempt, ())
            self._writes[attempt] = [version for version in versions if may_be_a_checkpoint(version.path)]
        writes = self._writes[attempt]
        return writes if host is None else [version for version in writes if version.host == host]

    def cadence_seconds(self, attempt: int, host: str | None = None) -> float | None:
        """The longest the script went without beginning a save, counted from its start; None without saves."""
        began = self.began_at(attempt)
        starts = [save.started_at for save in self.saves(attempt, host)]
        if began is None or not starts:
            return None
        return max(after - before for before, after in pairwise([began, *starts]))

    def saves_in_reaction(self, attempt: int) -> list[Version]:
        """Writes begun because the script was told: the first after the notice or after SIGTERM, if it came sooner than
        the script's habit explains; and what it wrote last before it left by itself or trained no more."""
        if attempt not in self._reactions:
            hosts = {version.host for version in self._checkpoint_writes(attempt)}
            found = [version for host in sorted(hosts) for version in self._find_reactions(attempt, host)]
            self._reactions[attempt] = sorted(found, key=lambda version: version.started_at)
        return self._reactions[attempt]

    def _find_reactions(self, attempt: int, host: str) -> list[Version]:
        notice, sigterm = self.notice(attempt), self.sigterm(attempt)
        found: dict[int, Version] = {}
        for told in (notice, sigterm):
            later = [] if told is None else self._first_moment_after(attempt, told.at, host)
            if told is not None and later and self._came_sooner(attempt, told.at, later[0]):
                found |= {id(version): version for version in later}
        own_end = sigterm if self.outcome(attempt) == "reclaimed" else notice
        writes = self._checkpoint_writes(attempt, host)
        last = [] if own_end is None else [version for version in writes if version.started_at >= own_end.at]
        if last:
            done_at = max(version.done_at for version in last)
            if self.exited_by_itself(attempt):
                obeyed = self.gone_at(attempt) - done_at < _LEAVES_WITHIN_SECONDS and not self._was_done(attempt)
            else:
                obeyed = self._trained_no_more(attempt, done_at)
            if obeyed:
                found |= {id(version): version for version in last}
        return list(found.values())

    def _trained_no_more(self, attempt: int, saved_at: float) -> bool:
        """Whether the log shows that nothing was trained between a save and the attempt's end: no progress since, for
        far longer than training ever went without a word of it. The script evaluates, waits for its end, or has not
        come to the end of leaving (a framework's own clean-up takes seconds)."""
        walk = self.walk(attempt)
        if walk is None or len(walk.readings) < 2 or walk.last.at > saved_at + self.options.detection_seconds:
            return False
        longest = max(after.at - before.at for before, after in pairwise(walk.readings))
        return self.gone_at(attempt) - saved_at > max(_SHORTEST_SILENCE_SECONDS, 3 * longest)

    def _was_done(self, attempt: int) -> bool:
        """Whether the script ended because its work was done: with 0, and its model exported."""
        exited, models = self.exited(attempt), self.last(Kind.MODEL_FILES, attempt)
        exported = models is not None and any(int(facts["bytes"]) > 0 for facts in models.data["files"].values())
        return exited is not None and exited.data.get("exit_code") == 0 and exported

    def _first_moment_after(self, attempt: int, instant: float, host: str) -> list[Version]:
        """The files of the first save after an instant: each begun before the one before it was long done."""
        moment: list[Version] = []
        for version in sorted(self._checkpoint_writes(attempt, host), key=lambda version: version.started_at):
            if version.started_at < instant:
                continue
            again = any(version.path == other.path for other in moment)
            if moment and (again or version.started_at > moment[-1].done_at + self.options.detection_seconds):
                break
            moment.append(version)
        return moment

    def _came_sooner(self, attempt: int, told_at: float, save: Version) -> bool:
        """Whether a save came clearly sooner after the one before it than any other did, by time and by progress."""
        saves = self.saves(attempt, save.host)
        earlier = [other for other in saves if other.started_at < told_at]
        began, walk = self.began_at(attempt) or 0.0, self.walk(attempt)
        later = [other for other in saves if other.started_at >= save.started_at]
        if len(earlier) < 2 and len(later) < 2:
            # No habit is known: only a save right after the telling is taken for an answer to it.
            return save.started_at - told_at < _ANSWERS_WITHIN_SECONDS

        def sooner(place: Callable[[float], float], start: float, least: float = 0.0) -> bool:
            known = earlier if len(earlier) > 1 else later
            gaps = [place(after.started_at) - place(before.started_at) for before, after in pairwise(known)]
            since = place(earlier[-1].started_at) if earlier else start
            usual = min(gaps, default=since - start)
            return usual > least and place(save.started_at) - since < 0.8 * usual

        # Saves that follow each other faster than they are noticed tell no reaction from habit.
        if not sooner(lambda instant: instant, began, least=4 * self.options.detection_seconds):
            return False
        if walk is None or self.progress is None:
            return True
        start = walk.first.value - self.progress.stride
        return sooner(lambda instant: reading.value if (reading := walk.at(instant)) else start, start)

    @cached_property
    def leading(self) -> frozenset[str]:
        """The hosts of the writes that belong to the progress which is read: the leading one, or where it never saves,
        all. Another host may be elsewhere in its training when it writes its part."""
        writes = (version for versions in self.files.by_attempt.values() for version in versions)
        hosts = frozenset(version.host for version in writes if may_be_a_checkpoint(version.path))
        return hosts & {"", *self.hosts[:1]} or hosts

    def leaders(self, versions: Sequence[Version]) -> list[Version]:
        """Those of some writes that the leading host did; all of them where it did none."""
        return [version for version in versions if version.host in self.leading] or list(versions)

    def newest_durable(self, attempt: int) -> Upload | None:
        """The newest state, by this attempt or earlier ones, that was in S3 when the instance went."""
        uploads = [file.upload for file in self.checkpoints_at_kill(attempt) if file.upload is not None]
        own = [upload for upload in uploads if upload.version.host in self.leading]
        return max(own or uploads, key=lambda upload: upload.content_at, default=None)

    def checkpoints_were_current(self, attempt: int) -> bool:
        """Whether what was in S3 at the kill is as new as the script's own habit of saving can make it."""
        newest = self.newest_durable(attempt)
        if newest is None or newest.version.attempt != attempt:
            return not self.checkpoint_was_due(attempt)
        if any(version is newest.version for version in self.saves_in_reaction(attempt)):
            return True
        # A file that changes too often ever to settle goes up as it is, now and then: that is its habit.
        goings = [newest.version.started_at, *(upload.started_at for upload in newest.version.uploads)]
        cadence = self.cadence_seconds(attempt, newest.version.host) or 0.0
        habit = max([cadence, *(after - before for before, after in pairwise(goings))])
        transfer = (newest.finished_at or newest.started_at) - newest.started_at
        lasted = newest.version.done_at - newest.version.started_at if newest.is_whole else 0.0
        age = self.gone_at(attempt) - newest.content_at
        if age <= 1.5 * habit + lasted + transfer + 2 * self.options.detection_seconds:
            return True
        return newest.is_whole and self._trained_no_more(attempt, newest.version.done_at)

    def checkpoint_was_due(self, attempt: int) -> bool:
        """Whether the attempt lived long enough for a first checkpoint to reach S3, as other attempts and uninterrupted
        runs show. One that comes only at the very end, or never, was always due; but not before any progress was made,
        where others logged some."""
        began = self.began_at(attempt)
        if began is None or (self.progress is not None and self.walk(attempt) is None):
            return False
        lived = self.gone_at(attempt) - began
        known = [first for run in self.attempts if run != attempt and (first := self._first_checkpoint(run))]
        for baseline in self.baselines:
            known += [first for run in baseline.attempts if (first := baseline._first_checkpoint(run))]
        if not known:
            return True
        if self._had_come_no_further(attempt, [first.progress for first in known if first.progress is not None]):
            return False
        return min(first.delay for first in known) < lived - max(2 * self.options.detection_seconds, 0.1 * lived)

    def _had_come_no_further(self, attempt: int, others: Sequence[float]) -> bool:
        """Whether the attempt went at a progress at which no other had a checkpoint yet: a slower machine takes longer
        to come to it."""
        walk = self.walk(attempt)
        if self.progress is None or walk is None or not others:
            return False
        return walk.last.value <= min(others) + self.progress.stride

    def _first_checkpoint(self, attempt: int) -> _FirstCheckpoint | None:
        """When a first checkpoint was in S3; None where none was, or training had ended by then."""
        began = self.began_at(attempt)
        durable = [version.durable_at for version in self._checkpoint_writes(attempt) if version.durable_at is not None]
        if began is None or not durable:
            return None
        first = min(durable)
        starts = min(version.started_at for version in self._checkpoint_writes(attempt))
        walk = self.walk(attempt)
        if walk is not None:  # the last line before a save may be read after the save was noticed
            trained_on = walk.last.at > starts + self.options.detection_seconds
        else:
            trained_on = self.gone_at(attempt) - starts > 0.2 * (starts - began)
        if not trained_on:
            return None
        reading = walk.at(first) if walk is not None else None
        return _FirstCheckpoint(first - began, reading.value if reading is not None else None)
