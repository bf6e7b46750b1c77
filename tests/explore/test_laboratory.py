"""Trials carried out for real: they come to the same from a zygote as after cold starts."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from simulator.core.job import CheckpointConfig, TrainingJob
from simulator.core.metrics import DEFAULT_METRICS
from simulator.core.plan import PROFILES
from simulator.engine.equipment import EngineOptions
from simulator.explore.laboratory import Laboratory, LabSpec, Start
from simulator.explore.trial import Outcome, Schedule, Trial
from simulator.explore.zygote_proof import Answer, prove
from simulator.reports.folder import TIMELINE, RunFolder
from simulator.runtimes.process import Isolation, best_isolation
from tests.app import scripts, training


def spec(tmp_path: Path, script: str, start: Start, *baselines: Path) -> LabSpec:
    source = tmp_path / "source"
    job = TrainingJob(
        "job",
        CheckpointConfig("s3://bucket/job/"),
        source_dir=source if source.exists() else scripts.write(source, script),
        entry_script="train.py",
        MetricDefinitions=DEFAULT_METRICS,
    )
    return LabSpec(job, PROFILES, start=start, options=EngineOptions(read_states=True), baselines=baselines)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "outcome"),
    [(training.WHOLE, Outcome.SURVIVED), (training.FORGETS_VELOCITY, Outcome.FAILED)],
    ids=["whole", "forgets"],
)
def test_a_trial_from_a_zygote_comes_to_what_cold_starts_come_to(script: str, outcome: Outcome, tmp_path: Path) -> None:
    if best_isolation() is Isolation.PLAIN:
        pytest.skip("there is nothing to fork into without namespaces")
    alone = Trial(1, Schedule((), "sudden"), "not interrupted")
    runs = {}
    for start in (Start.COLD, Start.ZYGOTE):
        with closing(Laboratory(spec(tmp_path, script, start))) as laboratory:
            runs[start] = laboratory.run(alone).timeline
    proof = prove(runs[Start.COLD], runs[Start.ZYGOTE], lambda: runs[Start.COLD])
    assert proof.answer is Answer.SAME, proof.sentence
    baselines = []
    for start, timeline in runs.items():
        folder = RunFolder.create(tmp_path / f"baseline-{start}", print)
        for event in timeline:
            folder.on_event(event)
        folder.close()
        baselines.append(folder.path / TIMELINE)
    told = []
    for start in (Start.COLD, Start.ZYGOTE):
        with closing(Laboratory(spec(tmp_path, script, start, *baselines))) as laboratory:
            told.append(laboratory.run(Trial(1, Schedule(("step=25",), "sudden"), "step=25")).result)
    assert [result.told for result in told] == [told[0].told] * 2
    assert [result.tier for result in told] == [told[0].tier] * 2
    assert told[0].outcome is outcome, told[0].evidence
