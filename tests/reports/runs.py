"""Finished runs of every kind, as folders on disk: what the reports for people have to tell of."""

from __future__ import annotations

import atexit
import json
import random
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

from simulator.core.errors import ExitCode
from simulator.core.plan import PROFILES, Plan, parse_when
from simulator.core.timeline import Event, Kind, Timeline
from simulator.explore.coverage import Explored, Smallest, Stop, tried_on
from simulator.explore.strip import Strip
from simulator.explore.trial import Outcome, Schedule, Search, TrialResult
from simulator.reports.folder import RunFolder
from simulator.verdict import Baseline, judge
from tests.explore.results import result as trial_result
from tests.reports.story import PROFILE, record, story, until

HOSTILE = "</script><script>alert(1)</script><img src=http://evil.example/x.png>&\"'`$x_{1}$\x1b[31m\u202e\x00\ud800"
"""What a script may print or name a file: markup, mathematics, a terminal's commands, half a character."""

GRACE = {
    "window_seconds": 10.0,
    "from": "notice",
    "segments": [
        {"name": "notice-seen", "started_at": 8.1, "seconds": 1.5},
        {"name": "step-finished", "started_at": 9.6, "seconds": 0.4},
        {"name": "save", "started_at": 10.0, "seconds": 2.0},
        {"name": "upload", "started_at": 12.0, "seconds": 1.4},
        {"name": "margin", "started_at": 13.4, "seconds": 4.7},
    ],
    "bytes": 1200,
    "upload_bytes_per_second": 857.0,
    "fits": {"bytes_per_second": 5e7, "bytes": 3.05e8},
    "sentence": "at 50 MB/s this fits checkpoints up to 305 MB",
}
SIGNALS = {
    "hops": [
        _hop := {
            "pid": 1,
            "ppid": 0,
            "command": "bash -c 'sh sm_train.sh'",
            "kind": "shell",
            "disposition": "default",
            "got": True,
            "swallowed": True,
            "pending": False,
            "acted_after_seconds": None,
            "ended_after_seconds": None,
        },
        {**_hop, "pid": 7, "ppid": 1, "command": "python driver.py", "got": False, "swallowed": False},
        {**_hop, "pid": 9, "ppid": 7, "command": "python train.py", "disposition": "caught", "got": None},
    ],
    "story": "SIGTERM reached pid 1, a shell that passes nothing on",
    "cut_by_launcher": False,
    "fix": "exec sh sm_train.sh",
}


def made(
    path: Path,
    events: Iterable[Event] | None = None,
    *,
    baselines: Iterable[Iterable[Event]] = (),
    logs: Mapping[int, bytes] | None = None,
    change: Callable[[dict[str, Any]], None] | None = None,
    **fields: Any,
) -> Path:
    """A run's folder, written as the simulator writes it. `change`: what report.json has besides."""
    timeline = Timeline(story() if events is None else events)
    runs = [Timeline(run) for run in baselines]
    folder = RunFolder.create(path)
    for event in timeline:
        folder.on_event(event)
    for attempt, content in (logs or {1: b"step=1\n", 2: b"step=41\n"}).items():
        for line in content.splitlines():
            folder.on_log(attempt, line)
    for number, run in enumerate(runs, 1):
        (path / f"baseline-{number}").mkdir()
        lines = "".join(event.to_json() + "\n" for event in run)
        (path / f"baseline-{number}" / "timeline.jsonl").write_text(lines)
    verdict = judge(timeline, baseline=Baseline(runs) if runs else None)
    report = folder.write_report(record(list(timeline), **{"verdict": verdict, **fields}))
    if change is not None:
        change(report)
        (path / "report.json").write_text(json.dumps(report))
    return path


def survived(path: Path) -> Path:
    """Interrupted once, resumed; loss logged, two uninterrupted runs, the grace and the signals followed."""

    def change(report: dict[str, Any]) -> None:
        report["attempts"][0] |= {"grace_budget": GRACE, "signal_path": SIGNALS}
        report["not_tried"] = ["an interruption while a checkpoint was being written"]

    return made(path, with_loss(story()), baselines=[uninterrupted(), uninterrupted()], change=change)


def failed(path: Path) -> Path:
    """Began again from step 1."""
    return made(path, restarted())


def ended_failed(path: Path) -> Path:
    """The script crashed in its second attempt."""
    return made(path, story("Failed"))


def nothing_interrupted(path: Path) -> Path:
    """It completed before the interruption came: nothing is proved."""
    return made(path, [event for event in story() if event.attempt == 0 or event.at > 33])


def cut_short(path: Path) -> Path:
    """Stopped by the user while it trained."""
    return made(
        path, until(9), partial="interrupted by the user", partial_exit_code=ExitCode.INTERRUPTED_BY_USER, logs={1: b""}
    )


