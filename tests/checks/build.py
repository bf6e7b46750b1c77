"""Hand-made timelines in a few lines: a script that trains in virtual time, an uploader, and a reclaim.

run = Run(interrupt="step=57", profile="sudden")
with run.attempt() as a:
    train(a, 1, 58, save_every=10)
    a.trigger()
    a.kill()
with run.attempt() as a:            # restored from what had reached S3 by then
    train(a, 51, 101, save_every=10)
    a.exit(0)
verdict = judge(run.timeline())
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from simulator.checks import Finding
from simulator.checks.evidence import Evidence
from simulator.core.metrics import DEFAULT_METRICS, MetricReader
from simulator.core.plan import PROFILES
from simulator.core.timeline import Event, Kind, Timeline

Files = dict[str, dict[str, Any]]

SCRIPT_AS_PID_1 = [{"pid": 1, "ppid": 0, "command": "python train.py", "catches_sigterm": True}]
NO_HANDLER = [{"pid": 1, "ppid": 0, "command": "python train.py"}]
BASH_DRIVER = [
    {"pid": 1, "ppid": 0, "command": "bash -c /opt/ml/input/data/sm_drivers/sm_train.sh"},
    {"pid": 12, "ppid": 1, "command": "bash /opt/ml/input/data/sm_drivers/sm_train.sh"},
    {"pid": 20, "ppid": 12, "command": "python train.py", "catches_sigterm": True},
]


def process(pid: int, ppid: int, command: str, **bits: bool) -> dict[str, Any]:
    """A process of a PROCESSES event."""
    return {"pid": pid, "ppid": ppid, "command": command, **bits}


class Run:
    """A run's timeline as it grows."""

    def __init__(self, *interrupts: str, interrupt: str = "", profile: str = "sudden") -> None:
        self.now = 0.0
        self.events: list[Event] = []
        self.s3: Files = {}
        self.number = 0
        self.profile = PROFILES[profile]
        texts = list(interrupts) or ([interrupt] if interrupt else [])
        self.add(Kind.RUN_STARTED, job="job", interruptions=texts, profile=asdict(self.profile), seed=0)

    def add(self, kind: Kind, attempt: int = 0, at: float | None = None, **data: Any) -> None:
        """Record an event, now unless told otherwise."""
        self.events.append(Event(self.now if at is None else at, kind, attempt, data))

    @contextmanager
    def attempt(self, restored: Files | None = None) -> Iterator[Attempt]:
        """The next attempt; the job ends with it when its process ended it."""
        self.number += 1
        attempt = Attempt(self, self.number)
        attempt.begin(self.s3 if restored is None else restored)
        yield attempt
        self.now += 1

    def status(self, status: str) -> None:
        """Record a SecondaryStatus."""
        self.add(Kind.SECONDARY_STATUS, status=status)

    def timeline(self) -> Timeline:
        """What was recorded, in order of time."""
        return Timeline(sorted(self.events, key=lambda event: event.at))

    def evidence(self, *baselines: Run) -> Evidence:
        """What was recorded, as rules read it."""
        return Evidence(self.timeline(), None, [baseline.evidence() for baseline in baselines])


