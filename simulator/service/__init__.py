"""The SageMaker API on this machine, and the ways in to it."""
