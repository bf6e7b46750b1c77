"""Whole runs under faults, with a script that is a function and a moto that is real: each fault really comes, nothing
is told durable that is not, and the script hears nothing of it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.core.errors import EnvironmentFailure
from simulator.core.job import CheckpointConfig, TrainingJob
from simulator.core.metrics import DEFAULT_METRICS
from simulator.core.plan import Plan, parse_when, profile_named
from simulator.core.timeline import Kind, Timeline
from simulator.engine.clock import SystemClock
from simulator.engine.equipment import EngineOptions
from simulator.engine.job_run import JobRun
from simulator.engine.recorder import Recorder
from simulator.explore.fault_catalogue import BY_NAME
from simulator.explore.fault_verdict import judge_fault
from simulator.explore.faults import Faults
from simulator.explore.harm import Evidence, harmed
from simulator.explore.trial import Outcome, Schedule, Trial, TrialResult
from simulator.services.faulty_disk import DiskFault, DiskHarm, why_no_mounts
from simulator.services.s3 import S3Kind, S3Service, open_s3
from simulator.services.wire_faults import Harm, WireFault
from simulator.verdict import Verdict, judge
from tests.engine.fakes import Container, FakeRuntime

JOB = TrainingJob(
    TrainingJobName="job",
    CheckpointConfig=CheckpointConfig("s3://bucket/job/"),
    source_dir=None,
    MetricDefinitions=DEFAULT_METRICS,
)
SCHEDULE = Schedule(("step=6",), "sudden")
STEPS = 12


def trains_and_resumes(container: Container) -> int:
    """Saves every second step, and waits a little so that saves go up one by one."""
    for step in range(container.saved_step + 1, STEPS + 1):
        container.say(f"step={step} loss={1 / step:.6f}")
        if container.killed.wait(0.1):
            return 137
        try:
            if step % 2 == 0:
                container.save(step)
        except OSError:
            return 1
    (container.model / "weights").write_text("trained")
    return 0


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Service]:
    with open_s3(S3Kind.EMBEDDED) as service:
        yield service


def run(s3: S3Service, scratch: Path, faults: Faults) -> tuple[Verdict | EnvironmentFailure, Evidence, Timeline]:
    clock = SystemClock()
    run_id = secrets.token_hex(4)
    plan = Plan(tuple(map(parse_when, SCHEDULE.interruptions)), profile_named(SCHEDULE.profile, None, None))
    with harmed(s3, "bucket", f"job/{run_id}/", scratch, faults) as bench:
        recorder = Recorder(clock, [bench.on_event])
        ended: Verdict | EnvironmentFailure
        try:
            JobRun(
                job=JOB,
                plan=plan,
                runtime=FakeRuntime(trains_and_resumes),
                store=bench.store,
                recorder=recorder,
                clock=clock,
                scratch=bench.scratch,
                run_id=run_id,
                options=faults.options(EngineOptions()),
            ).run()
            ended = judge(recorder.timeline)
        except EnvironmentFailure as failure:
            ended = failure
        return ended, bench.evidence(), recorder.timeline


def judged(s3: S3Service, scratch: Path, faults: Faults) -> tuple[TrialResult, Evidence, Timeline]:
    def control() -> TrialResult:
        pytest.fail("the script was blamed under the fault")

    ended, evidence, timeline = run(s3, scratch, faults)
    trial = Trial(1, SCHEDULE, str(faults), faults=faults.as_dict())
    return judge_fault(trial, ended, evidence, 0.0, control), evidence, timeline


def error(operation: str, first: int, count: int | None, status: int, code: str) -> WireFault:
    return WireFault(Harm.ERROR, (operation,), first, count, status, code)


@pytest.mark.parametrize(
    "fault",
    [
        error("PutObject", 2, 4, 503, "SlowDown"),
        error("ListObjectsV2", 2, 4, 500, "InternalError"),
        WireFault(Harm.RESET, ("PutObject",), 2, 2),
        WireFault(Harm.ANSWER_LOST, ("PutObject",), 1, 2),
        WireFault(Harm.ANSWER_LOST, ("CompleteMultipartUpload",), 1, 2),
        WireFault(Harm.ERROR_IN_200, ("CompleteMultipartUpload",), 1, 2, code="InternalError"),
        WireFault(Harm.TRUNCATE, ("GetObject",), 1, 2),
        WireFault(Harm.BANDWIDTH, count=None, bytes_per_second=1e6),
    ],
    ids=lambda fault: f"{fault.harm}-{fault.operations}",
)
def test_what_passes_is_outlasted_without_a_word_on_the_script(s3: S3Service, tmp_path: Path, fault: WireFault) -> None:
    result, evidence, timeline = judged(s3, tmp_path, Faults(("a",), (fault,)))
    assert result.outcome is Outcome.SURVIVED, result.evidence
    assert result.rules == ()
    assert evidence.times[0] == (fault.count or evidence.times[0])
    assert evidence.claims > len(timeline.of(Kind.UPLOAD_FINISHED))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (error("PutObject", 3, None, 403, "AccessDenied"), "AccessDenied"),
        (error("ListObjectsV2", 3, None, 403, "AccessDenied"), "AccessDenied"),
        (WireFault(Harm.RESTART, ("PutObject",), 3), "NoSuchBucket"),
        (WireFault(Harm.RESTART, ("GetObject",), 1), "NoSuchBucket"),
    ],
    ids=lambda value: str(value),
)
def test_where_no_run_can_go_on_it_ends_for_the_environment_and_leaves_nothing(
    tmp_path: Path, fault: WireFault, said: str
) -> None:
    with open_s3(S3Kind.EMBEDDED) as own:
        result, evidence, _ = judged(own, tmp_path, Faults(("a",), (fault,), passes=False))
    assert result.outcome is Outcome.UNDECIDED, result.evidence
    assert said in result.evidence
    assert evidence.times[0] >= 1
    assert list(tmp_path.iterdir()) == []


def test_a_slow_disk_is_outlasted(s3: S3Service, tmp_path: Path) -> None:
    result, evidence, _ = judged(s3, tmp_path, Faults((), disk=(DiskFault(DiskHarm.SLOW, bytes_per_second=1000),)))
    assert result.outcome is Outcome.SURVIVED, result.evidence
    assert evidence.happened


@pytest.mark.skipif(bool(why_no_mounts()), reason=f"mounting {why_no_mounts()}")
@pytest.mark.parametrize("harm", [DiskHarm.FULL, DiskHarm.READ_ONLY])
def test_a_disk_that_fails_goes_with_its_instance(s3: S3Service, tmp_path: Path, harm: DiskHarm) -> None:
    faults = Faults((), disk=(DiskFault(harm, first=2, seconds=0.05),), passes=False)
    _, evidence, _ = run(s3, tmp_path, faults)
    assert evidence.times == (1,)
    assert not evidence.falsehoods
    assert not (tmp_path / "disk").is_mount()


def test_a_store_that_lies_is_found_out(s3: S3Service, tmp_path: Path) -> None:
    """The judge itself, shown that it can find what it looks for: an upload told before it was done."""
    with harmed(s3, "bucket", "liar/", tmp_path, Faults(())) as bench:
        recorder = Recorder(SystemClock(), [bench.on_event])
        recorder.record(Kind.UPLOAD_FINISHED, 1, {"path": "a", "bytes": 1, "digest": "0" * 64})
        evidence = bench.evidence()
    assert len(evidence.falsehoods) == 1


def test_every_fault_of_the_catalogue_says_what_it_imitates_and_where_that_is_from() -> None:
    assert all(fault.imitates and fault.source for fault in BY_NAME.values())
