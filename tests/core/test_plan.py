"""When the instance is taken away: what people may write, and when a trigger has come."""

from __future__ import annotations

import random

import pytest

from simulator.core.errors import ExitCode, UsageError
from simulator.core.plan import DEFAULT_PROFILE, PROFILES, Plan, Trigger, TriggerWatch, When, parse_when, profile_named
from simulator.core.timeline import Event, Kind


@pytest.mark.parametrize(
    ("text", "trigger"),
    [
        ("60s", Trigger("60s", When.SECONDS, 60)),
        ("0.5s", Trigger("0.5s", When.SECONDS, 0.5)),
        ("step=200", Trigger("step=200", When.METRIC, 200, "step")),
        ("epoch=3", Trigger("epoch=3", When.METRIC, 3, "epoch")),
        ("loss=0.5", Trigger("loss=0.5", When.METRIC, 0.5, "loss")),
        ("line=saved (.*)=", Trigger("line=saved (.*)=", When.LINE, name="saved (.*)=")),
        ("line=1..3", Trigger("line=1..3", When.LINE, name="1..3")),
        ("checkpoint=2", Trigger("checkpoint=2", When.CHECKPOINT, 2)),
        ("save", Trigger("save", When.SAVE, 1)),
        ("save=3", Trigger("save=3", When.SAVE, 3)),
        ("upload", Trigger("upload", When.UPLOAD, 1)),
        ("upload=4", Trigger("upload=4", When.UPLOAD, 4)),
        ("uploaded", Trigger("uploaded", When.UPLOADED, 1)),
        ("uploaded=2", Trigger("uploaded=2", When.UPLOADED, 2)),
        ("start", Trigger("start", When.START)),
        ("restored", Trigger("restored", When.RESTORED)),
        ("download", Trigger("download", When.DOWNLOAD)),
    ],
)
def test_a_when_is_read(text: str, trigger: Trigger) -> None:
    assert parse_when(text) == trigger


@pytest.mark.parametrize(
    "text",
    [
        "",
        "60",
        "step",
        "step=",
        "=5",
        "step=many",
        "line=(",
        "checkpoint=0",
        "checkpoint=1.5",
        "save=0",
        "upload=0.5",
        "uploaded=-1",
        "start=1",
        "download=2",
        "restored=1",
        "-5s",
        "s",
        "SAVE",
        "step=nan",
        "step=inf",
    ],
)
def test_a_when_that_is_none_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_when(text)
    assert refused.value.exit_code is ExitCode.USAGE
    assert "60s" in refused.value.next_step


@pytest.mark.parametrize(
    ("text", "low", "high"), [("step=50..200", 50, 200), ("20..60s", 20, 60), ("step=7..7", 7, 7), ("save=2..9", 2, 9)]
)
def test_a_range_is_drawn_within_its_ends(text: str, low: int, high: int) -> None:
    drawn = {parse_when(text, random.Random(seed)).value for seed in range(20)}
    assert min(drawn) >= low and max(drawn) <= high


def test_the_same_seed_draws_the_same() -> None:
    one, other = (parse_when("step=1..1000000", random.Random(7)) for _ in range(2))
    assert one == other
    assert parse_when(one.text) == one, "the text that is kept is the one that was drawn, so that a replay agrees"


def test_a_range_of_fractions_is_drawn_within_its_ends() -> None:
    assert 0.25 <= parse_when("loss=0.25..0.75", random.Random(1)).value <= 0.75


def test_each_attempt_has_its_own_trigger_and_the_last_is_left_alone() -> None:
    plan = Plan([parse_when("10s"), parse_when("save")], PROFILES[DEFAULT_PROFILE])
    assert [trigger and trigger.text for trigger in map(plan.trigger_of, (1, 2, 3))] == ["10s", "save", None]
    assert plan.without_interruptions().trigger_of(1) is None


def test_a_profiles_numbers_can_be_replaced() -> None:
    profile = profile_named("two-minute", 5, 3)
    assert (profile.name, profile.warning_seconds, profile.grace_seconds) == ("two-minute", 5, 3)


@pytest.mark.parametrize(
    ("name", "warning", "grace"),
    [("no-such", None, None), ("two-minute", -1, None), ("two-minute", None, -1), ("sudden", 5, None)],
)
def test_a_profile_that_makes_no_sense_is_refused(name: str, warning: float | None, grace: float | None) -> None:
    with pytest.raises(UsageError):
        profile_named(name, warning, grace)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_every_profile_names_its_source(profile: object) -> None:
    assert getattr(profile, "source", "")


