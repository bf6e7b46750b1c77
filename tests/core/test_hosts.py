"""One story of several hosts: whose word is taken for what, and that one host's timeline is left alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from simulator.core.hosts import as_judged, ended_by, exit_codes, hosts_of, is_a_followers, log_name
from simulator.core.timeline import Event, Kind, Timeline

HOSTS = ["algo-1", "algo-2", "algo-3"]


def attempt(*events: Event, outcome: str = "completed", number: int = 1, hosts: list[str] = HOSTS) -> Timeline:
    began = Event(0.0, Kind.ATTEMPT_STARTED, number, {"host": hosts[0], "hosts": hosts})
    return Timeline([began, *events, Event(99.0, Kind.ATTEMPT_ENDED, number, {"outcome": outcome})])


def of(host: str, kind: Kind, at: float = 1.0, **data: object) -> Event:
    return Event(at, kind, 1, {**data, "host": host})


def told(timeline: Timeline, *kinds: Kind) -> list[tuple[str, object]]:
    """Host and whatever else an event says first."""
    facts = [dict(event.data) for event in as_judged(timeline).of(*kinds)]
    return [(fact.pop("host", ""), next(iter(fact.values()), None)) for fact in facts]


names = st.sampled_from(HOSTS)
whatever = st.builds(
    lambda host, kind, at, path, code, digest, when, place: of(
        host,
        kind,
        at,
        path=path,
        exit_code=code,
        digest=digest,
        when=when,
        place=place,
        observed=code == 137,
        files={path: {"bytes": 1, "digest": digest}},
    ),
    names,
    st.sampled_from([kind for kind in Kind if kind not in (Kind.ATTEMPT_STARTED, Kind.ATTEMPT_ENDED)]),
    st.floats(0, 90),
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from([0, 1, 137]),
    st.sampled_from(["x", "y"]),
    st.sampled_from(["kill", "end", "written"]),
    st.sampled_from(["model", "checkpoints"]),
)


@given(st.lists(whatever, max_size=30), st.sampled_from(["completed", "failed", "reclaimed", "stopped"]))
def test_one_hosts_timeline_is_the_very_same(events: list[Event], outcome: str) -> None:
    alone = Timeline([Event(0.0, Kind.ATTEMPT_STARTED, 1, {"host": "algo-1"}), *events])
    assert as_judged(alone) is alone
    one = attempt(*events, outcome=outcome, hosts=["algo-1"])
    assert as_judged(one) is one


@given(st.lists(whatever, max_size=40), st.sampled_from(["completed", "failed", "reclaimed", "stopped"]))
def test_a_story_is_made_once_and_tells_each_path_of_one_host(events: list[Event], outcome: str) -> None:
    story = as_judged(attempt(*sorted(events, key=lambda event: event.at), outcome=outcome))
    assert list(as_judged(story)) == list(story)
    writes: dict[str, set[str]] = {}
    for event in story.of(Kind.FILE_CHANGED, Kind.FILE_SETTLED, Kind.UPLOAD_STARTED, Kind.UPLOAD_FINISHED):
        writes.setdefault(event.data["path"], set()).add(event.data.get("host", ""))
    assert all(len(hosts) == 1 for hosts in writes.values())
    assert len(story.of(Kind.MODEL_FILES)) == len({event.kind for event in events if event.kind is Kind.MODEL_FILES})


def test_metrics_are_the_leaders_or_the_first_hosts_that_logs_any() -> None:
    both = attempt(of("algo-2", Kind.METRIC, name="step"), of("algo-1", Kind.METRIC, name="step"))
    assert told(both, Kind.METRIC) == [("algo-1", "step")]
    others = attempt(of("algo-3", Kind.METRIC, name="step"), of("algo-2", Kind.METRIC, name="step"))
    assert told(others, Kind.METRIC) == [("algo-2", "step")]


def test_samples_that_every_host_tells_are_told_once() -> None:
    both = attempt(of("algo-1", Kind.SAMPLES, ids=[1, 2]), of("algo-2", Kind.SAMPLES, ids=[1, 2]))
    assert told(both, Kind.SAMPLES) == [("algo-1", [1, 2])]


def test_what_happens_to_all_and_what_has_no_host_stays() -> None:
    events = [
        Event(1.0, Kind.MANIFEST, 1, {"when": "restored", "files": {}}),
        Event(2.0, Kind.KILLED, 1, {"observed": True, "process": False}),
        of("algo-2", Kind.WRITTEN_PATHS, 3.0, paths=[]),
        of("algo-3", Kind.FILE_WRITERS, 3.0, files={}),
    ]
    assert list(as_judged(attempt(*events)))[1:-1] == events


def test_in_a_failed_attempt_the_process_is_that_of_the_host_that_failed_first() -> None:
    failed = attempt(
        of("algo-1", Kind.PROCESS_STARTED, 1.0),
        of("algo-2", Kind.PROCESS_STARTED, 1.0),
        of("algo-2", Kind.PROCESS_EXITED, 5.0, exit_code=7),
        of("algo-1", Kind.PROCESS_EXITED, 6.0, exit_code=137),
        outcome="failed",
    )
    assert told(failed, Kind.PROCESS_EXITED) == [("algo-2", 7)]
    assert ended_by(failed, 1) == "algo-2"
    assert exit_codes(failed, 1) == {"algo-2": 7, "algo-1": 137}


def test_nobody_else_is_named_where_the_leader_failed_or_nobody_did() -> None:
    exits = (
        of("algo-1", Kind.PROCESS_EXITED, 5.0, exit_code=1),
        of("algo-2", Kind.PROCESS_EXITED, 6.0, exit_code=137),
    )
    assert ended_by(attempt(*exits, outcome="failed"), 1) == ""
    assert ended_by(attempt(*exits, outcome="reclaimed"), 1) == ""
    alone = Timeline([Event(0.0, Kind.ATTEMPT_STARTED, 1, {"host": "algo-1"}), *exits[:1]])
    assert ended_by(alone, 1) == ""


def test_a_leader_that_had_left_before_the_reclaim_is_stood_in_for() -> None:
    reclaimed = attempt(
        of("algo-1", Kind.PROCESS_EXITED, 3.0, exit_code=0),
        of("algo-2", Kind.SIGNAL_SENT, 5.0, signal="SIGTERM", delivered=True),
        of("algo-2", Kind.KILLED, 9.0, observed=True),
        of("algo-2", Kind.PROCESS_EXITED, 9.0, exit_code=137),
        outcome="reclaimed",
    )
    assert [host for host, _ in told(reclaimed, Kind.SIGNAL_SENT, Kind.KILLED)] == ["algo-2", "algo-2"]
    assert told(reclaimed, Kind.PROCESS_EXITED) == [("algo-2", 137)]


def test_shards_keep_their_hosts() -> None:
    shards = attempt(*(of(host, Kind.FILE_SETTLED, path=f"shard-{host}") for host in HOSTS))
    assert told(shards, Kind.FILE_SETTLED) == [(host, f"shard-{host}") for host in HOSTS]


def test_a_path_of_several_hosts_has_the_story_of_the_one_whose_bytes_s3_held() -> None:
    def uploads(host: str, *digests: str) -> list[Event]:
        return [of(host, Kind.UPLOAD_FINISHED, digest=digest, path="state") for digest in digests]

    def held(digest: str) -> Event:
        return Event(9.0, Kind.MANIFEST, 1, {"when": "kill", "files": {"state": {"bytes": 1, "digest": digest}}})

    other = attempt(*uploads("algo-1", "a", "b"), *uploads("algo-2", "c", "d"), held("d"))
    assert told(other, Kind.UPLOAD_FINISHED) == [("algo-1", "c"), ("algo-1", "d")]
    same = attempt(*uploads("algo-2", "a", "b"), *uploads("algo-1", "a", "b"), held("b"))
    assert len(told(same, Kind.UPLOAD_FINISHED)) == 2
    lost_by_the_leader = attempt(*uploads("algo-1", "a"), *uploads("algo-2", "a", "b"), held("b"))
    assert told(lost_by_the_leader, Kind.UPLOAD_FINISHED) == [("algo-1", "a"), ("algo-1", "b")]


def test_a_copy_that_another_host_deletes_does_not_end_the_writers_file() -> None:
    events = attempt(
        of("algo-1", Kind.FILE_SETTLED, 1.0, path="new"),
        of("algo-2", Kind.FILE_DELETED, 2.0, path="new"),
        of("algo-2", Kind.FILE_DELETED, 2.0, path="restored"),
        of("algo-2", Kind.OBJECT_DELETED, 2.0, path="new"),
    )
    assert told(events, Kind.FILE_DELETED) == [("algo-2", "restored")]
    assert told(events, Kind.OBJECT_DELETED) == [("algo-2", "new")]


def test_the_model_is_that_of_all_hosts_the_leaders_file_before_others() -> None:
    def left(host: str, files: dict[str, str]) -> Event:
        return of(host, Kind.MODEL_FILES, files=files)

    models = attempt(left("algo-1", {"m": "1"}), left("algo-2", {"m": "2", "n": "2"}), left("algo-3", {}))
    assert told(models, Kind.MODEL_FILES) == [("algo-3", {"m": "1", "n": "2"})]


def test_states_at_the_end_are_the_writers_and_never_stale_copies() -> None:
    def state(host: str, place: str, path: str, when: str = "end") -> Event:
        return of(host, Kind.STATE, path=path, place=place, when=when)

    events = attempt(
        of("algo-2", Kind.FILE_SETTLED, path="shard-2"),
        *(state(host, "checkpoints", path) for host in HOSTS for path in ("shard-2", "old")),
        *(state(host, "model", "m") for host in HOSTS[1:]),
    )
    read = [(host, path) for host, path in told(events, Kind.STATE)]
    assert read == [("algo-1", "old"), ("algo-2", "shard-2"), ("algo-2", "m")]


def test_lines_about_checkpoints_are_those_of_all_hosts() -> None:
    def ended(host: str, *lines: str) -> Event:
        return of(host, Kind.PROCESS_EXITED, exit_code=0, log_about_checkpoints=list(lines))

    exited = as_judged(attempt(ended("algo-2", "torn: shard-2"), ended("algo-1", "loaded"))).of(Kind.PROCESS_EXITED)
    assert [event.data["log_about_checkpoints"] for event in exited] == [["loaded", "torn: shard-2"]]


def test_while_it_runs_followers_are_known_by_their_events() -> None:
    assert is_a_followers(of("algo-2", Kind.METRIC), HOSTS)
    assert not is_a_followers(of("algo-1", Kind.METRIC), HOSTS)
    assert not is_a_followers(of("algo-2", Kind.UPLOAD_FINISHED), HOSTS)
    assert not is_a_followers(Event(1.0, Kind.NOTICE_GIVEN, 1, {}), HOSTS)


def test_a_log_is_named_after_its_attempt_and_host() -> None:
    assert (log_name(2), log_name(2, "algo-1")) == ("attempt-2.log", "attempt-2.algo-1.log")
    assert hosts_of(attempt()) == HOSTS and hosts_of(Timeline()) == []
