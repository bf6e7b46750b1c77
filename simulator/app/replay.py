"""`spot-simulator replay FILE`: a trial that a search found, run again on the true path."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from simulator.app.laboratory import lab_spec, profiles_of, write_report
from simulator.app.runtimes import fit_job
from simulator.app.settings import Settings
from simulator.app.simulate import Result, plan_and_job, run_settings
from simulator.engine.interrupts import orderly_interrupts
from simulator.explore.laboratory import Laboratory, Start, make_runtime
from simulator.explore.replay import COMPARED, ReplayFile, read_replay
from simulator.reports.folder import TIMELINE, RunFolder
from simulator.reports.summary import print_summary
from simulator.runtimes.port import RuntimeName


def replay(file: Path, **overrides: Any) -> Result:
    """Run a replay file's trial: a schedule as `run` runs it, a state of S3 or faults in a laboratory, where the run
    that states come from stands for the uninterrupted one. `overrides`:
    settings in place of the file's (`out=`, `view=` …). Raises SimulatorError and UserInterrupt."""
    saved = read_replay(file)
    settings = Settings(
        **{"view": "quiet", **saved.keywords(), "baseline": bool(COMPARED & set(saved.rules)), **overrides}
    )
    if not saved.state and not saved.faults:
        return run_settings(settings)
    with orderly_interrupts():
        result = _in_a_laboratory(saved, settings)
    if settings.view != "quiet":
        print_summary(result.report, result.folder)
    return result


def _in_a_laboratory(saved: ReplayFile, settings: Settings) -> Result:
    plan, job = plan_and_job(settings)
    with ExitStack() as stack:
        runtime = make_runtime(RuntimeName.PROCESS, Start.COLD)
        profiles = profiles_of(settings, [saved.schedule.profile])
        spec = lab_spec(settings, plan, fit_job(job, runtime, lambda line: None), profiles)
        if saved.recording is not None:
            uninterrupted = (saved.recording / TIMELINE,)
            spec = replace(spec, recording=saved.recording, baselines=uninterrupted)
        folder = RunFolder.create(settings.out or Path("runs") / job.TrainingJobName)
        stack.callback(folder.close)
        ran = stack.enter_context(closing(Laboratory(spec))).run(saved.trial)
        return write_report(folder, spec, runtime, ran)
