"""The states that S3 can be left in, against a model that tries everything, and by the names that people read."""

from __future__ import annotations

from itertools import chain, combinations

from hypothesis import given
from hypothesis import strategies as st

from simulator.checkpoints.s3 import PART_BYTES
from simulator.explore.operations import Act, Cut, Operation
from simulator.explore.states import (
    BOUND,
    IN_FLIGHT_SECONDS,
    CrashState,
    History,
    StateKind,
    crash_states,
    nothing_was_left,
    nothing_was_saved,
    whole_save_in,
)


def put(path: str, at: float, digest: str = "", **facts: object) -> Operation:
    fields = {"bytes": 10, **facts}
    return Operation(Act.PUT, path, at, at, at + 0.01, digest or f"{path}@{at:g}", **fields)  # type: ignore[arg-type]


def delete(path: str, at: float) -> Operation:
    return Operation(Act.DELETE, path, at, at, at)


def history(*operations: Operation, ends_at: float = 100.0, logged_at: tuple[float, ...] = ()) -> History:
    return History.of(operations, ends_at, logged_at)


def two_saves(**facts: object) -> History:
    """Two saves of two files, ten seconds apart, with training in between."""
    return history(
        put("w", 1, "w1", **facts),
        put("s", 1.1, "s1", **facts),
        put("w", 11, "w2", **facts),
        put("s", 11.1, "s2", **facts),
        logged_at=(0.5, 5.0, 10.0, 20.0),
    )


def objects_of(states: list[CrashState]) -> set[frozenset[tuple[str, str]]]:
    return {frozenset(state.objects.items()) for state in states}


@st.composite
def histories(draw: st.DrawFn) -> History:
    at, operations = 0.0, []
    for number in range(draw(st.integers(0, 7))):
        at += draw(st.sampled_from([0.1, 1.0, 3.0]))
        path = draw(st.sampled_from("abc"))
        cuts = (Cut(5, 5, f"torn {number}"),) if draw(st.booleans()) else ()
        is_put = draw(st.integers(0, 3)) > 0
        operations.append(put(path, at, str(number), cuts=cuts) if is_put else delete(path, at))
    return history(*operations)


def model(operations: tuple[Operation, ...]) -> set[frozenset[tuple[str, str]]]:
    """Everything that can be: a prefix, then any of the next three operations that may have overtaken the others."""
    found = set()

    def note(chosen: list[Operation], torn: Operation | None = None, place: int = 0) -> None:
        held: dict[str, str] = {}
        for number, operation in enumerate([*chosen, None]):
            if torn is not None and number == place:
                held[torn.path] = torn.cuts[0].digest
            if operation is not None:
                held.pop(operation.path, None)
                if operation.act is Act.PUT:
                    held[operation.path] = operation.digest
        found.add(frozenset(held.items()))

    for count in range(len(operations) + 1):
        prefix, window = list(operations[:count]), operations[count : count + BOUND]
        for subset in chain.from_iterable(combinations(window, size) for size in range(len(window) + 1)):
            missed = [o for o in window if o not in subset and subset and o.began_at < subset[-1].began_at]
            if all(
                o.began_at < late.ended_at + IN_FLIGHT_SECONDS
                for late in missed
                for o in subset
                if o is not late and o.began_at > late.began_at
            ):
                note(prefix + list(subset))
                if window and window[0].cuts and window[0] not in subset:
                    note(prefix + list(subset), window[0], count)
    return found


@given(histories())
def test_every_state_of_the_model_is_found_once_and_no_other(run: History) -> None:
    states = crash_states(run)

    assert objects_of(states) == model(tuple(run.operations))
    assert len(states) == len({(*state.objects.items(), nothing_was_saved(run, state)) for state in states})
    assert len({state.name for state in states}) == len(states)


@given(histories(), st.integers(0, 9))
def test_fewer_states_are_the_first_of_all_and_the_order_is_always_the_same(run: History, most: int) -> None:
    assert crash_states(run, most) == crash_states(run)[:most]


@given(histories())
def test_a_state_is_told_by_the_operations_that_it_had(run: History) -> None:
    for state in crash_states(run):
        held: dict[str, str] = {}
        for index in range(state.after):
            operation = run.operations[index]
            if state.torn is not None and state.torn.operation == index:
                held[state.torn.path] = state.torn.cut.digest
            if index in state.done and operation.act is Act.PUT:
                held[operation.path] = operation.digest
            elif index in state.done:
                held.pop(operation.path, None)
        if state.torn is not None and state.torn.operation >= state.after:
            held[state.torn.path] = state.torn.cut.digest
        assert state.objects == held
        assert state.at_seconds < run.ends_at


def test_new_weights_with_the_old_position_are_mixed_generations() -> None:
    mixed = [state for state in crash_states(two_saves()) if state.objects == {"w": "w2", "s": "s1"}]

    assert [state.kind for state in mixed] == [StateKind.MIXED]
    assert "the last one w" in mixed[0].how


def test_uploads_of_one_save_overtake_each_other() -> None:
    assert {"s": "s2", "w": "w1"} in [dict(state.objects) for state in crash_states(two_saves())]


def test_an_upload_does_not_outlast_the_next_save_by_far() -> None:
    assert {"w": "w2"} not in [dict(state.objects) for state in crash_states(two_saves())]


