"""The SageMaker local mode runtime: SageMaker's own SDK starts the container, Docker tells of it and ends it."""

from simulator.runtimes.local_mode.runtime import LocalModeRuntime

__all__ = ["LocalModeRuntime"]