def empty(path: Path) -> Path:
    """Cut short before its first attempt."""
    return made(path, [next(story())], partial="no S3", logs={7: b""})


def salvaged(path: Path) -> Path:
    """Its simulator was killed: no report.json."""
    made(path, until(20))
    (path / "report.json").unlink()
    return path


def without_metrics(path: Path) -> Path:
    """A script that logs nothing that can be read."""
    return made(path, [event for event in story() if event.kind is not Kind.METRIC])


def hostile(path: Path) -> Path:
    """Names and output that try to be markup, and a log that is binary."""
    named = {"ck-1.npz": HOSTILE, "step": "step", "loss": f"loss $x_{{1}}$ {HOSTILE}"}

    def renamed(event: Event) -> Event:
        data = dict(event.data)
        if data.get("path") in named:
            data["path"] = HOSTILE
        if data.get("name") in named:
            data["name"] = named[data["name"]]
        if "files" in data:
            data["files"] = {named.get(name, name): facts for name, facts in data["files"].items()}
        if event.kind is Kind.ATTEMPT_ENDED and event.attempt == 2:
            data["failure_reason"] = HOSTILE
        return Event(event.at, event.kind, event.attempt, data)

    def change(report: dict[str, Any]) -> None:
        report["job"]["TrainingJobName"] = report["reason"]["what"] = report["fidelity_lost"][0] = HOSTILE
        report["attempts"][0]["signal_path"] = {
            "hops": [{**_hop, "command": HOSTILE, "kind": HOSTILE}],
            "story": HOSTILE,
            "fix": HOSTILE,
            "cut_by_launcher": False,
        }
        report["attempts"][0]["grace_budget"] = {**GRACE, "sentence": HOSTILE}
        report["findings"] = [
            {
                "rule": "SPOT004",
                "name": "torn-checkpoint",
                "severity": severity,
                "attempt": attempt,
                "message": HOSTILE,
                "evidence": {"file": HOSTILE, HOSTILE: [HOSTILE]},
                "fix": f"first\n```\n{HOSTILE}",
            }
            for severity, attempt in (("error", 1), ("warning", 0))
        ]

    events = [renamed(event) for event in with_loss(story())]
    return made(path, events, logs={1: bytes(range(256)) * 9, 2: HOSTILE.encode("utf-8", "replace")}, change=change)


def many_attempts(path: Path) -> Path:
    """Fifty attempts."""
    return made(path, _long(50, steps=20, save_every=10), plan=_plan(49), logs={1: b"a line\n" * 900})


def many_readings(path: Path) -> Path:
    """Ten thousand readings of the loss, and a log of a megabyte."""
    log = b"step=1 loss=0.5 and more to say\n" * 40_000
    return made(path, _long(2, steps=5000, save_every=500), plan=_plan(1), logs={1: log})


def many_files(path: Path) -> Path:
    """A thousand checkpoint files."""
    return made(path, _long(2, steps=500, save_every=1), plan=_plan(1))


def searched(path: Path) -> Path:
    """A search over schedules that found failures; the run that decides is the one that was shrunk from them."""
    failed = {"outcome": Outcome.FAILED, "evidence": "attempt 2 died reading model.ckpt: EOFError"}
    singles = [
        trial_result(number, f"step={number * 2}", profile=("sudden", "two-minute")[number % 2])
        for number in range(1, 25)
    ]
    others = [
        trial_result(25, "save=2", **failed),
        trial_result(26, "save=2", "step=44", **failed),
        trial_result(27, "step=20", "step=40"),
        trial_result(28, "0.1s", outcome=Outcome.RESTARTED),
        trial_result(29, "step=999", outcome=Outcome.MISSED),
        trial_result(30, "step=30", outcome=Outcome.BROKEN, evidence="the disk is full"),
        trial_result(31, "step=10", "step=30", "step=50", outcome=Outcome.UNPROVED),
    ]
    return _searched(
        path, [*singles, *others], Search.SCHEDULES, Smallest(Schedule(("save=2",), "sudden"), **_SMALLEST)
    )


def searched_states(path: Path) -> Path:
    """A search over what S3 can hold: 2 of 214 states are not resumed from."""
    results = [trial_result(number, state=f"state-{number:03}", label=f"upload {number}") for number in range(1, 215)]
    for number in (77, 140):
        label = f"upload {number}: model.ckpt half-written"
        results[number - 1] = trial_result(
            number, state=f"state-{number:03}", label=label, outcome=Outcome.FAILED, rules=("SPOT017",)
        )
    smallest = Smallest(Schedule((), "sudden"), **{**_SMALLEST, "state": "state-077"})
    return _searched(path, results, Search.STATES, smallest)