def test_a_part_of_the_first_save_is_a_save_with_files_missing_and_nothing_to_resume_from() -> None:
    run = two_saves()
    state = next(state for state in crash_states(run) if state.objects == {"w": "w1"})

    assert state.kind is StateKind.INCOMPLETE
    assert nothing_was_saved(run, state)


def test_once_a_save_was_whole_there_is_something_to_resume_from_even_if_it_was_deleted_since() -> None:
    run = history(put("ckpt-1", 1), delete("ckpt-1", 9), logged_at=(0.5, 8))
    emptied = next(state for state in crash_states(run) if state.after == 2)

    assert not emptied.objects
    assert not nothing_was_saved(run, emptied)


def test_a_file_whose_companion_never_came_is_nothing_to_resume_from() -> None:
    run = history(
        put("best", 1), put("last", 1.1), put("best", 11), put("last", 11.1), logged_at=(0.5, 5, 10, 20), ends_at=30
    )
    early = next(state for state in crash_states(run) if set(state.objects) == {"best"})
    late = next(state for state in crash_states(run) if state.objects == {"best": "best@11", "last": "last@1.1"})

    assert nothing_was_saved(run, early)
    assert not nothing_was_saved(run, late)


def test_a_file_that_comes_once_is_no_companion_that_is_waited_for() -> None:
    run = history(put("w", 1), put("w", 11), put("final", 11.1), logged_at=(0.5, 5, 10))
    first = next(state for state in crash_states(run) if state.objects == {"w": "w@1"})

    assert not nothing_was_saved(run, first)


def test_a_save_is_whole_although_an_index_names_a_newer_one_that_never_came() -> None:
    run = history(
        put("ckpt-1.data", 1),
        put("checkpoint", 1.1, "names 1", names=("ckpt-1.data",)),
        put("checkpoint", 11, "names 2", names=("ckpt-2.data",)),
        put("ckpt-2.data", 11.1),
        logged_at=(0.5, 5, 9, 20),
    )
    early, late = (next(state for state in crash_states(run) if state.after == after) for after in (1, 3))

    assert whole_save_in(run, early) == ()
    assert whole_save_in(run, late) == ("ckpt-1.data", "checkpoint")


def test_a_save_is_not_whole_once_one_of_its_files_was_deleted_or_written_over() -> None:
    run = two_saves()
    mixed = next(state for state in crash_states(run) if state.objects == {"w": "w2", "s": "s1"})
    deleting = history(put("a", 1), put("b", 1.1), delete("a", 9), logged_at=(0.5, 5))
    deleted = next(state for state in crash_states(deleting) if state.objects == {"b": "b@1.1"} and state.after == 3)

    assert whole_save_in(run, mixed) == whole_save_in(deleting, deleted) == ()


def test_a_large_file_that_never_arrived_is_a_multipart_upload_never_completed() -> None:
    large = Operation(Act.PUT, "model.bin", 1, 1, 9, "large", PART_BYTES + 1)
    state = next(state for state in crash_states(history(put("meta", 0.5), large)) if state.after == 1)
    late = next(
        state for state in crash_states(history(large, put("meta", 10))) if state.objects == {"meta": "meta@10"}
    )

    assert state.objects == {"meta": "meta@0.5"}
    assert late.kind is StateKind.MULTIPART
    assert f"the multipart upload of model.bin ({PART_BYTES + 1} bytes) was never completed" in late.how


def test_an_index_file_that_names_what_never_came_disagrees_with_the_files() -> None:
    run = history(put("ckpt-1.data", 1), put("checkpoint", 1.1, names=("ckpt-1.data",)))
    early = next(state for state in crash_states(run) if set(state.objects) == {"checkpoint"})

    assert early.kind is StateKind.INDEX


def test_an_index_file_older_than_the_newest_file_disagrees_too() -> None:
    run = history(
        put("ckpt-1.data", 1),
        put("checkpoint", 1.1, "names 1", names=("ckpt-1.data",)),
        put("ckpt-2.data", 11),
        put("checkpoint", 11.1, "names 2", names=("ckpt-2.data",)),
        logged_at=(0.5, 5, 9, 20),
    )
    state = next(
        s for s in crash_states(run) if s.objects.get("checkpoint") == "names 1" and "ckpt-2.data" in s.objects
    )

    assert state.kind is StateKind.INDEX


def test_a_file_written_in_place_is_captured_half_written_before_and_while_later_files_go_up() -> None:
    run = history(put("w", 1, "w1", cuts=(Cut(5, 5, "half of w"),)), put("s", 1.1, "s1"))
    torn = [state for state in crash_states(run) if state.kind is StateKind.TORN]

    assert objects_of(torn) == {frozenset({("w", "half of w")}), frozenset({("s", "s1"), ("w", "half of w")})}


def test_odd_states_come_before_plain_ones() -> None:
    kinds = [state.kind for state in crash_states(two_saves(cuts=(Cut(5, 5, "half"),)))]

    assert {kinds[0], kinds[1]} == {StateKind.MIXED, StateKind.TORN}
    assert kinds[-1] is StateKind.IN_ORDER


def test_after_the_last_save_of_a_training_that_was_done_nothing_is_left() -> None:
    run = history(put("w", 1), put("w", 11), logged_at=(0.9, 5, 10.99))
    first, last = (next(s for s in crash_states(run) if s.objects == {"w": f"w@{at}"}) for at in (1, 11))

    assert nothing_was_left(run, last)
    assert not nothing_was_left(run, first)
