"""SPOT008 and the bisector: what is blamed on the restart, on what evidence, and what never is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from simulator.checks import diverged
from simulator.checks.rule import Finding, Severity
from simulator.core.timeline import Event, Kind
from simulator.verdict import Answer, Baseline, Verdict, judge
from tests.checks.build import Attempt, Run, only

Line = Callable[[int], str]
Tensors = Mapping[str, object]


def usual(step: int) -> str:
    return f"step={step} loss={1 / step:.6f} lr={0.1 - step * 0.0005:.5f}"


def off(by: float, since: int = 51, until: int = 10_000, line: Line = usual) -> Line:
    """The usual log, its loss multiplied between two steps."""

    def changed(step: int) -> str:
        factor = by if since <= step < until else 1.0
        return f"step={step} loss={factor / step:.6f} {line(step).rpartition(' ')[2]}"

    return changed


def tensors(**values: object) -> dict[str, Any]:
    """Facts of tensors: a whole number has a value, anything else is a digest."""
    return {
        name: {"shape": [], "dtype": "int64", "digest": str(value), "value": value}
        if isinstance(value, int)
        else {"shape": [3], "dtype": "float32", "digest": str(value)}
        for name, value in values.items()
    }


def note(attempt: Attempt, path: str, held: Tensors, when: str = "written", place: str = "checkpoints") -> None:
    attempt.add(
        Kind.STATE, place=place, when=when, path=path, format="numpy", bytes=900, digest=str(held), tensors=held
    )


def walk(attempt: Attempt, first: int, stop: int, line: Line, held: Callable[[int], Tensors] | None) -> None:
    for step in range(first, stop):
        attempt.wait(1)
        attempt.log(line(step))
        if step % 10 == 0:
            attempt.save(f"ckpt-{step}.npz")
            if held is not None:
                note(attempt, f"ckpt-{step}.npz", held(step))


def run(
    second: Line = usual,
    *,
    first: Line = usual,
    held: Callable[[int], Tensors] | None = None,
    resumed: Callable[[int], Tensors] | None = None,
    model: Tensors | None = None,
) -> Run:
    """Killed at step 57, resumed at 51. `held` and `resumed`: what checkpoints hold, before and after."""
    story = Run(interrupt="step=57")
    with story.attempt() as attempt:
        walk(attempt, 1, 58, first, held)
        attempt.trigger()
        attempt.kill()
    with story.attempt() as attempt:
        walk(attempt, 51, 101, second, resumed or held)
        leave(attempt, second, model)
    return story


def leave(attempt: Attempt, line: Line, model: Tensors | None) -> None:
    """The end, with a model that is another where the log is."""
    same = all(line(step) == usual(step) for step in range(51, 101))
    attempt.model = {"model.npz": {"bytes": 4000, "digest": "usual" if same else line(100)}}
    if model is not None:
        note(attempt, "model.npz", model, "end", "model")
    attempt.exit()


def alone(line: Line = usual, held: Callable[[int], Tensors] | None = None, model: Tensors | None = None) -> Run:
    story = Run()
    with story.attempt() as attempt:
        walk(attempt, 1, 101, line, held)
        leave(attempt, line, model)
    return story


def findings(story: Run, *baselines: Run) -> list[Finding]:
    return diverged.check(story.evidence(*baselines))


def verdict(story: Run, *baselines: Run) -> Verdict:
    return judge(story.timeline(), baseline=Baseline([one.timeline() for one in baselines]))


def cause(story: Run, *baselines: Run) -> str:
    return str(only(findings(story, *baselines)).evidence["likely_cause"])


# Who is blamed.


def test_a_difference_since_the_restart_is_an_error_that_names_its_first_step() -> None:
    finding = only(findings(run(off(1.1)), alone(), alone()))
    assert (finding.severity, finding.attempt) == (Severity.ERROR, 2)
    assert "loss of step 51" in finding.message and finding.evidence["places_that_differ"] == 50
    assert verdict(run(off(1.1)), alone(), alone()).verdict is Answer.FAILED


def test_the_same_training_is_not_blamed() -> None:
    assert findings(run(), alone(), alone()) == []
    assert verdict(run(), alone(), alone()).tier == 1


def test_nothing_is_blamed_where_the_uninterrupted_runs_differ() -> None:
    story = run(off(1.1))
    assert findings(story, alone(), alone(off(1.05, since=1))) == []
    judged = verdict(story, alone(), alone(off(1.05, since=1)))
    assert (judged.verdict, judged.tier) == (Answer.SURVIVED, 3)
    assert any("not available" in line and "not to blame" in line for line in judged.not_proved)


def test_nothing_is_blamed_where_the_run_differed_before_it_was_interrupted() -> None:
    story = run(off(1.1), first=off(1.1, since=20))
    assert findings(story, alone(), alone()) == []
    assert any("before anything was restored" in line for line in verdict(story, alone(), alone()).not_proved)


def test_one_uninterrupted_run_convicts_nobody() -> None:
    assert findings(run(off(1.1)), alone()) == []


def test_a_start_from_scratch_is_no_divergence() -> None:
    story = Run(interrupt="step=7")
    with story.attempt() as attempt:
        walk(attempt, 1, 8, usual, None)
        attempt.trigger()
        attempt.kill()
    with story.attempt() as attempt:
        walk(attempt, 1, 101, off(1.1, since=1), None)
        attempt.exit()
    assert findings(story, alone(), alone()) == []


def test_a_difference_within_the_tolerance_is_tier_2() -> None:
    story = run(off(1.0005))
    assert findings(story, alone(), alone()) == []
    assert verdict(story, alone(), alone()).tier == 2


def test_a_difference_in_the_last_printed_digit_is_none() -> None:
    def coarse(step: int) -> str:
        return f"step={step} loss={0.02 if step < 51 else 0.01}"

    def other(step: int) -> str:
        return f"step={step} loss=0.02"

    assert findings(run(other, first=coarse), alone(coarse), alone(coarse)) == []


def test_a_loss_that_came_down_to_nothing_differs_by_rounding_only() -> None:
    def tiny(factor: float) -> Line:
        return lambda step: f"step={step} loss={2.0 if step < 5 else factor * 1e-9!r}"

    assert findings(run(tiny(2.0), first=tiny(1.0)), alone(tiny(1.0)), alone(tiny(1.0))) == []


def test_noise_that_uninterrupted_runs_have_too_is_not_blamed() -> None:
    assert findings(run(off(1.004)), alone(), alone(off(1.0008, since=1))) == []
    assert len(findings(run(off(1.1)), alone(), alone(off(1.0008, since=1)))) == 1


def test_a_mean_that_began_anew_in_the_epoch_is_no_divergence() -> None:
    story = run(off(1.2, since=51, until=60))
    assert findings(story, alone(), alone()) == []
    judged = verdict(story, alone(), alone())
    assert judged.tier == 3
    assert any("equal again after step 59" in line for line in judged.not_proved)


def test_a_difference_that_fades_within_the_tolerance_is_a_warning() -> None:
    def fading(step: int) -> str:
        return usual(step) if step < 51 else f"step={step} loss={(1 + 0.2 * 0.8 ** (step - 50)) / step!r} lr=0"

    finding = only(findings(run(fading), alone(), alone()))
    assert finding.severity is Severity.WARNING


def test_an_equal_model_shows_that_only_the_log_differs() -> None:
    same = tensors(weights="w")
    assert findings(run(off(1.1), model=same), alone(model=same), alone(model=same)) == []
    assert len(findings(run(off(1.1), model=tensors(weights="x")), alone(model=same), alone(model=same))) == 1


def test_a_model_too_small_to_be_one_tells_nothing_and_the_checkpoint_does() -> None:
    def small(story: Run) -> Run:
        story.events = [
            Event(e.at, e.kind, e.attempt, {"files": {"model.json": {"bytes": 13, "digest": "m"}}})
            if e.kind is Kind.MODEL_FILES
            else e
            for e in story.events
        ]
        return story

    def severities(held: str) -> list[Severity]:
        story = small(at_end(run(off(1.1)), tensors(weights=held)))
        plain = [small(at_end(alone(), tensors(weights="w"))) for _ in range(2)]
        return [finding.severity for finding in findings(story, *plain)]

    assert severities("x") == [Severity.ERROR]
    assert severities("w") == []


def test_a_timeline_without_states_is_judged_by_its_metrics() -> None:
    assert cause(run(off(1.1)), alone(), alone()) != ""


# Which cause.


def restored(step: int) -> Tensors:
    return tensors(**{"dense/kernel": f"w{step}", "optimizer/iterations": step, "optimizer/m": f"m{step}"})


def anew(step: int) -> Tensors:
    return tensors(**{"dense/kernel": f"x{step}", "optimizer/iterations": step - 50, "optimizer/m": f"n{step}"})


def test_an_optimizer_that_counts_from_nothing_began_anew() -> None:
    story = run(off(1.1, since=52), held=restored, resumed=anew)
    finding = only(findings(story, alone(held=restored), alone(held=restored)))
    assert finding.evidence["likely_cause"] == "optimizer slots"
    assert "iterations in ckpt-60.npz is 10 instead of 60" in finding.message
    assert finding.evidence["checkpoint_compared"] == "ckpt-60.npz"


def test_a_first_loss_that_is_equal_points_to_the_optimizer() -> None:
    assert cause(run(off(1.1, since=52)), alone(), alone()) == "optimizer slots"


def test_a_learning_rate_that_starts_over_is_named() -> None:
    def started_over(step: int) -> str:
        return f"step={step} loss={1.1 / step:.6f} lr={0.1 - (step - 50) * 0.0005:.5f}"

    finding = only(findings(run(started_over), alone(), alone()))
    assert finding.evidence["likely_cause"] == "learning rate"
    assert "as at the beginning" in finding.message


def test_random_states_that_differ_are_named() -> None:
    def held(step: int) -> Tensors:
        return tensors(weights=f"w{step}", rng_state=f"r{step}")

    def other(step: int) -> Tensors:
        return tensors(weights=f"x{step}", rng_state=f"s{step}")

    story = run(off(1.1), held=held, resumed=other)
    assert cause(story, alone(held=held), alone(held=held)) == "random state or augmentation"


def test_random_states_that_are_equal_leave_the_order_of_samples() -> None:
    def held(step: int) -> Tensors:
        return tensors(weights=f"w{step}", rng_state=f"r{step}")

    def other(step: int) -> Tensors:
        return tensors(weights=f"x{step}", rng_state=f"r{step}")

    assert cause(run(off(1.1), held=held, resumed=other), alone(held=held), alone(held=held)) == "sample order"


def test_a_loss_like_that_of_the_beginning_means_new_weights() -> None:
    def fresh(step: int) -> str:
        return f"step={step} loss={1 / (step - 50):.6f} lr={0.1 - step * 0.0005:.5f}"

    assert cause(run(fresh), alone(), alone()) == "weights"


def test_checkpoints_that_are_all_equal_leave_what_none_of_them_holds() -> None:
    def held(step: int) -> Tensors:
        return tensors(w=f"w{step}", step=step)

    finding = only(findings(run(off(1.1), held=held), alone(held=held), alone(held=held)))
    assert finding.evidence["likely_cause"] == "state that no checkpoint holds"
    assert "ckpt-100.npz" in finding.message


def test_an_epoch_that_is_done_twice_is_a_wrong_position() -> None:
    def epochs(behind: int) -> Line:
        return lambda step: f"epoch={step} loss={1 / (step - behind):.6f}"

    finding = only(findings(run(epochs(-1), first=epochs(0)), alone(epochs(0)), alone(epochs(0))))
    assert finding.evidence["likely_cause"] == "position in the training"
    assert "loss of epoch 51 is the uninterrupted run's of epoch 52" in finding.message


def test_a_loss_that_no_other_batch_makes_means_other_weights() -> None:
    def mixed(step: int) -> str:
        return f"step={step} loss={0.001 * (1 + step % 3)}"

    finding = only(findings(run(mixed), alone(), alone()))
    assert finding.evidence["likely_cause"] == "weights"
    assert "no other batch" in finding.message


def test_a_loss_by_epochs_tells_no_step() -> None:
    def epochs(factor: float) -> Line:
        return lambda step: f"epoch={step} loss={factor / step:.6f}"

    assert cause(run(epochs(1.1), first=epochs(1)), alone(epochs(1)), alone(epochs(1))) == "unknown"


def test_a_difference_that_nothing_explains_is_unknown() -> None:
    def sparse(line: Line) -> Line:
        return lambda step: line(step) if step % 5 == 0 else "working"

    assert cause(run(sparse(off(1.1)), first=sparse(usual)), alone(sparse(usual)), alone(sparse(usual))) == "unknown"


def told(story: Run, order: Callable[[int, int], int]) -> Run:
    """With the samples of each step told: `order` of attempt and step."""
    more = [
        Event(
            event.at, Kind.SAMPLES, event.attempt, {"epoch": 0, "step": step, "ids": [str(order(event.attempt, step))]}
        )
        for event in story.events
        if event.kind is Kind.METRIC and event.data["name"] == "step"
        for step in [int(event.data["value"])]
    ]
    story.events += [Event(e.at, e.kind, e.attempt, {**e.data, "source": "log"}) for e in more]
    return story


def test_samples_told_in_another_order_are_the_cause() -> None:
    story = told(run(off(1.1)), lambda attempt, step: step if attempt == 1 else 151 - step)
    one, two = (told(alone(), lambda attempt, step: step) for _ in range(2))
    finding = only(findings(story, one, two))
    assert finding.evidence["likely_cause"] == "sample order"
    assert "100 instead of 51" in finding.message


def test_samples_told_in_the_same_order_leave_random_states() -> None:
    story = told(run(off(1.1)), lambda attempt, step: step)
    one, two = (told(alone(), lambda attempt, step: step) for _ in range(2))
    assert cause(story, one, two) == "random state or augmentation"


# Tiers.


def test_the_same_order_of_samples_is_part_of_tier_2() -> None:
    one, two = (told(alone(), lambda attempt, step: step) for _ in range(2))
    same = verdict(told(run(off(1.0005)), lambda attempt, step: step), one, two)
    other = verdict(told(run(off(1.0005)), lambda attempt, step: step if attempt == 1 else 151 - step), one, two)
    assert (same.tier, other.tier) == (2, 3)
    assert any("order of samples: that of the uninterrupted run" in line for line in same.tier_evidence)
    assert any("order of samples differs" in line for line in other.not_proved)


def at_end(story: Run, held: Tensors, path: str = "ckpt-100.npz") -> Run:
    last = max(event.attempt for event in story.events)
    ends = max(event.at for event in story.events if event.kind is Kind.PROCESS_EXITED)
    state = {"place": "checkpoints", "when": "end", "path": path, "format": "numpy", "digest": str(held)}
    story.events.append(Event(ends, Kind.STATE, last, {**state, "tensors": held}))
    return story


def test_a_last_checkpoint_that_differs_is_not_tier_1() -> None:
    w, x = tensors(weights="w"), tensors(weights="x")
    judged = verdict(at_end(run(), x), at_end(alone(), w), at_end(alone(), w))
    assert judged.tier == 2
    assert any("last checkpoint differs" in line and "weights" in line for line in judged.not_proved)


def test_an_equal_last_checkpoint_is_shown() -> None:
    w = tensors(weights="w")
    judged = verdict(at_end(run(), w), at_end(alone(), w), at_end(alone(), w))
    assert judged.tier == 1
    assert any("the last checkpoint: equal" in line for line in judged.tier_evidence)


def test_last_checkpoints_that_count_saves_may_be_named_otherwise() -> None:
    w = tensors(weights="w")
    story = run()
    story.events = [
        Event(e.at, e.kind, e.attempt, {**e.data, "path": "ckpt-101.npz"})
        if e.data.get("path") == "ckpt-100.npz"
        else e
        for e in story.events
    ]
    assert verdict(at_end(story, w, "ckpt-101.npz"), at_end(alone(), w), at_end(alone(), w)).tier == 1


def test_every_kind_of_file_belongs_to_the_last_checkpoint() -> None:
    w, x = tensors(weights="w"), tensors(weights="x")
    stories = [at_end(at_end(story, w), w, "step.npy") for story in (run(), alone(), alone())]
    assert verdict(*stories).tier == 1
    stories[0] = at_end(at_end(run(), w), x, "step.npy")
    assert verdict(*stories).tier == 2
    stories[0] = at_end(run(), w)
    assert verdict(*stories).tier == 2


def test_a_kind_of_file_that_only_a_restart_makes_is_no_difference() -> None:
    w = tensors(weights="w")
    story = at_end(at_end(run(), w), tensors(weights="x"), "saved-on-sigterm.npz")
    assert verdict(story, at_end(alone(), w), at_end(alone(), w)).tier == 1


def test_last_checkpoints_of_uninterrupted_runs_that_differ_make_tier_1_unavailable() -> None:
    w, x = tensors(weights="w"), tensors(weights="x")
    judged = verdict(at_end(run(), w), at_end(alone(), w), at_end(alone(), x))
    assert judged.tier == 2
    assert any("not available" in line for line in judged.not_proved)


@pytest.mark.parametrize("unread", ["it would take more than 4 MiB"])
def test_a_state_that_was_too_large_is_not_taken_for_equal(unread: str) -> None:
    stories = [at_end(story, tensors(weights="w")) for story in (run(), alone(), alone())]
    for story in stories:
        story.events[-1] = Event(
            story.events[-1].at, Kind.STATE, story.events[-1].attempt, {**story.events[-1].data, "unread": unread}
        )
    judged = verdict(*stories)
    assert judged.tier == 2
    assert any(unread in line for line in judged.not_proved)


def in_epochs(line: Line) -> Line:
    return lambda step: f"epoch={step // 10} {line(step)}"


def ending_at(step: int, story: Run) -> Run:
    """The same story of a shorter training."""

    def belongs(event: Event) -> bool:
        line = str(event.data.get("line", ""))
        return event.kind is not Kind.METRIC or int(line.partition("step=")[2].split()[0]) <= step

    story.events = [event for event in story.events if belongs(event)]
    return story


def test_a_mean_that_began_anew_in_the_last_epoch_is_no_error() -> None:
    story = ending_at(57, run(in_epochs(off(1.2)), first=in_epochs(usual), model=tensors(weights="w")))
    one, two = (ending_at(57, alone(in_epochs(usual), model=tensors(weights="w"))) for _ in range(2))
    assert findings(story, one, two) == []
    for plain in (story, one, two):
        plain.events = [event for event in plain.events if event.kind not in (Kind.STATE, Kind.MODEL_FILES)]
    assert only(findings(story, one, two)).severity is Severity.WARNING


def test_a_progress_bar_that_a_kill_cut_off_is_not_compared() -> None:
    def bar(step: int, cut: bool = False) -> list[str]:
        return [f"step={step} loss={part / step:.6f}" for part in ((3,) if cut else (3, 2, 1))]

    def walked(attempt: Attempt, first: int, stop: int, cut: bool) -> None:
        for step in range(first, stop):
            attempt.wait(1)
            for line in bar(step, cut and step == stop - 1):
                attempt.log(line)
            if step % 10 == 0:
                attempt.save(f"ckpt-{step}.npz")

    story = Run("step=57", "step=77")
    for first, stop in ((1, 58), (51, 78)):
        with story.attempt() as attempt:
            walked(attempt, first, stop, True)
            attempt.trigger()
            attempt.kill()
    with story.attempt() as attempt:
        walked(attempt, 78, 101, False)  # saved as the kill came: step 77 is not done again
        attempt.exit()
    plain = []
    for _ in range(2):
        one = Run()
        with one.attempt() as attempt:
            walked(attempt, 1, 101, False)
            attempt.exit()
        plain.append(one)
    assert findings(story, *plain) == []


def test_a_difference_that_begins_with_the_next_epoch_is_not_the_optimizers() -> None:
    assert cause(run(off(1.1, since=60)), alone(), alone()) == "sample order or random state"


def test_what_was_restored_is_said_to_be_what_was_saved() -> None:
    assert only(findings(run(off(1.1)), alone(), alone())).evidence["restored_as_saved"] is True