def searched_faults(path: Path) -> Path:
    """A search over faults on the way that was stopped by the user; all survived until then."""
    faults = ("503 SlowDown", "timeout", "reset", "1 MB/s", "disk full")
    results = [
        trial_result(number, "step=40", label=name, faults={"kind": name}) for number, name in enumerate(faults, 1)
    ]
    undecided = "the fault does not pass, and the run ended as it may"
    results.append(trial_result(6, "step=40", label="AccessDenied", outcome=Outcome.UNDECIDED, evidence=undecided))
    facts = {"stopped": Stop.INTERRUPTED, "total": 40, "budget_seconds": 600.0}
    return _searched(path, results, Search.FAULTS, None, events=story(), **facts)


def searched_widely(path: Path) -> Path:
    """Four thousand schedules."""
    draw = random.Random(3)
    results = []
    for number in range(1, 4001):
        whens = [f"step={draw.randint(1, 60)}" for _ in range(draw.choice((1, 1, 1, 2, 2, 3)))]
        outcome = Outcome.FAILED if draw.random() < 0.02 else Outcome.SURVIVED
        results.append(trial_result(number, *whens, outcome=outcome, profile=draw.choice(list(PROFILES))))
    return _searched(path, results, Search.SCHEDULES, None)


KINDS: Mapping[str, Callable[[Path], Path]] = {
    make.__name__: make
    for make in (
        survived,
        failed,
        ended_failed,
        nothing_interrupted,
        cut_short,
        empty,
        salvaged,
        without_metrics,
        hostile,
        many_attempts,
        many_readings,
        many_files,
        searched,
        searched_states,
        searched_faults,
        searched_widely,
    )
}


@cache
def kept(kind: str) -> Path:
    """A run of that kind, made once a test session, for tests that only read it."""
    return KINDS[kind](_session() / kind)


@cache
def _session() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="spot-reports-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def with_loss(events: Iterable[Event]) -> Iterator[Event]:
    """The same run by a script that logs its loss on each step's line."""
    for event in events:
        yield event
        if event.kind is Kind.METRIC:
            loss = {**event.data, "name": "loss", "value": 1 / float(event.data["value"])}
            yield Event(event.at, event.kind, event.attempt, loss)


def uninterrupted() -> Iterator[Event]:
    """The same job left alone."""
    first = next(story())
    yield Event(0, first.kind, 0, {**first.data, "interruptions": []})
    yield Event(0, Kind.ATTEMPT_STARTED, 1, {"host": "algo-1"})
    for step in range(1, 61):
        line = f"step={step}"
        yield Event(0.1 + step * 0.2, Kind.METRIC, 1, {"name": "step", "value": float(step), "line": line})
        yield Event(0.1 + step * 0.2, Kind.METRIC, 1, {"name": "loss", "value": 1 / step, "line": line})
    yield Event(13, Kind.SECONDARY_STATUS, 0, {"status": "Completed", "message": ""})
    yield Event(13, Kind.RUN_FINISHED, 0, {"status": "Completed", "exit_code": 0})


_SMALLEST: Mapping[str, Any] = {
    "label": "save=2 (sudden)",
    "evidence": "attempt 2 died reading model.ckpt: EOFError",
    "rules": ("SPOT004",),
    "found_as": 26,
    "replay": "replay.json",
    "pytest": "spot_case.py",
}


def _searched(
    path: Path, results: Iterable[TrialResult], search: Search, smallest: Smallest | None, **facts: Any
) -> Path:
    """A search's folder: of the failed story, unless the search found none."""
    strip = Strip(Timeline(uninterrupted_with_saves()))
    tried = tried_on(strip, results)
    if search is Search.STATES:
        tried = tuple(replace(one, places=(one.result.trial.number / 214,)) for one in tried)
    search_facts = {
        "total": None,
        "stopped": Stop.EXHAUSTED,
        "seconds": 31.5,
        "jobs": 2,
        "backend": "loky",
        "start": "each attempt was forked from a zygote that had the script's imports",
        "notes": ["the notice was shortened to 1 s and the grace to 5 s"],
    }
    events = facts.pop("events", None) or restarted()
    found = Explored(
        search=search,
        seed=7,
        tried=tried,
        smallest=smallest,
        landmarks=strip.landmarks(),
        recorded_seconds=strip.seconds,
        **(search_facts | facts),
    )
    return made(path, events, explored=found)


def restarted() -> Iterator[Event]:
    """The story of a script that began again from step 1."""
    for event in story():
        yield _moved(event, -40) if event.attempt == 2 and event.kind is Kind.METRIC else event


