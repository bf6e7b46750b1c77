"""A job under a plan, from the first Starting to the last status, on a fake instance and an S3 in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

import pytest

from simulator.core.job import CheckpointConfig, StoppingCondition, TrainingJob
from simulator.core.metrics import DEFAULT_METRICS
from simulator.core.plan import PROFILES, ExitAfterSigterm, Plan, Profile, parse_when
from simulator.core.timeline import ORDERED_KINDS, Kind, Timeline
from simulator.engine.clock import SystemClock
from simulator.engine.equipment import EngineOptions
from simulator.engine.job_run import JobRun
from simulator.engine.recorder import Recorder
from tests.checkpoints.memory_store import MemoryStore
from tests.engine.fakes import Container, FakeRuntime, Script

QUICK = Profile("two-minute", 0.05, True, 0.3, "a test")
STEPS = 40


def good_trainer(container: Container, waits_at: Mapping[int, int] = MappingProxyType({1: 15})) -> int:
    """Saves every ten steps and on SIGTERM, resumes, leaves a model. `waits_at`: attempt → the step at which it waits
    for its signal."""
    step = container.saved_step
    while step < STEPS:
        step += 1
        container.say(f"step={step} loss={1 / step}")
        if step % 10 == 0:
            container.save(step)
        if step == waits_at.get(container.attempt):
            container.until_signalled()
        if container.killed.is_set():
            return 137
        if container.terminating.is_set():
            container.save(step)
            return 143
    (container.model / "model.bin").write_bytes(b"weights")
    return 0


def run(
    tmp_path: Path,
    script: Script,
    *interruptions: str,
    profile: Profile = QUICK,
    store: MemoryStore | None = None,
    stopping: StoppingCondition | None = None,
    exit_after_sigterm: ExitAfterSigterm = ExitAfterSigterm.INTERRUPTION,
) -> Timeline:
    clock = SystemClock()
    job = TrainingJob(
        "a-job",
        CheckpointConfig("s3://bucket/prefix"),
        MetricDefinitions=DEFAULT_METRICS,
        StoppingCondition=stopping or StoppingCondition(),
    )
    plan = Plan([parse_when(text) for text in interruptions], profile, exit_after_sigterm=exit_after_sigterm)
    return JobRun(
        job, plan, FakeRuntime(script), store or MemoryStore(), Recorder(clock), clock, tmp_path, "run", EngineOptions()
    ).run()


def statuses(timeline: Timeline) -> list[str]:
    return [event.data["status"] for event in timeline.of(Kind.SECONDARY_STATUS)]


def test_an_interrupted_job_goes_through_the_documented_states(tmp_path: Path) -> None:
    timeline = run(tmp_path, good_trainer, "step=15")
    assert statuses(timeline) == [
        *("Starting", "Downloading", "Training", "Interrupted"),
        *("Starting", "Downloading", "Training", "Uploading", "Completed"),
    ]


def test_the_second_attempt_begins_with_what_the_first_had_in_s3(tmp_path: Path) -> None:
    timeline = run(tmp_path, good_trainer, "step=15")
    at_kill = next(e.data["files"] for e in timeline.of(Kind.MANIFEST, attempt=1) if e.data["when"] == "kill")
    restored = next(e.data["files"] for e in timeline.of(Kind.MANIFEST, attempt=2) if e.data["when"] == "restored")
    assert restored == at_kill
    assert list(restored) == ["state"]
    first = next(e for e in timeline.of(Kind.METRIC, attempt=2) if e.data["name"] == "step")
    assert first.data["value"] == 16


def test_notice_sigterm_and_their_schedule_are_recorded(tmp_path: Path) -> None:
    timeline = run(tmp_path, good_trainer, "step=15")
    fired, notice, sigterm = (
        timeline.of(kind)[0] for kind in (Kind.TRIGGER_FIRED, Kind.NOTICE_GIVEN, Kind.SIGNAL_SENT)
    )
    assert notice.data["scheduled_at"] == fired.data["observed_at"]
    assert sigterm.data["delivered"] is True
    assert sigterm.data["scheduled_at"] == pytest.approx(notice.data["scheduled_at"] + 0.05)
    assert sigterm.at >= sigterm.data["scheduled_at"]


def test_a_script_that_ignores_sigterm_is_killed_when_its_grace_ends(tmp_path: Path) -> None:
    def stubborn(container: Container) -> int:
        if container.attempt > 1:
            return 0
        container.say("step=1")
        container.killed.wait(20)
        return 0

    timeline = run(tmp_path, stubborn, "step=1")
    killed = timeline.of(Kind.KILLED)[0]
    assert killed.data["observed"] is True
    assert killed.data["scheduled_at"] == pytest.approx(timeline.of(Kind.SIGNAL_SENT)[0].data["scheduled_at"] + 0.3)
    assert timeline.of(Kind.PROCESS_EXITED)[0].data["exit_code"] == 137


def test_an_exit_with_zero_during_the_warning_completes_the_job(tmp_path: Path) -> None:
    def leaves_early(container: Container) -> int:
        container.say("step=1")
        notice = container.checkpoints.parent / "config" / "spot-instance-action.json"
        while not notice.exists():
            container.killed.wait(0.002)
        assert json.loads(notice.read_text())["action"] == "terminate"
        return 0

    timeline = run(tmp_path, leaves_early, "step=1", profile=Profile("two-minute", 30, True, 30, "a test"))
    assert statuses(timeline)[-1] == "Completed"
    assert timeline.of(Kind.SIGNAL_SENT) == []


def test_a_failure_before_any_signal_fails_the_job_with_its_reason(tmp_path: Path) -> None:
    def fails(container: Container) -> int:
        (container.model.parent / "output" / "failure").write_text("x" * 5000)
        return 3

    timeline = run(tmp_path, fails, "step=1")
    assert statuses(timeline)[-1] == "Failed"
    assert timeline.of(Kind.ATTEMPT_ENDED)[0].data["failure_reason"] == "x" * 1024


def test_the_sudden_profile_kills_at_once_and_gives_no_notice(tmp_path: Path) -> None:
    timeline = run(tmp_path, good_trainer, "step=15", profile=PROFILES["sudden"])
    assert timeline.of(Kind.NOTICE_GIVEN, Kind.SIGNAL_SENT) == []
    assert timeline.of(Kind.KILLED)[0].data["observed"] is True
    assert statuses(timeline)[-1] == "Completed"


def test_a_download_can_be_interrupted(tmp_path: Path) -> None:
    timeline = run(tmp_path, good_trainer, "step=15", "download")
    assert [event.data["outcome"] for event in timeline.of(Kind.ATTEMPT_ENDED)] == [
        "reclaimed",
        "reclaimed",
        "completed",
    ]
    assert timeline.of(Kind.PROCESS_STARTED, attempt=2) == []
    assert statuses(timeline)[4:7] == ["Starting", "Downloading", "Interrupted"]


def test_an_instance_can_go_between_its_restore_and_its_script(tmp_path: Path) -> None:
    timeline = run(tmp_path, good_trainer, "step=15", "restored")
    assert [event.data["outcome"] for event in timeline.of(Kind.ATTEMPT_ENDED)] == [
        "reclaimed",
        "reclaimed",
        "completed",
    ]
    assert timeline.of(Kind.RESTORE_FINISHED, attempt=2) and not timeline.of(Kind.PROCESS_STARTED, attempt=2)
    assert timeline.of(Kind.KILLED, attempt=2)[0].data["process"] is False


def test_a_trigger_that_never_comes_interrupts_nothing(tmp_path: Path) -> None:
    timeline = run(tmp_path, lambda container: 0, "step=15")
    assert timeline.of(Kind.TRIGGER_FIRED, Kind.KILLED) == []
    assert statuses(timeline)[-1] == "Completed"


def test_max_wait_ends_a_job_that_gets_no_instance(tmp_path: Path) -> None:
    clock = SystemClock()
    job = TrainingJob(
        "a-job",
        CheckpointConfig("s3://bucket/prefix"),
        MetricDefinitions=DEFAULT_METRICS,
        StoppingCondition=StoppingCondition(0.6, 0.6),
    )
    plan = Plan([parse_when("step=15")], PROFILES["sudden"], restart_delay_seconds=30)
    timeline = JobRun(
        job, plan, FakeRuntime(good_trainer), MemoryStore(), Recorder(clock), clock, tmp_path, "run", EngineOptions()
    ).run()
    assert statuses(timeline)[-3:] == ["Interrupted", "Stopping", "MaxWaitTimeExceeded"]


def test_max_runtime_stops_the_job(tmp_path: Path) -> None:
    def endless(container: Container) -> int:
        container.until_signalled()
        return 0

    timeline = run(tmp_path, endless, "step=15", stopping=StoppingCondition(0.2))
    assert statuses(timeline)[-2:] == ["Stopping", "MaxRuntimeExceeded"]


def test_nothing_of_an_instance_outlives_it(tmp_path: Path) -> None:
    timeline = run(tmp_path, good_trainer, "step=15")
    assert list(tmp_path.iterdir()) == []
    assert [event.data["left"] for event in timeline.of(Kind.INSTANCE_WIPED)] == [[], []]


def test_the_same_plan_twice_gives_the_same_events_in_the_same_order(tmp_path: Path) -> None:
    def order(folder: str) -> list[tuple[Kind, int]]:
        (tmp_path / folder).mkdir()
        trainer = partial(good_trainer, waits_at={1: 15, 2: 20})
        timeline = run(tmp_path / folder, trainer, "step=15", "step=20")
        return [(event.kind, event.attempt) for event in timeline if event.kind in ORDERED_KINDS]

    assert order("first") == order("second")
