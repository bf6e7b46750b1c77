"""TensorFlow's CheckpointManager and the states of S3: docs/tensorflow-checkpoints.md says which way survives them all.
Here two of the states are tried with each way, as a watch on what that page tells."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from simulator.core.job import CheckpointConfig, TrainingJob
from simulator.core.metrics import DEFAULT_METRICS
from simulator.core.plan import PROFILES
from simulator.explore.laboratory import Laboratory, LabSpec, StoreKind
from simulator.explore.states import CrashState
from simulator.explore.trial import SOUND, Outcome, Schedule, Trial, TrialResult

TRAINERS = Path(__file__).parent / "trainers/tensorflow_manager"
ALONE = Schedule((), "sudden")


def tried(script: str, folder: Path, *wanted: Callable[[CrashState], bool]) -> list[TrialResult]:
    """A trial of the first state of each wanted sort."""
    job = TrainingJob(
        "job",
        CheckpointConfig("s3://bucket/job/"),
        source_dir=TRAINERS,
        entry_script=script,
        MetricDefinitions=DEFAULT_METRICS,
    )
    spec = LabSpec(job, {"sudden": PROFILES["sudden"]}, store=StoreKind.FOLDER)
    with closing(Laboratory(spec)) as laboratory:
        recording = laboratory.record(spec.plan(ALONE), folder, [], [])
    states = [next(filter(sort, recording.states())) for sort in wanted]
    with closing(Laboratory(replace(spec, recording=folder))) as laboratory:
        return [laboratory.run(Trial(1, ALONE, state.how, state.name)).result for state in states]


def is_late(state: CrashState) -> bool:
    """Beyond the first save, so that there is something to go back to."""
    return "ckpt-1.index" in state.objects and "ckpt-1.data-00000-of-00001" in state.objects


def disagrees(state: CrashState) -> bool:
    """The index of the second save is there, and its data is not."""
    held = state.objects
    return is_late(state) and "ckpt-2.index" in held and "ckpt-2.data-00000-of-00001" not in held


def is_torn(state: CrashState) -> bool:
    """The index of the second save was captured while it was written, and all else of it is there."""
    return state.torn is not None and state.torn.path == "ckpt-2.index" and is_late(state) and state.torn.cut.kept > 0


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_restore_that_verifies_and_falls_back_survives_torn_and_missing_files(tmp_path: Path) -> None:
    results = tried("falls_back.py", tmp_path, disagrees, is_torn)

    assert {result.outcome for result in results} <= SOUND, results


@pytest.mark.slow
@pytest.mark.tensorflow
def test_one_file_a_checkpoint_is_there_or_not(tmp_path: Path) -> None:
    results = tried("archives.py", tmp_path, lambda state: state.torn is not None and state.after > 1)

    assert {result.outcome for result in results} <= SOUND, results


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_plain_restore_takes_what_the_file_checkpoint_names_for_granted(tmp_path: Path) -> None:
    def names_what_is_not_there(state: CrashState) -> bool:
        lacks = "ckpt-2.data-00000-of-00001" not in state.objects
        return is_late(state) and lacks and state.after > 3 and "the last one checkpoint" in state.how

    results = tried("plain.py", tmp_path, names_what_is_not_there)

    assert [result.outcome for result in results] == [Outcome.FAILED]
