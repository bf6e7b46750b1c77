"""Interrupts a SageMaker training job on this machine, and proves whether training resumed.

import simulator

result = simulator.simulate(source_dir="src", entry_script="train.py", interrupt=("step=200",), warning=5)
assert result.exit_code == 0, result.verdict.reason
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.core.errors import EnvironmentFailure, ExitCode, SimulatorError, UsageError

if TYPE_CHECKING:
    from simulator.app.simulate import Result, simulate

__all__ = ["EnvironmentFailure", "ExitCode", "Result", "SimulatorError", "UsageError", "simulate"]


def __getattr__(name: str) -> Any:
    """`simulate` and `Result`, imported when first asked for: they bring every room of the house with them."""
    if name in ("Result", "simulate"):
        from simulator.app import simulate

        return getattr(simulate, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