def event(kind: Kind, at: float = 1.0, **data: object) -> Event:
    return Event(at, kind, 1, data)


def test_seconds_count_from_the_start_of_training() -> None:
    watch = TriggerWatch(parse_when("60s"))
    assert watch.deadline is None
    assert not watch.observe(event(Kind.PROCESS_STARTED, at=12.5))
    assert watch.deadline == 72.5


@pytest.mark.parametrize(("value", "come"), [(199, False), (200, True), (210, True), (float("nan"), False)])
def test_a_metric_comes_when_it_reaches_its_value(value: float, come: bool) -> None:
    watch = TriggerWatch(parse_when("step=200"))
    assert watch.observe(event(Kind.METRIC, name="step", value=value)) is come


def test_another_metric_is_not_waited_for() -> None:
    assert not TriggerWatch(parse_when("step=2")).observe(event(Kind.METRIC, name="epoch", value=3))


def test_a_checkpoint_comes_with_the_write_that_makes_its_count() -> None:
    watch = TriggerWatch(parse_when("checkpoint=2"))
    assert [watch.observe(event(Kind.FILE_SETTLED, path="a")) for _ in range(2)] == [False, True]


@pytest.mark.parametrize(
    ("when", "kind"),
    [("save", Kind.FILE_CHANGED), ("upload", Kind.UPLOAD_STARTED)],
)
def test_a_moment_comes_with_its_event(when: str, kind: Kind) -> None:
    watch = TriggerWatch(parse_when(when))
    assert not watch.observe(event(Kind.FILE_SETTLED, path="a"))
    assert watch.observe(event(kind, path="a"))


@pytest.mark.parametrize(
    ("when", "kind"),
    [
        ("save=3", Kind.FILE_CHANGED),
        ("checkpoint=3", Kind.FILE_SETTLED),
        ("upload=3", Kind.UPLOAD_STARTED),
        ("uploaded=3", Kind.UPLOAD_FINISHED),
    ],
)
def test_what_comes_often_comes_with_its_number(when: str, kind: Kind) -> None:
    watch = TriggerWatch(parse_when(when))
    assert [watch.observe(event(kind, path=f"{number}.npz")) for number in range(4)] == [False, False, True, True]


@pytest.mark.parametrize(
    "seen",
    [["a.tmp", "a", "b.tmp", "b"], ["a", "b"], ["a.tmp", "a", "b"], ["a", "b.tmp", "b"], ["tmp3f9x_zq", "a", "b"]],
    ids=" ".join,
)
def test_a_file_written_aside_is_one_save_whether_or_not_it_was_noticed(seen: list[str]) -> None:
    watch = TriggerWatch(parse_when("save=3"))
    assert not any(watch.observe(event(Kind.FILE_CHANGED, path=path)) for path in seen)
    assert watch.observe(event(Kind.FILE_CHANGED, path="c.tmp"))


def test_a_file_written_aside_is_no_checkpoint_in_s3() -> None:
    watch = TriggerWatch(parse_when("uploaded"))
    assert not watch.observe(event(Kind.UPLOAD_FINISHED, path="a.tmp"))
    assert watch.observe(event(Kind.UPLOAD_FINISHED, path="a"))


def test_the_start_is_when_the_process_is_there() -> None:
    watch = TriggerWatch(parse_when("start"))
    assert not watch.observe(event(Kind.RESTORE_FINISHED, objects=1))
    assert watch.observe(event(Kind.PROCESS_STARTED))


@pytest.mark.parametrize(("when", "kind"), [("download", Kind.RESTORE_STARTED), ("restored", Kind.RESTORE_FINISHED)])
@pytest.mark.parametrize(("objects", "come"), [(0, False), (3, True)])
def test_a_restore_can_be_met_only_where_there_is_something_to_restore(
    when: str, kind: Kind, objects: int, come: bool
) -> None:
    assert TriggerWatch(parse_when(when)).observe(event(kind, objects=objects)) is come


def test_a_line_comes_anywhere_in_it() -> None:
    watch = TriggerWatch(parse_when("line=saved .* 10$"))
    assert not watch.observe_line("saved step 100")
    assert watch.observe_line("INFO saved step 10")
    assert not TriggerWatch(parse_when("save")).observe_line("save")
