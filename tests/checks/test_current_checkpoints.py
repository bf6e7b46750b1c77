"""Whether what was in S3 at the kill was as new as the script's own habit could make it."""

from __future__ import annotations

from simulator.checks import Severity, sigterm_ignored
from tests.checks.build import NO_HANDLER, Run, only, train


def test_a_periodic_saver_that_only_evaluates_since_its_last_save_lost_nothing() -> None:
    run = Run(interrupt="step=40", profile="two-minute")
    with run.attempt() as first:
        train(first, 1, 41, save_every=10)
        first.trigger()
        first.wait(120)
        first.sigterm(NO_HANDLER)
        first.wait(120)
        first.kill()
    with run.attempt() as second:
        train(second, 41, 101, save_every=10)
        second.exit()
    assert only(sigterm_ignored.check(run.evidence())).severity is Severity.WARNING


def test_silence_shorter_than_the_log_is_used_to_tells_nothing() -> None:
    run = Run(interrupt="step=80", profile="two-minute")
    with run.attempt() as first:
        train(first, 1, 41, save_every=10, log_every=20)
        train(first, 41, 60, log_every=20, seconds=2.0)
        first.trigger()
        first.sigterm(NO_HANDLER)
        first.wait(10)
        first.kill()
    with run.attempt() as second:
        train(second, 41, 101, save_every=10, log_every=20)
        second.exit()
    assert only(sigterm_ignored.check(run.evidence())).severity is Severity.ERROR
