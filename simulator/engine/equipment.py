"""What every attempt of a run works with: where it runs, what it stores to, how it is recorded."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from simulator.checkpoints.store import ObjectStore
from simulator.checkpoints.sync import SyncOptions
from simulator.engine.clock import SystemClock
from simulator.engine.recorder import Recorder
from simulator.engine.surroundings import Surroundings
from simulator.runtimes.port import Runtime


@dataclass(frozen=True)
class EngineOptions:
    """Named assumptions that the engine works with: see docs/assumptions.md. `read_states` is none: it has the content
    of checkpoints and models noted, for runs that will be compared."""

    sync: SyncOptions = field(default_factory=SyncOptions)
    flush_after_exit: bool = True
    read_states: bool = False


@dataclass(frozen=True)
class Equipment:
    """`scratch` is an existing folder of this run's own, on the engine's machine."""

    runtime: Runtime
    store: ObjectStore
    recorder: Recorder
    clock: SystemClock
    scratch: Path
    run_id: str
    options: EngineOptions
    surroundings: Surroundings = field(default_factory=Surroundings)
