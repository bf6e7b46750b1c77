"""Jobs with several hosts are judged as the leading host alone would be, and by all hosts' files: no host adds a false
alarm, and none hides what went wrong."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.core.hosts import as_judged
from simulator.core.timeline import Event, Kind, Timeline
from simulator.verdict import Answer, Verdict, judge
from tests.checks.build import SCRIPT_AS_PID_1, Run, interrupted, train
from tests.checks.several_hosts import (
    FILES,
    HOSTS,
    Change,
    event_with,
    on_hosts,
    only_lives,
    renamed,
    saves_too,
    with_files,
)
from tests.checks.test_no_false_alarms import run_of


def told(verdict: Verdict) -> dict[str, Any]:
    """All of a verdict, but for the log's name, which has the host in it."""
    facts = verdict.as_dict()
    facts["reason"]["next_step"] = facts["reason"]["next_step"].replace(f".{HOSTS[0]}.log", ".log")
    return facts


def rules(timeline: Timeline) -> list[str]:
    return [finding.rule for finding in judge(timeline).findings]


def of_rank(path: str) -> str:
    return path.replace(".npz", "-rank-1.npz")


drawn = given(st.integers(0, 400), st.booleans(), st.sampled_from([0.0, 0.01, 0.12, 0.4, 1.3]))


@settings(max_examples=40, deadline=None)
@drawn
def test_hosts_that_only_live_change_no_verdict(seed: int, loads: bool, late: float) -> None:
    timeline = run_of(seed, loads).timeline()
    assert told(judge(on_hosts(timeline, only_lives))) == told(judge(timeline))


@settings(max_examples=60, deadline=None)
@drawn
def test_hosts_that_write_the_same_files_with_the_same_bytes_change_no_verdict(
    seed: int, loads: bool, late: float
) -> None:
    timeline = run_of(seed, loads).timeline()
    assert told(judge(on_hosts(timeline, saves_too(timeline, late)))) == told(judge(timeline))


@settings(max_examples=40, deadline=None)
@drawn
def test_hosts_that_log_the_same_change_no_verdict(seed: int, loads: bool, late: float) -> None:
    timeline = run_of(seed, loads).timeline()
    hosts = ("algo-1", "algo-2", "algo-3")
    assert told(judge(on_hosts(timeline, saves_too(timeline, late, talks=True), hosts))) == told(judge(timeline))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 400), st.booleans(), st.sampled_from([0.0, 0.01, 0.12, 0.4]))
def test_shards_convict_nobody_whom_one_host_would_not_and_acquit_nobody(seed: int, loads: bool, late: float) -> None:
    def shard(path: str) -> str:
        return f"algo-2/{path}"

    alone = run_of(seed, loads).timeline()
    one = judge(alone).verdict
    both = judge(with_files(on_hosts(alone, renamed(saves_too(alone, late), shard)), shard)).verdict
    assert both is not Answer.FAILED or one is Answer.FAILED
    assert both is not Answer.SURVIVED or one is Answer.SURVIVED


# (a) Only the leader saves.


def test_a_leader_that_saves_for_all_survives() -> None:
    timeline = interrupted(51, save_every=10).timeline()
    assert judge(on_hosts(timeline, only_lives)).verdict is Answer.SURVIVED


def test_a_worker_without_a_model_is_no_lost_model() -> None:
    timeline = on_hosts(interrupted(51, save_every=10).timeline(), only_lives)
    assert "SPOT012" not in rules(timeline)
    without = Timeline(event_with(e, files={}) if e.kind is Kind.MODEL_FILES else e for e in timeline)
    assert "SPOT012" in rules(without)


# (b) Shards.


def shards(late: float = 0.2, resume_at: int = 51, size: int = 1000) -> Timeline:
    def small(event: Event) -> Event | None:
        copy = follow(event)
        return event_with(copy, bytes=size) if copy is not None and "bytes" in copy.data else copy

    alone = interrupted(resume_at, save_every=10).timeline()
    follow = renamed(saves_too(alone, late), of_rank)
    return with_files(on_hosts(alone, small), of_rank)


@pytest.mark.parametrize("late", [0.0, 0.05, 0.3, 0.7, 3.0])
def test_shards_that_all_come_back_survive_however_far_the_hosts_drift_apart(late: float) -> None:
    verdict = judge(shards(late))
    assert (verdict.verdict, verdict.findings) == (Answer.SURVIVED, [])


def test_a_smaller_shard_of_another_host_is_no_torn_one() -> None:
    assert rules(shards(size=300)) == []


def test_shards_that_nobody_loads_are_convicted() -> None:
    assert "SPOT002" in rules(shards(resume_at=1))


def test_a_last_save_that_a_slower_host_did_not_finish_excuses_going_back_to_the_one_before() -> None:
    run = Run(interrupt="step=51")
    with run.attempt() as first:
        train(first, 1, 52, save_every=10)
        first.trigger()
        first.wait(0.2)
        first.kill()
    with run.attempt() as second:
        train(second, 41, 101, save_every=10)
        second.exit()
    alone = run.timeline()
    assert rules(alone) == ["SPOT003"]
    slow = on_hosts(alone, renamed(saves_too(alone, late=1.1), of_rank))
    lost = {of_rank("ckpt-50.npz")}

    def held(path: str) -> str:
        return of_rank(path) if of_rank(path) not in lost else path

    assert "SPOT003" not in rules(with_files(slow, held))


