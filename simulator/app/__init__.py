"""Puts a run together from settings: the one place where runtime, S3, engine, judgement and reports meet."""
