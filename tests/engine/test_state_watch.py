"""What the engine notes of checkpoints, models and sample ids before the instance is wiped."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from simulator.core.job import CheckpointConfig, TrainingJob
from simulator.core.metrics import DEFAULT_METRICS
from simulator.core.plan import Plan, Profile, parse_when
from simulator.core.samples import MOST_IDS
from simulator.core.timeline import Event, Kind, Timeline
from simulator.engine.clock import SystemClock
from simulator.engine.equipment import EngineOptions
from simulator.engine.job_run import JobRun
from simulator.engine.recorder import Recorder
from simulator.engine.samples import SampleRecorder
from simulator.engine.state_watch import StateWatch
from tests.checkpoints.memory_store import MemoryStore
from tests.engine.fakes import Container, FakeRuntime

QUICK = Profile("two-minute", 0.05, True, 0.3, "a test")


def trainer(container: Container) -> int:
    step = container.saved_step
    output = container.model.parent / "output" / "data"
    output.mkdir(parents=True, exist_ok=True)
    with (output / "sample-ids.jsonl").open("a") as told:
        while step < 30:
            step += 1
            container.say(f"step={step} loss={1 / step}")
            container.say(f"sample-ids epoch=0 step={step}: {2 * step} {2 * step + 1}")
            told.write(json.dumps({"epoch": 0, "step": step, "ids": [step]}) + "\n")
            told.flush()
            if step % 10 == 0:
                (container.checkpoints / "state.json").write_text(json.dumps({"step": step, "saved_at": time.time()}))
                container.save(step)
            if step == 15 and container.attempt == 1:
                container.until_signalled()
                return 143
    (container.model / "model.json").write_text(json.dumps({"weights": [1, 2], "date": time.time()}))
    return 0


def run(tmp_path: Path, read_states: bool) -> Timeline:
    clock = SystemClock()
    job = TrainingJob("a-job", CheckpointConfig("s3://bucket/prefix"), MetricDefinitions=DEFAULT_METRICS)
    options = replace(EngineOptions(), read_states=read_states)
    plan = Plan([parse_when("step=15")], QUICK)
    store, recorder = MemoryStore(), Recorder(clock)
    return JobRun(job, plan, FakeRuntime(trainer), store, recorder, clock, tmp_path, "run", options).run()


def test_the_model_and_the_last_checkpoint_are_noted_where_runs_are_compared(tmp_path: Path) -> None:
    timeline = run(tmp_path, read_states=True)
    ends = {event.data["path"]: event.data for event in timeline.of(Kind.STATE) if event.data["when"] == "end"}
    assert (ends["model.json"]["place"], ends["model.json"]["left_out"]) == ("model", ["date"])
    assert ends["state.json"]["tensors"]["step"]["value"] == 30
    assert {event.attempt for event in timeline.of(Kind.STATE) if event.data["when"] == "end"} == {2}


def test_nothing_is_read_where_runs_are_not_compared(tmp_path: Path) -> None:
    assert run(tmp_path, read_states=False).of(Kind.STATE) == []


def test_sample_ids_come_from_the_log_and_from_the_file_also_of_an_attempt_that_was_reclaimed(tmp_path: Path) -> None:
    told = run(tmp_path, read_states=False).of(Kind.SAMPLES)
    for source, ids in (("log", ["30", "31"]), ("sidecar", ["15"])):
        of_first = [event.data for event in told if event.attempt == 1 and event.data["source"] == source]
        assert [data["step"] for data in of_first] == list(range(1, 16))
        assert of_first[-1]["ids"] == ids


class Noted:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, kind: Kind, data: Mapping[str, Any]) -> None:
        self.events.append(Event(0.0, kind, 1, data))

    def until(self, count: int) -> list[Event]:
        deadline = time.monotonic() + 60
        while len(self.events) < count:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return self.events


def test_each_version_of_a_checkpoint_is_noted_once(tmp_path: Path) -> None:
    noted = Noted()
    watch = StateWatch(tmp_path, noted)
    for step in (1, 2):
        (tmp_path / "state.json").write_text(json.dumps({"step": step}))
        for _ in range(3):
            watch.settled("state.json")
        noted.until(step)
    watch.stop()
    assert [event.data["tensors"]["step"]["value"] for event in noted.events] == [1, 2]


def test_a_checkpoint_that_is_gone_by_then_is_not_known(tmp_path: Path) -> None:
    noted = Noted()
    watch = StateWatch(tmp_path, noted)
    watch.settled("gone.npz")
    (tmp_path / "there.json").write_text("{}")
    watch.settled("there.json")
    noted.until(1)
    watch.stop()
    watch.stop()
    assert [event.data["path"] for event in noted.events] == ["there.json"]


def test_too_many_sample_ids_are_said_once_and_no_more_are_kept() -> None:
    noted = Noted()
    samples = SampleRecorder(noted)
    batch = "sample-ids epoch=0 step=1: " + " ".join(["1"] * 20_000)
    for _ in range(MOST_IDS // 20_000 + 3):
        samples.take_line(batch)
    kinds = ["truncated" in event.data for event in noted.events]
    assert kinds == [False] * (MOST_IDS // 20_000) + [True]


def test_a_line_that_may_have_been_cut_ends_the_ledger() -> None:
    noted = Noted()
    SampleRecorder(noted).take_line("sample-ids epoch=0 step=1: " + "12345 " * 11_000)
    assert "truncated" in noted.events[0].data


def test_only_regular_files_are_read_for_sample_ids(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    os.mkfifo(tmp_path / "data" / "sample-ids.jsonl")
    (tmp_path / "data" / "sample-ids-1.jsonl").symlink_to("/dev/zero")
    noted = Noted()
    SampleRecorder(noted).take_sidecar(tmp_path)
    assert noted.events == []
