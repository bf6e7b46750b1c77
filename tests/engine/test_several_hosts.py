"""A job on several instances: begun together, interrupted together, ended together; one checkpoint prefix for all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from simulator.core.attempt import Outcome
from simulator.core.errors import EnvironmentFailure
from simulator.core.job import CheckpointConfig, TrainingJob
from simulator.core.metrics import DEFAULT_METRICS
from simulator.core.plan import Plan, Profile, parse_when
from simulator.core.timeline import Kind, Timeline
from simulator.engine.clock import SystemClock
from simulator.engine.equipment import EngineOptions
from simulator.engine.job_run import JobRun
from simulator.engine.recorder import Recorder
from simulator.engine.surroundings import Surroundings
from simulator.runtimes.port import AttemptSpec, InstancePaths
from tests.checkpoints.memory_store import MemoryStore, version
from tests.engine.fakes import SECONDS, Container, FakeAttempt, FakeRuntime, Script

QUICK = Profile("two-minute", 0.05, True, 0.3, "a test")
HOSTS = ("algo-1", "algo-2", "algo-3")


def run(
    tmp_path: Path,
    script: Script,
    *interruptions: str,
    hosts: Sequence[str] = HOSTS,
    profile: Profile = QUICK,
    store: MemoryStore | None = None,
    surroundings: Surroundings | None = None,
    runtime: FakeRuntime | None = None,
    logged: list[tuple[int, bytes, str]] | None = None,
    flush_after_exit: bool = True,
) -> Timeline:
    clock = SystemClock()
    job = TrainingJob(
        "a-job", CheckpointConfig("s3://bucket/prefix"), MetricDefinitions=DEFAULT_METRICS, hosts=tuple(hosts)
    )

    def on_log(attempt: int, line: bytes, host: str) -> None:
        if logged is not None:
            logged.append((attempt, line, host))

    recorder = Recorder(clock, log_listeners=[on_log])
    try:
        JobRun(
            job,
            Plan([parse_when(text) for text in interruptions], profile),
            runtime or FakeRuntime(script),
            store or MemoryStore(),
            recorder,
            clock,
            tmp_path,
            "run",
            EngineOptions(flush_after_exit=flush_after_exit),
            surroundings=surroundings,
        ).run()
    finally:
        assert list(tmp_path.iterdir()) == []  # whatever happened, nothing is left of any instance
    return recorder.timeline


def statuses(timeline: Timeline) -> list[str]:
    return [event.data["status"] for event in timeline.of(Kind.SECONDARY_STATUS)]


def hosts_of(timeline: Timeline, kind: Kind, attempt: int = 1) -> list[str]:
    return sorted(event.data["host"] for event in timeline.of(kind, attempt=attempt))


def each_saves_its_shard(container: Container) -> int:
    """Every host trains 20 steps, saves files of its own name, and goes on from them."""
    mine = container.checkpoints / f"shard-{container.host}"
    step = int(mine.read_text()) if mine.exists() else 0
    while step < 20:
        step += 1
        if container.host == "algo-1":
            container.say(f"step={step}")
        container.save(step, mine.name)
        if step == 8 and container.attempt == 1:
            container.until_signalled()
            return 143
    (container.model / f"model-{container.host}").write_text(str(step))
    return 0


def test_all_hosts_are_interrupted_together_and_go_on_from_one_prefix(tmp_path: Path) -> None:
    store = MemoryStore()
    timeline = run(tmp_path, each_saves_its_shard, "step=8", store=store)
    assert statuses(timeline) == [
        *("Starting", "Downloading", "Training", "Interrupted"),
        *("Starting", "Downloading", "Training", "Uploading", "Completed"),
    ]
    assert hosts_of(timeline, Kind.SIGNAL_SENT) == list(HOSTS)
    assert hosts_of(timeline, Kind.PROCESS_EXITED) == list(HOSTS)
    assert len(timeline.of(Kind.TRIGGER_FIRED)) == len(timeline.of(Kind.NOTICE_GIVEN)) == 1
    assert set(store.digests()) == {f"shard-{host}" for host in HOSTS}
    restored = list(timeline.of(Kind.OBJECT_RESTORED, attempt=2))
    assert sorted((event.data["host"], event.data["path"]) for event in restored) == [
        (host, f"shard-{of}")
        for host in HOSTS
        for of in HOSTS  # every object, to every host
    ]
    models = {event.data["host"]: list(event.data["files"]) for event in timeline.of(Kind.MODEL_FILES, attempt=2)}
    assert models == {host: [f"model-{host}"] for host in HOSTS}


def test_one_host_says_nothing_of_hosts(tmp_path: Path) -> None:
    logged: list[tuple[int, bytes, str]] = []
    timeline = run(tmp_path, each_saves_its_shard, "step=8", hosts=("algo-1",), logged=logged)
    told = {event.kind for event in timeline if {"host", "hosts"} & set(event.data)}
    assert told == {Kind.ATTEMPT_STARTED}
    assert {host for _, _, host in logged} == {""}


def test_logs_and_metrics_say_whose_they_are(tmp_path: Path) -> None:
    def talks(container: Container) -> int:
        container.say(f"step={int(container.host[-1])}")
        return 0

    logged: list[tuple[int, bytes, str]] = []
    timeline = run(tmp_path, talks, logged=logged)
    assert sorted(logged) == [(1, b"step=%d" % number, f"algo-{number}") for number in (1, 2, 3)]
    assert sorted((event.data["host"], event.data["value"]) for event in timeline.of(Kind.METRIC)) == [
        ("algo-1", 1.0),
        ("algo-2", 2.0),
        ("algo-3", 3.0),
    ]


def test_all_hosts_that_outlive_the_grace_are_killed_and_their_last_saves_lost(tmp_path: Path) -> None:
    def deaf(container: Container) -> int:
        container.say("step=1")
        container.killed.wait(SECONDS)
        return 137

    timeline = run(tmp_path, lambda container: 0 if container.attempt == 2 else deaf(container), "step=1")
    killed = timeline.of(Kind.KILLED, attempt=1)
    assert sorted(event.data["host"] for event in killed) == list(HOSTS)
    assert all(event.data["observed"] for event in killed)
    assert statuses(timeline)[-1] == "Completed"


def test_a_host_that_leaves_on_sigterm_is_not_killed_with_the_others(tmp_path: Path) -> None:
    def script(container: Container) -> int:
        if container.attempt == 2:
            return 0
        container.say("step=1")
        if container.host == "algo-2":
            container.killed.wait(SECONDS)
        else:
            container.until_signalled()
            container.save(1, f"last-{container.host}")
        return 143

    store = MemoryStore()
    timeline = run(tmp_path, script, "step=1", store=store)
    assert hosts_of(timeline, Kind.KILLED) == ["algo-2"]
    assert set(store.digests()) == {"last-algo-1", "last-algo-3"}


def test_without_a_flush_after_exit_what_a_host_saved_last_is_lost_though_others_run_on(tmp_path: Path) -> None:
    def script(container: Container) -> int:
        if container.attempt == 2:
            return 0
        container.say("step=1")
        if container.host == "algo-2":
            container.killed.wait(SECONDS)
        else:
            container.until_signalled()
            (container.checkpoints / f"last-{container.host}").write_bytes(b"x")
        return 143

    store = MemoryStore()
    run(tmp_path, script, "step=1", store=store, flush_after_exit=False)
    assert store.digests() == {}


def test_the_first_host_that_fails_ends_the_others_and_the_job(tmp_path: Path) -> None:
    training = threading.Barrier(3)

    def script(container: Container) -> int:
        training.wait(SECONDS)
        if container.host == "algo-2":
            (container.model.parent / "output" / "failure").write_text("no luck on algo-2")
            return 7
        container.killed.wait(SECONDS)
        return 137

    timeline = run(tmp_path, script)
    assert statuses(timeline)[-1] == "Failed"
    finished = timeline.last(Kind.RUN_FINISHED)
    assert finished is not None
    assert (finished.data["exit_code"], finished.data["failure_reason"]) == (7, "no luck on algo-2")
    exits = {event.data["host"]: event.data["exit_code"] for event in timeline.of(Kind.PROCESS_EXITED)}
    assert exits == {"algo-1": 137, "algo-2": 7, "algo-3": 137}
    assert "algo-2 ended with exit code 7" in timeline.of(Kind.WARNING)[0].data["message"]


def test_a_host_that_is_done_waits_for_the_others(tmp_path: Path) -> None:
    done = threading.Event()

    def script(container: Container) -> int:
        if container.host == "algo-3":
            assert done.wait(SECONDS)
            container.save(3)
        return 0

    class Tells(FakeRuntime):
        def start(self, specs: Sequence[AttemptSpec]) -> Sequence[FakeAttempt]:
            running = super().start(specs)

            def wait() -> None:
                for each in running[:2]:
                    each.wait(None)
                done.set()

            threading.Thread(target=wait, daemon=True).start()
            return running

    store = MemoryStore()
    timeline = run(tmp_path, script, store=store, runtime=Tells(script))
    assert statuses(timeline)[-1] == "Completed"
    assert store.digests() == {"state": version(b"3")}


def test_inputs_come_to_each_host_and_outputs_from_all_at_once(tmp_path: Path) -> None:
    fetched: list[tuple[str, str]] = []
    taken: list[tuple[Outcome, list[str], list[str]]] = []

    def inputs(job: TrainingJob, host: str, directory: Path, is_abandoned: Callable[[], bool]) -> TrainingJob:
        fetched.append((host, directory.parent.name))
        return job

    def outputs(outcome: Outcome, paths: Mapping[str, InstancePaths]) -> None:
        models = [file.name for of in paths.values() for file in of.model.iterdir()]
        taken.append((outcome, list(paths), models))

    run(tmp_path, each_saves_its_shard, "step=8", surroundings=Surroundings(inputs, outputs))
    assert fetched == [(host, f"attempt-{number}-{host}") for number in (1, 2) for host in HOSTS]
    assert taken == [(Outcome.COMPLETED, list(HOSTS), [f"model-{host}" for host in HOSTS])]


def test_a_delete_on_one_host_deletes_the_object_that_another_keeps_a_copy_of(tmp_path: Path) -> None:
    def script(container: Container) -> int:
        if container.attempt == 1:
            if container.host == "algo-1":
                container.save(1, "old")
            container.until_signalled()
            return 143
        if container.host == "algo-1":
            (container.checkpoints / "old").unlink()
        return 0 if container.host == "algo-1" or (container.checkpoints / "old").exists() else 1

    store = MemoryStore()
    timeline = run(tmp_path, script, "upload", store=store)
    assert statuses(timeline)[-1] == "Completed"
    assert store.digests() == {}


def test_instances_that_cannot_all_be_started_leave_nothing(tmp_path: Path) -> None:
    class Refuses(FakeRuntime):
        def start(self, specs: Sequence[AttemptSpec]) -> Sequence[FakeAttempt]:
            raise EnvironmentFailure("no second container", "the engine refused", "docker info")

    with pytest.raises(EnvironmentFailure):
        run(tmp_path, lambda container: 0, runtime=Refuses(lambda container: 0))
