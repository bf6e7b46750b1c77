"""One attempt in virtual time: what is done to the instance, and when."""

from __future__ import annotations

from simulator.core.attempt import STOP_GRACE_SECONDS, Act, AttemptMachine, Outcome, Stop
from simulator.core.plan import PROFILES, ExitAfterSigterm, Profile, parse_when
from simulator.core.timeline import Event, Kind

QUICK = Profile("two-minute", 10, True, 5, "a test")


def reading(at: float, value: float) -> Event:
    return Event(at, Kind.METRIC, 1, {"name": "step", "value": value})


def acts(machine: AttemptMachine, now: float) -> list[tuple[Act, float]]:
    return [(command.act, command.scheduled_at) for command in machine.due(now)]


def machine(when: str = "step=4", profile: Profile = QUICK, **kwargs: object) -> AttemptMachine:
    return AttemptMachine(parse_when(when), profile, **kwargs)  # type: ignore[arg-type]


def test_nothing_is_done_before_the_trigger() -> None:
    subject = machine()
    subject.on_event(reading(1.0, 3))
    assert acts(subject, 100.0) == []
    assert subject.deadline is None


def test_a_two_minute_reclaim_gives_notice_then_sigterm_then_sigkill() -> None:
    subject = machine()
    subject.on_event(reading(2.0, 4))
    assert acts(subject, 2.0) == [(Act.TRIGGERED, 2.0), (Act.GIVE_NOTICE, 2.0)]
    assert subject.deadline == 11.0
    assert acts(subject, 11.0) == [(Act.LOOK_AT_PROCESSES, 11.0)]
    assert acts(subject, 12.0) == [(Act.SIGTERM, 12.0)]
    assert subject.grace_ends_at == 17.0
    assert acts(subject, 16.9) == []
    assert acts(subject, 17.0) == [(Act.SIGKILL, 17.0)]
    assert subject.deadline is None


def test_the_sudden_profile_goes_straight_to_sigkill() -> None:
    subject = machine(profile=PROFILES["sudden"])
    subject.on_event(reading(2.0, 9))
    assert acts(subject, 2.0) == [(Act.TRIGGERED, 2.0), (Act.SIGKILL, 2.0)]


def test_the_ec2_profile_has_a_notice_and_no_sigterm() -> None:
    subject = machine(profile=PROFILES["ec2"])
    subject.on_event(reading(0.0, 9))
    assert [act for act, _ in acts(subject, 500.0)] == [Act.TRIGGERED, Act.GIVE_NOTICE, Act.SIGKILL]


def test_a_time_trigger_counts_from_the_start_of_training() -> None:
    subject = machine("30s", PROFILES["sudden"])
    assert subject.deadline is None
    subject.on_event(Event(5.0, Kind.PROCESS_STARTED, 1))
    assert subject.deadline == 35.0
    assert acts(subject, 36.0) == [(Act.TRIGGERED, 35.0), (Act.SIGKILL, 35.0)]


def test_a_log_line_can_be_the_trigger() -> None:
    subject = machine("line=epoch .* done")
    assert not subject.on_line("epoch 1 begun", 1.0)
    assert subject.on_line("epoch 1 is done", 2.0)
    assert subject.reclaim is not None


def test_an_exit_before_sigterm_is_the_scripts_own() -> None:
    subject = machine()
    subject.on_event(reading(2.0, 4))
    subject.due(3.0)
    assert subject.outcome(0) is Outcome.COMPLETED
    assert subject.outcome(1) is Outcome.FAILED


def test_any_exit_after_sigterm_is_the_interruptions() -> None:
    subject = machine()
    subject.on_event(reading(2.0, 4))
    subject.due(12.0)
    subject.delivered(Act.SIGTERM)
    assert subject.outcome(0) is Outcome.RECLAIMED
    assert subject.outcome(1) is Outcome.RECLAIMED


def test_a_sigterm_that_nobody_was_there_to_get_does_not_count() -> None:
    subject = machine()
    subject.on_event(reading(2.0, 4))
    subject.due(12.0)
    assert subject.outcome(0) is Outcome.COMPLETED


def test_the_exit_after_sigterm_can_be_taken_as_it_is() -> None:
    subject = machine(exit_after_sigterm=ExitAfterSigterm.AS_IS)
    subject.on_event(reading(2.0, 4))
    subject.due(12.0)
    subject.delivered(Act.SIGTERM)
    assert subject.outcome(0) is Outcome.COMPLETED


def test_max_runtime_stops_the_job_with_its_own_grace() -> None:
    subject = AttemptMachine(None, QUICK, stop_at=60.0, stop_reason=Stop.MAX_RUNTIME)
    assert subject.deadline == 60.0
    assert acts(subject, 60.5) == [(Act.SIGTERM, 60.0)]
    subject.delivered(Act.SIGTERM)
    assert subject.deadline == 60.0 + STOP_GRACE_SECONDS
    assert subject.outcome(0) is Outcome.STOPPED
    assert subject.stopping is Stop.MAX_RUNTIME


def test_max_runtime_does_not_stop_what_is_being_reclaimed_already() -> None:
    subject = machine(stop_at=14.0, stop_reason=Stop.MAX_RUNTIME)
    subject.on_event(reading(2.0, 4))
    subject.due(12.0)
    subject.delivered(Act.SIGTERM)
    assert acts(subject, 14.0) == []
    assert subject.deadline == 17.0