def uninterrupted_with_saves() -> Iterator[Event]:
    """The job left alone, with a save every ten steps and an epoch every fifteen: what a search records."""
    yield Event(0, Kind.ATTEMPT_STARTED, 1, {"host": "algo-1"})
    yield Event(0.1, Kind.PROCESS_STARTED, 1, {"identity": "pid 7"})
    for step in range(1, 61):
        at, line = 0.1 + step * 0.2, f"step={step}"
        yield Event(at, Kind.METRIC, 1, {"name": "step", "value": float(step), "line": line})
        yield Event(at, Kind.METRIC, 1, {"name": "epoch", "value": float((step - 1) // 15), "line": line})
        if step % 10 == 0:
            facts = {"path": "model.ckpt", "bytes": 1200}
            yield Event(at, Kind.FILE_CHANGED, 1, facts)
            yield Event(at + 0.1, Kind.FILE_SETTLED, 1, facts)
            yield Event(at + 0.15, Kind.UPLOAD_FINISHED, 1, facts)
    yield Event(12.5, Kind.PROCESS_EXITED, 1, {"exit_code": 0})


def _moved(event: Event, by: float) -> Event:
    value = float(event.data["value"]) + by
    return Event(event.at, event.kind, event.attempt, {**event.data, "value": value, "line": f"step={value:.0f}"})


def _plan(interruptions: int) -> Plan:
    return Plan(tuple(parse_when(f"step={200 * n}") for n in range(1, interruptions + 1)), PROFILE)


def _long(attempts: int, steps: int, save_every: int) -> Iterator[Event]:
    """As many attempts, each taken away after its steps but the last; each goes on where the one before stopped."""
    texts = [trigger.text for trigger in _plan(attempts - 1).interruptions]
    head = next(story())
    yield Event(0, head.kind, 0, {**head.data, "interruptions": texts, "profile": asdict(PROFILE)})
    files: dict[str, dict[str, Any]] = {}
    for number in range(1, attempts + 1):
        at = number * 30.0
        yield Event(at, Kind.ATTEMPT_STARTED, number, {"host": "algo-1"})
        yield Event(at, Kind.SECONDARY_STATUS, number, {"status": "Starting", "message": ""})
        yield Event(at, Kind.SECONDARY_STATUS, number, {"status": "Downloading", "message": ""})
        yield Event(at + 1, Kind.MANIFEST, number, {"when": "restored", "files": dict(files)})
        yield Event(at + 1, Kind.SECONDARY_STATUS, number, {"status": "Training", "message": ""})
        yield Event(at + 1, Kind.PROCESS_STARTED, number, {"identity": "pid 7"})
        for step in range(steps):
            now, value = at + 1 + step * 20 / steps, (number - 1) * steps + step
            line = f"step={value} loss={1 / (value + 1)}"
            yield Event(now, Kind.METRIC, number, {"name": "step", "value": float(value), "line": line})
            yield Event(now, Kind.METRIC, number, {"name": "loss", "value": 1 / (value + 1), "line": line})
            if step % save_every == 0:
                path = f"checkpoints/deep/folder/with/a/long/name/checkpoint-{value:08}.safetensors"
                files[path] = {"bytes": 1_000_000, "digest": f"d{value}"}
                for kind in (Kind.FILE_CHANGED, Kind.FILE_SETTLED, Kind.UPLOAD_STARTED):
                    yield Event(now, kind, number, {"path": path, "bytes": 1_000_000})
                facts = {"path": path, "bytes": 1_000_000, "seconds": 0.1, "lag_seconds": 0.1, "digest": f"d{value}"}
                yield Event(now + 0.05, Kind.UPLOAD_FINISHED, number, facts)
        last = number == attempts
        if not last:
            yield Event(at + 22, Kind.TRIGGER_FIRED, number, {"interruption": number, "observed_at": at + 22})
            yield Event(at + 22, Kind.NOTICE_GIVEN, number, {"scheduled_at": at + 22, "terminate_at": at + 27})
            yield Event(at + 27, Kind.SIGNAL_SENT, number, {"signal": "SIGTERM", "delivered": True})
        yield Event(at + 28, Kind.PROCESS_EXITED, number, {"exit_code": 0, "after_sigterm": not last, "log_tail": []})
        yield Event(at + 28, Kind.MANIFEST, number, {"when": "end" if last else "kill", "files": dict(files)})
        outcome = {"outcome": "completed" if last else "reclaimed", "exit_code": 0, "failure_reason": ""}
        if not last:
            yield Event(at + 28, Kind.SECONDARY_STATUS, number, {"status": "Interrupted", "message": ""})
        else:
            yield Event(at + 28, Kind.MODEL_FILES, number, {"files": {"model": {"bytes": 3, "digest": "m"}}})
        yield Event(at + 28, Kind.ATTEMPT_ENDED, number, outcome)
        yield Event(at + 28, Kind.INSTANCE_WIPED, number, {"left": []})
    yield Event(at + 28, Kind.SECONDARY_STATUS, 0, {"status": "Completed", "message": ""})
    yield Event(at + 28, Kind.RUN_FINISHED, 0, {"status": "Completed", "exit_code": 0})
