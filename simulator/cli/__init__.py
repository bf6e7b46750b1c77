"""The commands, thin: options in, exit code out."""

from simulator.cli.main import main

__all__ = ["main"]