@dataclass
class Attempt:
    """One attempt as it grows; time passes only in `wait` and `train`."""

    run: Run
    number: int
    model: Files = field(default_factory=lambda: {"model.keras": {"bytes": 100, "digest": "m"}})
    model_when_reclaimed: Files = field(default_factory=dict)
    outside: list[tuple[str, int]] = field(default_factory=list)
    tail: Sequence[str] = ()
    about: Sequence[str] = ()
    _uploads: list[tuple[float, float, str, int, str]] = field(default_factory=list)
    _reader: MetricReader = field(default_factory=lambda: MetricReader(DEFAULT_METRICS))
    _saves: int = 0

    def begin(self, restored: Files) -> None:
        """Restore and start the process."""
        self.add(Kind.ATTEMPT_STARTED, host="algo-1")
        for status in ("Starting", "Downloading"):
            self.add(Kind.SECONDARY_STATUS, status=status)
        self.add(Kind.MANIFEST, when="before-restore", files=dict(self.run.s3))
        self.add(Kind.RESTORE_STARTED, objects=len(restored), bytes=0)
        self.add(Kind.MANIFEST, when="restored", files=dict(restored))
        self.wait(1)
        self.add(Kind.PROCESS_STARTED, identity="container")
        self.add(Kind.SECONDARY_STATUS, status="Training")
        self.wait(1)

    def add(self, kind: Kind, at: float | None = None, **data: Any) -> None:
        """Record an event of this attempt."""
        self.run.add(kind, self.number, at, **data)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.run.now += seconds

    def log(self, line: str) -> None:
        """A log line, with the numbers that the default metrics read from it."""
        for reading in self._reader.read(line):
            self.add(Kind.METRIC, name=reading.name, value=reading.value, line=line)

    def save(self, path: str, size: int = 1000, write: float = 0.1, upload: float = 0.3, settles: bool = True) -> str:
        """A write begins now and takes `write` seconds, in which the script waits; the upload takes `upload` more.
        Returns the digest of what was written."""
        self._saves += 1
        digest = f"{path}@{self.number}.{self._saves}"
        began = self.run.now
        self.add(Kind.FILE_CHANGED, path=path, bytes=size)
        self.wait(write)
        if settles:
            self.add(Kind.FILE_SETTLED, path=path, bytes=size)
        self._uploads.append((max(began, self.run.now), self.run.now + upload, path, size, digest))
        return digest

    def trigger(self) -> None:
        """The plan's trigger comes, and the notice with it where the profile gives one."""
        self.add(Kind.TRIGGER_FIRED, interruption=self.number)
        if self.run.profile.warning_seconds is not None:
            self.add(Kind.NOTICE_GIVEN, scheduled_at=self.run.now)

    def sigterm(self, processes: Sequence[Mapping[str, Any]] = (), log_tail: Sequence[str] = ()) -> None:
        """SIGTERM reaches the entrypoint."""
        self.add(Kind.PROCESSES, when="before-sigterm", processes=list(processes))
        self.add(Kind.SIGNAL_SENT, signal="SIGTERM", scheduled_at=self.run.now, delivered=True, log_tail=list(log_tail))

    def look(self, *processes: Mapping[str, Any]) -> None:
        """Who is still there after SIGTERM."""
        self.add(Kind.PROCESSES, when="after-sigterm", looked_at=self.run.now, processes=list(processes))

    def kill(self) -> None:
        """The instance goes now, with SIGKILL."""
        self.add(Kind.KILLED, scheduled_at=self.run.now, observed=True)
        self.add(Kind.PROCESS_EXITED, exit_code=137, after_sigterm=False, **self._said())
        self._reclaimed()

    def exit_after_sigterm(self, code: int = 0, flush: float = 0.0) -> None:
        """The process ends by itself in the grace; uploads have `flush` seconds more."""
        self.add(Kind.PROCESS_EXITED, exit_code=code, after_sigterm=True, **self._said())
        self.wait(flush)
        self._reclaimed()

    def exit(self, code: int = 0) -> None:
        """The process ends by itself, and the job with it."""
        self.add(Kind.PROCESS_EXITED, exit_code=code, after_sigterm=False, **self._said())
        self.wait(10)
        self._transfer(self.run.now)
        self.add(Kind.MANIFEST, when="end", files=dict(self.run.s3))
        self._look_around(self.model)
        self.add(Kind.ATTEMPT_ENDED, outcome="failed" if code else "completed", exit_code=code)
        self.add(Kind.INSTANCE_WIPED, left=[])
        self.run.status("Failed" if code else "Completed")

    def lost_while_downloading(self) -> None:
        """The instance goes before the process starts: takes back what `begin` did of that."""
        self.run.events = [
            event
            for event in self.run.events
            if not (event.attempt == self.number and event.kind in (Kind.PROCESS_STARTED,))
            and not (event.attempt == self.number and event.data.get("when") == "restored")
        ]
        self.trigger()
        self.add(Kind.KILLED, scheduled_at=self.run.now, observed=True, process=False)
        self._reclaimed()

    def _said(self) -> dict[str, list[str]]:
        return {"log_tail": list(self.tail), "log_about_checkpoints": list(self.about)}

    def _reclaimed(self) -> None:
        self._transfer(self.run.now)
        self.add(Kind.MANIFEST, when="kill", files=dict(self.run.s3))
        self._look_around(self.model_when_reclaimed)
        self.add(Kind.SECONDARY_STATUS, status="Interrupted")
        self.add(Kind.ATTEMPT_ENDED, outcome="reclaimed")
        self.add(Kind.INSTANCE_WIPED, left=[])

    def _look_around(self, model: Files) -> None:
        self.add(Kind.MODEL_FILES, files=model)
        self.add(Kind.WRITTEN_PATHS, paths=[{"path": path, "bytes": size} for path, size in self.outside])

    def _transfer(self, until: float) -> None:
        for begins, ends, path, size, digest in self._uploads:
            if begins <= until:
                self.add(Kind.UPLOAD_STARTED, begins, path=path, bytes=size)
            if ends <= until:
                self.add(Kind.UPLOAD_FINISHED, ends, path=path, bytes=size, seconds=ends - begins, digest=digest)
                self.run.s3 = {**self.run.s3, path: {"bytes": size, "digest": digest}}
            else:
                self.add(Kind.UPLOAD_ABANDONED, path=path, bytes=size)


def train(
    attempt: Attempt,
    first: int,
    stop: int,
    *,
    save_every: int = 0,
    name: str = "ckpt-{}.npz",
    log_every: int = 1,
    seconds: float = 1.0,
    size: int = 1000,
    upload: float = 0.3,
    write: float = 0.1,
    line: Callable[[int], str] = lambda step: f"step={step} loss={1 / (step + 1):.6f}",
) -> None:
    """Steps `first` up to, not including, `stop`: each takes its time, is logged, and perhaps saved."""
    for step in range(first, stop):
        attempt.wait(seconds)
        if step % log_every == 0:
            attempt.log(line(step))
        if save_every and step % save_every == 0:
            attempt.save(name.format(step), size, write, upload)


def interrupted(
    resume_at: int,
    *,
    kill_at: int = 58,
    stop: int = 101,
    profile: str = "sudden",
    before: Callable[[Attempt], None] = lambda attempt: None,
    **style: Any,
) -> Run:
    """The usual story: steps from 1, a kill before `kill_at`, a second attempt from `resume_at` to the end. `before`
    happens at the start of the second attempt."""
    run = Run(interrupt=f"step={kill_at - 1}", profile=profile)
    with run.attempt() as attempt:
        train(attempt, 1, kill_at, **style)
        attempt.trigger()
        attempt.wait(0.5)
        attempt.kill()
    with run.attempt() as attempt:
        before(attempt)
        train(attempt, resume_at, stop, **style)
        attempt.exit()
    return run


def uninterrupted(stop: int = 101, **style: Any) -> Run:
    """The baseline of `interrupted`."""
    run = Run()
    with run.attempt() as attempt:
        train(attempt, 1, stop, **style)
        attempt.exit()
    return run


def only(findings: list[Finding]) -> Finding:
    """The one finding that there must be."""
    assert len(findings) == 1, [finding.message for finding in findings]
    return findings[0]
