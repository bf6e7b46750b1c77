"""Interrupts a SageMaker training job on this machine, and proves whether training resumed."""