def test_drifting_shards_are_not_twice_as_many_saves() -> None:
    """SPOT010 says nothing below sixteen saves, of however many hosts."""
    alone = interrupted(51, kill_at=58, stop=131, save_every=10).timeline()
    assert rules(alone) == rules(with_files(on_hosts(alone, renamed(saves_too(alone, 3.0), of_rank)), of_rank)) == []
    longer = interrupted(51, kill_at=58, stop=201, save_every=10).timeline()
    assert "SPOT010" in rules(with_files(on_hosts(longer, renamed(saves_too(longer, 3.0), of_rank)), of_rank))


def test_a_save_on_sigterm_is_a_reaction_of_the_host_that_made_it_however_hosts_drift() -> None:
    run = Run(interrupt="step=57", profile="two-minute")
    with run.attempt() as first:
        train(first, 1, 58, save_every=20)
        first.trigger()
        train(first, 58, 71, save_every=20)
        first.sigterm(SCRIPT_AS_PID_1)
        first.save("ckpt-70.npz")
        first.wait(120)
        first.kill()
    with run.attempt() as second:
        train(second, 71, 101, save_every=20)
        second.exit()
    alone = run.timeline()
    assert rules(alone) == rules(with_files(on_hosts(alone, renamed(saves_too(alone, 1.4), of_rank)), of_rank)) == []


def test_a_follower_that_says_that_its_shard_is_torn_has_said_it_for_all() -> None:
    alone = _passed_over_in_silence()
    assert rules(alone) == ["SPOT004"]

    def speaks(event: Event) -> Event | None:
        said = ["rank 1: ckpt-50 is truncated, falling back to ckpt-40"]
        return event_with(event, log_about_checkpoints=said) if event.kind is Kind.PROCESS_EXITED else only_lives(event)

    assert rules(on_hosts(alone, speaks)) == []
    assert rules(on_hosts(alone, only_lives)) == ["SPOT004"]


def _passed_over_in_silence() -> Timeline:
    run = Run(interrupt="step=50")
    with run.attempt() as first:
        train(first, 1, 50, save_every=10)
        first.wait(1)
        first.log("step=50 loss=0.02")
        first.save("ckpt-50.npz", 400, 0.1, 0.1)
        first.trigger()
        first.wait(0.3)
        first.kill()
    with run.attempt() as second:
        second.about = ["loaded ckpt-40.npz"]
        train(second, 41, 101, save_every=10)
        second.exit()
    return run.timeline()


# (c), (d) The same name on all hosts.


@pytest.mark.parametrize("name", ["ckpt-{}.npz", "state.npz"])
@pytest.mark.parametrize("late", [0.0, 0.12, 0.25, 1.0, 4.0])
def test_the_same_name_with_the_same_bytes_is_no_torn_write_and_no_collision(name: str, late: float) -> None:
    alone = interrupted(51, save_every=10, name=name).timeline()
    verdict = judge(on_hosts(alone, saves_too(alone, late)))
    assert (verdict.verdict, verdict.findings) == (Answer.SURVIVED, [])


@pytest.mark.parametrize("name", ["ckpt-{}.npz", "state.npz"])
def test_the_same_name_with_other_bytes_is_a_collision_and_nothing_else(name: str) -> None:
    alone = interrupted(51, save_every=10, name=name).timeline()
    verdict = judge(on_hosts(alone, saves_too(alone, 0.12, digest=" of rank 1")))
    assert {finding.rule for finding in verdict.findings} == {"SPOT018"}
    assert verdict.verdict is Answer.FAILED


# (e) The leader rotates; others keep what was restored to them.


def test_old_checkpoints_that_only_the_leader_deletes_are_deleted() -> None:
    alone = _rotating()
    assert rules(alone) == []
    assert rules(on_hosts(alone, only_lives)) == []


def _rotating() -> Timeline:
    run = Run(interrupt="step=171")
    with run.attempt() as first:
        for step in range(1, 172):
            train(first, step, step + 1, save_every=10)
            if step % 10 == 0 and step > 30:
                first.add(Kind.FILE_DELETED, path=f"ckpt-{step - 30}.npz")
                run.s3.pop(f"ckpt-{step - 30}.npz", None)
        first.trigger()
        first.wait(0.5)
        first.kill()
    run.s3 = {path: facts for path, facts in run.s3.items() if path in ("ckpt-150.npz", "ckpt-160.npz", "ckpt-170.npz")}
    run.events = [
        event_with(e, files=dict(run.s3)) if e.kind is Kind.MANIFEST and e.data["when"] == "kill" else e
        for e in run.events
    ]
    with run.attempt() as second:
        train(second, 171, 201, save_every=10)
        second.exit()
    return run.timeline()


