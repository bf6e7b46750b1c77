"""Runs a job under a plan: the order of things, and nothing of how they are done or judged."""
