"""Which runtime a run uses, what it says of it, and the job as that runtime takes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from simulator.app.bundled import bundled_job
from simulator.app.settings import RuntimeChoice
from simulator.core.job import TrainingJob
from simulator.images import ensure_training_image
from simulator.runtimes.docker_engine import engine_status
from simulator.runtimes.port import Runtime, RuntimeName
from simulator.runtimes.process import ProcessRuntime

Say = Callable[[str], None]


def choose_runtime(choice: RuntimeChoice, say: Say) -> Runtime:
    """The runtime that was asked for; for `auto` local mode where an engine and Compose answer, otherwise process.
    Says which, why, and what fidelity it loses."""
    runtime = _make(_choose_name(choice, say))
    say(f"runtime: {runtime.name.value}")
    for sentence in runtime.fidelity_lost:
        say(f"  unlike SageMaker: {sentence}")
    return runtime


def _choose_name(choice: RuntimeChoice, say: Say) -> RuntimeName:
    if choice is not RuntimeChoice.AUTO:
        return RuntimeName(choice.value)
    status = engine_status()
    if status.answers and status.compose:
        return RuntimeName.LOCAL_MODE
    missing = "no Docker engine answers" if not status.answers else "Docker Compose is not installed"
    say(f"NO CONTAINER: {missing}, so the script runs as a process of this machine; see spot-simulator doctor")
    return RuntimeName.PROCESS


def _make(name: RuntimeName) -> Runtime:
    if name is RuntimeName.PROCESS:
        return ProcessRuntime()
    from simulator.runtimes.local_mode import LocalModeRuntime  # here, as it takes a second and is not always wanted

    return LocalModeRuntime()


def make_runtimes() -> list[Runtime]:
    """Every runtime that can run here."""
    status = engine_status()
    names = [RuntimeName.LOCAL_MODE] if status.answers else []
    return [_make(name) for name in [*names, RuntimeName.PROCESS]]


def fit_job(job: TrainingJob, runtime: Runtime, say: Say) -> TrainingJob:
    """The job as the runtime takes it: without image and script it is the bundled trainer, in its image or from its
    folder; a script without an image runs in the bundled trainer's image."""
    if runtime.name is RuntimeName.LOCAL_MODE:
        return job if job.image else replace(job, image=ensure_training_image(progress=say))
    if job.image is None and job.entry_script is None:
        bundled = bundled_job(0)
        return replace(job, source_dir=bundled.source_dir, entry_script=bundled.entry_script)
    return job
