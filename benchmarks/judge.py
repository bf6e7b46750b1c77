"""How long the verdict takes alone: a timeline of 100,000 events, as it is judged, and as it is read back before.

Seconds of the processor, in one thread: what else the machine does at the time does not count.

The run is a generated one: a script that logs and saves for long, is interrupted once, and resumes; its two
uninterrupted runs are as long again and are judged against it in the second row.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from statistics import median
from typing import Any

from simulator.checks.file_names import family, is_named_as_state, is_temporary, may_be_a_checkpoint, numbers
from simulator.core.plan import PROFILES
from simulator.core.timeline import Event, Kind, Timeline, from_jsonl
from simulator.verdict import Answer, Baseline, judge

EVENTS = 100_000
ROUNDS = 5
BOUND_SECONDS = 1.0
SAVE_EVERY = 10
_EVENTS_OF_TEN_STEPS = 2 * SAVE_EVERY + 4  # step and loss of each, and a checkpoint's write and upload


def timeline(events: int, interrupted: bool) -> Timeline:
    """About so many events of one job: interrupted in the middle, and resumed from the newest checkpoint, or not."""
    steps = events * SAVE_EVERY // _EVENTS_OF_TEN_STEPS
    story = _Story(interrupted)
    if interrupted:
        middle = steps // 2 // SAVE_EVERY * SAVE_EVERY + 5
        story.attempt(1, 1, middle, reclaimed=True)
        story.attempt(2, middle - 4, steps, reclaimed=False)
    else:
        story.attempt(1, 1, steps, reclaimed=False)
    return Timeline(story.events)


class _Story:
    def __init__(self, interrupted: bool) -> None:
        self.events: list[Event] = []
        self._now = 0.0
        self._s3: dict[str, dict[str, Any]] = {}
        profile = asdict(PROFILES["sudden"])
        self._add(Kind.RUN_STARTED, 0, job="job", interruptions=["1s"] if interrupted else [], profile=profile)

    def _add(self, kind: Kind, attempt: int, **data: Any) -> None:
        self._now += 0.01
        self.events.append(Event(self._now, kind, attempt, data))

    def attempt(self, number: int, first: int, last: int, reclaimed: bool) -> None:
        """Steps `first` to `last`, each logged, every tenth saved."""
        self._add(Kind.ATTEMPT_STARTED, number, host="algo-1")
        self._add(Kind.MANIFEST, number, when="before-restore", files=dict(self._s3))
        self._add(Kind.MANIFEST, number, when="restored", files=dict(self._s3))
        self._add(Kind.PROCESS_STARTED, number, identity="pid 1")
        self._add(Kind.SECONDARY_STATUS, number, status="Training")
        for step in range(first, last + 1):
            self._step(number, step)
        if reclaimed:
            self._add(Kind.TRIGGER_FIRED, number, interruption=number)
            self._add(Kind.KILLED, number, scheduled_at=self._now, observed=True)
        self._add(Kind.PROCESS_EXITED, number, exit_code=137 if reclaimed else 0, log_tail=[])
        self._add(Kind.MANIFEST, number, when="kill" if reclaimed else "end", files=dict(self._s3))
        model = {} if reclaimed else {"model.npz": {"bytes": 5000, "digest": "m"}}
        self._add(Kind.MODEL_FILES, number, files=model)
        self._add(Kind.WRITTEN_PATHS, number, paths=[])
        self._add(Kind.SECONDARY_STATUS, number, status="Interrupted" if reclaimed else "Completed")
        self._add(Kind.ATTEMPT_ENDED, number, outcome="reclaimed" if reclaimed else "completed")
        self._add(Kind.INSTANCE_WIPED, number, left=[])

    def _step(self, number: int, step: int) -> None:
        line = f"step={step} loss={2 / (step + 1)!r} lr=0.001"
        self._add(Kind.METRIC, number, name="step", value=float(step), line=line)
        self._add(Kind.METRIC, number, name="loss", value=2 / (step + 1), line=line)
        if step % SAVE_EVERY == 0:
            path, digest = f"checkpoint-{step:08d}.npz", f"{step:064x}"
            for kind in (Kind.FILE_CHANGED, Kind.FILE_SETTLED, Kind.UPLOAD_STARTED):
                self._add(kind, number, path=path, bytes=10_000)
            self._add(Kind.UPLOAD_FINISHED, number, path=path, bytes=10_000, seconds=0.01, digest=digest)
            self._s3[path] = {"bytes": 10_000, "digest": digest}


def measure() -> dict[str, float]:
    """Seconds by what was judged, each the median of the rounds. Raises AssertionError for a verdict that is wrong."""
    run = timeline(EVENTS, interrupted=True)
    alone = timeline(EVENTS, interrupted=False)
    lines = [event.to_json() + "\n" for event in run]
    judged, read, compared = [], [], []
    for _ in range(ROUNDS):
        for remembered in (is_temporary, may_be_a_checkpoint, is_named_as_state, family, numbers):
            remembered.cache_clear()
        began = time.process_time()
        verdict = judge(run)
        judged.append(time.process_time() - began)
        assert verdict.verdict is Answer.SURVIVED, verdict.reason
        began = time.process_time()
        from_jsonl(lines)
        read.append(time.process_time() - began)
        began = time.process_time()
        verdict = judge(run, baseline=Baseline([alone, alone]))
        compared.append(time.process_time() - began)
        assert verdict.tier == 1, verdict.not_proved
    return {
        "events": float(len(run)),
        "judged": median(judged),
        "read back": median(read),
        "judged against two uninterrupted runs": median(compared),
    }


def rows(figures: Mapping[str, float]) -> list[str]:
    """The figures as rows of a Markdown table."""
    named = {
        "judged": f"{figures['events']:,.0f} events, judged",
        "read back": "read back from timeline.jsonl",
        "judged against two uninterrupted runs": "judged against two uninterrupted runs as long",
    }
    return [
        "| timeline | processor seconds | ÷ the bound of 1 s |",
        "| --- | ---: | ---: |",
        *(f"| {text} | {figures[key]:.2f} | {figures[key] / BOUND_SECONDS:.2f} |" for key, text in named.items()),
    ]


if __name__ == "__main__":
    print("\n".join(rows(measure())))
