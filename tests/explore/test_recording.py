"""A run that is recorded, read back, put into a store as some state of S3, and judged with an attempt at it."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from simulator.checkpoints.store import FileVersion
from simulator.core.errors import UsageError
from simulator.core.job import CheckpointConfig, TrainingJob
from simulator.core.metrics import DEFAULT_METRICS
from simulator.core.plan import PROFILES, Plan
from simulator.core.timeline import Timeline
from simulator.engine.clock import SystemClock
from simulator.engine.equipment import EngineOptions
from simulator.engine.job_run import JobRun
from simulator.engine.recorder import Recorder
from simulator.explore.archive import Archive
from simulator.explore.recording import Recording, RunRecording
from simulator.explore.state_verdict import judge_state
from simulator.explore.states import CrashState, StateKind
from simulator.explore.text_index import names_in
from simulator.explore.trial import SOUND, Outcome, Schedule, Trial, result_of
from tests.checkpoints.memory_store import MemoryStore
from tests.engine.fakes import Container, FakeRuntime, Script

STEPS, STEP_SECONDS = 9, 0.05


def train(container: Container, begin: int, save: Script | None, end: int = STEPS) -> int:
    for step in range(begin + 1, end + 1):
        time.sleep(STEP_SECONDS)
        container.say(f"step={step} loss={1 / step}")
        if step % 3 == 0:
            container.step = step  # type: ignore[attr-defined]
            if save is not None:
                save(container)
    (container.model / "model.bin").write_bytes(b"weights")
    return 0


def save_aside(container: Container) -> int:
    container.save(container.step)  # type: ignore[attr-defined]
    return 0


def save_in_place(container: Container) -> int:
    (container.checkpoints / "state.bin").write_text(f"{container.step:04}")  # type: ignore[attr-defined]
    return 0


def careful(container: Container) -> int:
    """Writes aside and renames; knows only whole files."""
    return train(container, container.saved_step, save_aside)


def careless(container: Container) -> int:
    """Overwrites its only file, and dies of half a one."""
    file = container.checkpoints / "state.bin"
    begin = 0
    if file.exists():
        text = file.read_text()
        if len(text) != 4:
            container.say(f"EOFError: {file} is truncated")
            return 1
        begin = int(text)
    return train(container, begin, save_in_place)


def run(script: Script, scratch: Path, store: MemoryStore, recording: RunRecording | None = None) -> Timeline:
    scratch.mkdir(parents=True, exist_ok=True)
    clock = SystemClock()
    recorder = Recorder(clock, [recording.on_event] if recording else [])
    job = TrainingJob("a-job", CheckpointConfig("s3://bucket/prefix"), MetricDefinitions=DEFAULT_METRICS)
    plan, used = Plan([], PROFILES["sudden"]), recording.around(store) if recording else store
    return JobRun(job, plan, FakeRuntime(script), used, recorder, clock, scratch, "run", EngineOptions()).run()


def record(script: Script, folder: Path) -> Recording:
    recording = RunRecording(folder / "recording", folder / "scratch")
    recording.finish(run(script, folder / "scratch", MemoryStore(), recording))
    return Recording.read(folder / "recording")


def outcome(script: Script, recording: Recording, folder: Path, state: CrashState) -> tuple[Outcome, tuple[str, ...]]:
    store = MemoryStore()
    recording.fill(store, state)
    verdict = judge_state(recording, state, run(script, folder / state.name, store))
    result = result_of(Trial(1, Schedule((), "sudden"), state.name, state.name), verdict, 0.0)
    return result.outcome, result.rules


def outcomes(script: Script, folder: Path) -> list[tuple[CrashState, Outcome, tuple[str, ...]]]:
    recording = record(script, folder)
    states = recording.states()
    with ThreadPoolExecutor(len(states)) as pool:
        tried = pool.map(partial(outcome, script, recording, folder), states)
        return [(state, *came) for state, came in zip(states, tried, strict=True)]


def test_a_recording_holds_every_version_and_how_it_was_written(tmp_path: Path) -> None:
    recording = record(careful, tmp_path)

    puts = [operation for operation in recording.operations if operation.path == "state"]
    assert [recording.archive.at(put.digest).read_text() for put in puts] == ["3", "6", "9"]
    assert {(put.in_place, put.aside) for put in puts} == {(False, ".aside")}


def test_files_overwritten_in_place_can_be_captured_half_written(tmp_path: Path) -> None:
    recording = record(careless, tmp_path)
    store = MemoryStore()
    torn = next(state for state in recording.states() if state.torn is not None and state.torn.cut.kept == 2)
    recording.fill(store, torn)

    assert [operation.in_place for operation in recording.operations] == [True] * 3
    assert store.objects == {"state.bin": b"00"}
    assert hashlib.sha256(b"00").hexdigest() == torn.objects["state.bin"]


@pytest.mark.slow
def test_a_careful_trainer_survives_every_state(tmp_path: Path) -> None:
    tried = outcomes(careful, tmp_path)

    assert {outcome for _, outcome, _ in tried} <= SOUND
    assert {state.kind for state, _, _ in tried} >= {StateKind.IN_ORDER, StateKind.TORN}


@pytest.mark.slow
def test_a_careless_trainer_dies_of_every_half_written_file_and_of_nothing_else(tmp_path: Path) -> None:
    tried = outcomes(careless, tmp_path)

    for state, outcome, rules in tried:
        assert (outcome is Outcome.FAILED) == (state.torn is not None), (state.how, rules)
        assert set(rules) <= {"SPOT001", "SPOT004", "SPOT017"}


def test_what_is_no_recording_is_refused_with_the_way_on(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no recorded run"):
        Recording.read(tmp_path)


def test_a_capture_is_new_bytes_and_then_old_ones(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "objects")
    for content in (b"old content", b"NEW"):
        file = tmp_path / "file"
        file.write_bytes(content)
        archive.keep(file, hashlib.sha256(content).hexdigest())
    new, old = (hashlib.sha256(content).hexdigest() for content in (b"NEW", b"old content"))

    cut = archive.cut(new, 2, old)
    archive.write_cut(new, cut, tmp_path / "capture")

    assert (tmp_path / "capture").read_bytes() == b"NEd content"
    assert (cut.bytes, cut.digest) == (11, hashlib.sha256(b"NEd content").hexdigest())


def test_an_index_names_the_files_beside_it(tmp_path: Path) -> None:
    index = tmp_path / "checkpoint"
    index.write_text('model_checkpoint_path: "ckpt-3"\nall_model_checkpoint_paths: "ckpt-1"\n')
    others = ["tf/ckpt-1.index", "tf/ckpt-2.index", "tf/ckpt-3.data-00000-of-00001", "ckpt-3.index", "tf/model"]

    assert names_in(index, "tf/checkpoint", others) == ("tf/ckpt-1.index", "tf/ckpt-3.data-00000-of-00001")


def test_bytes_are_no_index(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"\xff\xfeckpt-3")
    assert names_in(tmp_path / "data", "data", ["ckpt-3.index"]) == ()


def test_a_file_changed_while_it_goes_up_is_kept_as_it_was_stored(tmp_path: Path) -> None:
    archive, file = Archive(tmp_path / "objects"), tmp_path / "file"
    file.write_bytes(b"before")

    class Slow(MemoryStore):
        def put(self, source: Path, path: str, is_abandoned: Callable[[], bool]) -> FileVersion:
            file.write_bytes(b"after!")
            return super().put(source, path, is_abandoned)

    store = Slow()
    recording = RunRecording(tmp_path, tmp_path)
    version = recording.around(store).put(file, "file", lambda: False)

    assert store.objects["file"] == archive.at(version.digest).read_bytes() == b"before"
    assert os.listdir(archive.folder) == [version.digest]  # noqa: PTH208 - names are what is asked