def test_stale_copies_on_other_hosts_are_not_the_last_checkpoint() -> None:
    def read(digest: str, host: str) -> Event:
        facts = {"place": "checkpoints", "when": "end", "path": "state.npz", "format": "npz", "digest": digest}
        return Event(400.0, Kind.STATE, 2, {**facts, "host": host})

    alone = interrupted(51, save_every=10, name="state.npz").timeline()
    timeline = on_hosts(alone, only_lives)
    states = [read("new", "algo-1"), read("as it was restored", "algo-2")]
    ended = as_judged(Timeline([*timeline, *states])).of(Kind.STATE)
    assert [event.data["digest"] for event in ended] == ["new"]


# (f) is the property above; a rank 0 elsewhere is here.


def test_progress_is_read_from_another_host_where_the_leader_logs_none() -> None:
    def quiet_leader(timeline: Timeline) -> Timeline:
        both = on_hosts(timeline, saves_too(timeline, talks=True))
        return Timeline(e for e in both if not (e.kind is Kind.METRIC and e.data["host"] == "algo-1"))

    alone = interrupted(51, save_every=10).timeline()
    assert told(judge(quiet_leader(alone))) == told(judge(alone))


# (g) Another host fails, and the leader is killed for it.


def failing(code: int, tail: Sequence[str], resumed: int = 0, at: int = 51) -> Timeline:
    """`at` in the second attempt the job fails; algo-2 exits with the code, and 0.1 s later algo-1 is gone."""
    run = Run(interrupt="step=57")
    with run.attempt() as first:
        train(first, 1, 58, save_every=10)
        first.trigger()
        first.wait(0.5)
        first.kill()
    with run.attempt() as second:
        second.tail = tail
        train(second, at, at + resumed, save_every=10)
        second.exit(code)
    events: list[Event] = []
    for event in on_hosts(run.timeline(), only_lives):
        if event.kind is Kind.PROCESS_EXITED and event.attempt == 2:
            if event.data["host"] == "algo-1":
                killed = {"exit_code": 137, "log_tail": ["waiting for the others"]}
                events.append(event_with(event, event.at + 0.1, **killed))
            else:
                events.append(event_with(event, log_tail=list(tail)))
        else:
            events.append(event)
    return Timeline(sorted(events, key=lambda event: event.at))


def test_the_verdict_names_the_host_that_ended_the_job_its_exit_code_and_its_log() -> None:
    verdict = judge(failing(7, ["training", "CUDA error: out of memory"], resumed=30))
    assert verdict.verdict is Answer.FAILED
    assert verdict.reason.why.startswith("attempt 2 exited with 7 on algo-2")
    assert verdict.reason.why.endswith(": CUDA error: out of memory")
    assert "logs/attempt-2.algo-2.log" in verdict.reason.next_step


def test_a_host_that_dies_on_what_was_restored_is_named_with_its_own_words() -> None:
    findings = judge(failing(1, ["Traceback", "KeyError: 'rank-1'"])).findings
    assert [finding.rule for finding in findings] == ["SPOT017"]
    assert findings[0].message.startswith("Attempt 2 on algo-2 exited with 1")
    assert findings[0].message.endswith("KeyError: 'rank-1'")
    assert findings[0].evidence["host"] == "algo-2"


def test_a_leader_that_fails_itself_is_not_called_by_name() -> None:
    run = interrupted(51, save_every=10)
    failed = [event_with(e, exit_code=3) if e.kind is Kind.PROCESS_EXITED and e.attempt == 2 else e for e in run.events]
    failed = [event_with(e, outcome="failed") if e.kind is Kind.ATTEMPT_ENDED and e.attempt == 2 else e for e in failed]
    failed = [event_with(e, status="Failed") if e.data.get("status") == "Completed" else e for e in failed]
    alone = Timeline(sorted(failed, key=lambda event: event.at))
    verdict = judge(on_hosts(alone, only_lives))
    assert verdict.reason.why == judge(alone).reason.why
    assert "logs/attempt-2.algo-1.log" in verdict.reason.next_step


def test_a_leader_that_is_done_early_hides_no_interruption() -> None:
    alone = interrupted(51, save_every=10).timeline()
    timeline = on_hosts(alone, saves_too(alone))
    gone = (Kind.KILLED, Kind.PROCESS_EXITED)
    events = [e for e in timeline if not (e.attempt == 1 and e.kind in gone and e.data["host"] == "algo-1")]
    early = next(event.at for event in events if event.kind is Kind.TRIGGER_FIRED) - 5
    events.append(Event(early, Kind.PROCESS_EXITED, 1, {"exit_code": 0, "log_tail": [], "host": "algo-1"}))
    assert judge(Timeline(sorted(events, key=lambda event: event.at))).verdict is Answer.SURVIVED


def test_many_hosts_take_no_noticeable_time_more() -> None:
    alone = interrupted(2001, kill_at=2008, stop=4000, save_every=10).timeline()
    hosts = tuple(f"algo-{number}" for number in range(1, 9))
    follow: Change = saves_too(alone, random.Random(1).random(), talks=True)
    timeline = on_hosts(alone, follow, hosts)
    assert len(timeline) > 50_000 and len([event for event in as_judged(timeline) if event.kind in FILES]) < 3000
