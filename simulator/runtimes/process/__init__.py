"""The process runtime: an attempt as a process of this machine, in namespaces of its own where those can be had."""

from simulator.runtimes.process.isolation import Isolation, best_isolation, why_plain
from simulator.runtimes.process.runtime import ProcessRuntime
from simulator.runtimes.process.zygote import ZygoteRuntime

__all__ = ["Isolation", "ProcessRuntime", "ZygoteRuntime", "best_isolation", "why_plain"]
