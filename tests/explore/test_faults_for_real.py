"""Real trainers under faults: a correct one survives them, and a faulty one is found faulty all the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from simulator.app.explore import ExploreOptions, explore, explore_settings
from simulator.core.errors import ExitCode
from simulator.core.job import CheckpointConfig, TrainingJob
from simulator.core.metrics import DEFAULT_METRICS
from simulator.core.plan import profile_named
from simulator.explore.faults import Faults
from simulator.explore.laboratory import Laboratory, LabSpec, Start, StoreKind
from simulator.explore.search import Budget
from simulator.explore.trial import Outcome, Schedule, Search, Trial, TrialResult
from simulator.runtimes.process import Isolation, ProcessRuntime
from simulator.services.faulty_disk import DiskFault, DiskHarm, why_no_mounts
from simulator.services.wire_faults import Harm, WireFault

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(ProcessRuntime().mode is Isolation.PLAIN, reason="the trainers name /opt/ml"),
]
TRAINERS = Path(__file__).parents[1] / "trainers"
CORRECT, FAULTY = TRAINERS / "correct/numpy_periodic_only.py", TRAINERS / "faulty/loader_wants_another_name.py"
SCHEDULE = Schedule(("step=55",), "sudden")


@contextmanager
def laboratory(trainer: Path) -> Iterator[Laboratory]:
    spec = LabSpec(
        job=TrainingJob(
            TrainingJobName="job",
            CheckpointConfig=CheckpointConfig("s3://bucket/job/"),
            MetricDefinitions=DEFAULT_METRICS,
            source_dir=trainer.parent,
            entry_script=trainer.name,
        ),
        profiles={"sudden": profile_named("sudden", None, None)},
        start=Start.COLD,
        store=StoreKind.MOTO,
    )
    with closing(Laboratory(spec)) as made:
        yield made


def under(trainer: Path, *wire: WireFault, disk: tuple[DiskFault, ...] = (), passes: bool = True) -> TrialResult:
    faults = Faults(tuple("fault" for _ in wire), wire, disk, passes)
    with laboratory(trainer) as made:
        return made.run(Trial(1, SCHEDULE, str(faults), faults=faults.as_dict())).result


def test_a_correct_trainer_survives_several_faults_at_once() -> None:
    result = under(
        CORRECT,
        WireFault(Harm.ERROR, ("PutObject",), 2, 4, 503, "SlowDown"),
        WireFault(Harm.TRUNCATE, ("GetObject",), 1, 1),
        WireFault(Harm.ANSWER_LOST, ("DeleteObject",), 1, 1),
    )
    assert (result.outcome, result.rules) == (Outcome.SURVIVED, ()), result.evidence


def test_a_faulty_trainer_is_found_faulty_under_a_fault_too() -> None:
    result = under(FAULTY, WireFault(Harm.ERROR, ("PutObject",), 2, 2, 500, "InternalError"))
    assert result.outcome is Outcome.FAILED
    assert result.rules


@pytest.mark.skipif(bool(why_no_mounts()), reason=f"mounting {why_no_mounts()}")
def test_a_trainer_that_dies_of_a_full_disk_is_not_blamed() -> None:
    result = under(CORRECT, disk=(DiskFault(DiskHarm.FULL, first=2),), passes=False)
    assert result.outcome is Outcome.UNDECIDED, result.evidence
    assert "No space left on device" in result.evidence


@pytest.mark.parametrize(("trainer", "code"), [(CORRECT, ExitCode.SURVIVED), (FAULTY, ExitCode.DOES_NOT_SURVIVE)])
def test_the_search_over_faults_tells_one_from_the_other(tmp_path: Path, trainer: Path, code: ExitCode) -> None:
    settings = {"source_dir": trainer.parent, "entry_script": trainer.name, "seed": 7, "out": tmp_path / "run"}
    trials = 4 if code is ExitCode.SURVIVED else 12  # of a faulty one until the first that is not the fault's doing
    options = ExploreOptions(Search.FAULTS, Budget(trials=trials), jobs=2, profiles=("sudden",), until_failure=True)
    result = explore(explore_settings(None, {"runtime": "process", "view": "quiet", **settings}), options)
    counts = result.report["explored"]["counts"]
    print([(trial["label"], trial["outcome"], trial["evidence"]) for trial in result.report["explored"]["trials"]])
    print(result.verdict.reason)
    assert result.exit_code is code
    assert counts["broken"] == 0
    assert bool(counts["failed"]) is (code is ExitCode.DOES_NOT_SURVIVE)
