"""An attempt that is interrupted or stopped by someone outside, in virtual time."""

from __future__ import annotations

from simulator.core.attempt import STOP_GRACE_SECONDS, Act, AttemptMachine, Outcome, Stop
from simulator.core.plan import PROFILES, Profile, parse_when

QUICK = Profile("two-minute", 10, True, 5, "a test")


def machine(profile: Profile = QUICK, when: str | None = None) -> AttemptMachine:
    return AttemptMachine(parse_when(when) if when else None, profile)


def acts(subject: AttemptMachine, now: float) -> list[tuple[Act, float]]:
    return [(command.act, command.scheduled_at) for command in subject.due(now)]


def test_an_interruption_from_outside_is_a_reclaim_by_the_profile() -> None:
    subject = machine()
    assert subject.interrupt(3.0)
    assert acts(subject, 3.0) == [(Act.TRIGGERED, 3.0), (Act.GIVE_NOTICE, 3.0)]
    assert acts(subject, 13.0)[-1] == (Act.SIGTERM, 13.0)
    assert subject.grace_ends_at == 18.0


def test_a_second_interruption_does_not_begin_another_reclaim() -> None:
    subject = machine()
    subject.interrupt(3.0)
    assert not subject.interrupt(4.0)
    assert subject.reclaim is not None and subject.reclaim.sigterm_at == 13.0


def test_a_stop_sends_sigterm_at_once_and_sigkill_after_120_seconds() -> None:
    subject = machine(when="step=4")
    assert subject.stop(7.0)
    assert acts(subject, 7.0) == [(Act.SIGTERM, 7.0)]
    subject.delivered(Act.SIGTERM)
    assert subject.grace_ends_at == 7.0 + STOP_GRACE_SECONDS
    assert subject.outcome(0) is Outcome.STOPPED
    assert subject.stopping is Stop.REQUESTED


def test_a_stop_during_the_notice_comes_before_the_reclaim() -> None:
    subject = machine()
    subject.interrupt(0.0)
    subject.due(0.0)
    assert subject.stop(2.0)
    assert acts(subject, 2.0) == [(Act.SIGTERM, 2.0)]
    assert acts(subject, 12.0) == []


def test_a_stop_does_not_lengthen_the_grace_of_a_reclaim() -> None:
    subject = machine()
    subject.interrupt(0.0)
    subject.due(10.0)
    subject.delivered(Act.SIGTERM)
    assert not subject.stop(11.0)
    assert subject.grace_ends_at == 15.0
    assert subject.outcome(0) is Outcome.RECLAIMED


def test_a_job_that_is_stopping_is_not_interrupted() -> None:
    subject = machine()
    subject.stop(1.0)
    assert not subject.interrupt(2.0)


def test_a_sudden_interruption_from_outside_kills_at_once() -> None:
    subject = machine(PROFILES["sudden"])
    subject.interrupt(2.0)
    assert acts(subject, 2.0) == [(Act.TRIGGERED, 2.0), (Act.SIGKILL, 2.0)]
