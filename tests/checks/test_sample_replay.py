"""SPOT015: what of an epoch across a restart was trained on twice or never, and what only looks so."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from simulator.checks import sample_replay
from simulator.checks.rule import Finding
from simulator.core.timeline import Kind
from tests.checks.build import Attempt, Run, only

EPOCHS, STEPS, SIZE = 4, 10, 3
Chosen = Callable[[int, int], Sequence[int]]
"""Epoch and batch → ids."""


def usual(epoch: int, batch: int) -> Sequence[int]:
    """Each id once an epoch, in an order of its own."""
    return [(7 * epoch + 11 * (SIZE * batch + place)) % (STEPS * SIZE) for place in range(SIZE)]


def train(attempt: Attempt, first: int, stop: int, chosen: Chosen = usual, *, told: bool = True, save: int = 5) -> None:
    for step in range(first, stop):
        epoch, batch = divmod(step - 1, STEPS)
        attempt.wait(1)
        attempt.log(f"step={step} loss={1 / step:.5f}")
        if told:
            ids = [str(one) for one in chosen(epoch, batch)]
            attempt.add(Kind.SAMPLES, epoch=epoch, step=step, ids=ids, source="log")
        if step % save == 0:
            attempt.save(f"ckpt-{step}.npz")


def run(
    second: Chosen = usual,
    resume_at: int = 26,
    kill_at: int = 29,
    stop: int = EPOCHS * STEPS + 1,
    first: Chosen = usual,
) -> Run:
    """Saved at step 25, in the middle of epoch 2; killed before `kill_at`."""
    story = Run(interrupt="step=28")
    with story.attempt() as attempt:
        train(attempt, 1, kill_at, first)
        attempt.trigger()
        attempt.kill()
    with story.attempt() as attempt:
        train(attempt, resume_at, stop, second)
        attempt.exit()
    return story


def alone(chosen: Chosen = usual, stop: int = EPOCHS * STEPS + 1) -> Run:
    story = Run()
    with story.attempt() as attempt:
        train(attempt, 1, stop, chosen)
        attempt.exit()
    return story


def findings(story: Run, *baselines: Run) -> list[Finding]:
    return sample_replay.check(story.evidence(*baselines))


def begins_again(epoch: int, batch: int) -> Sequence[int]:
    """The loader of the resumed epoch begins at its start, five batches late."""
    return usual(epoch, batch - 5) if epoch == 2 else usual(epoch, batch)


def test_work_done_again_after_the_last_checkpoint_is_no_repetition() -> None:
    assert findings(run()) == []


def test_a_resume_at_the_start_of_the_epoch_is_no_repetition() -> None:
    assert findings(run(resume_at=21)) == []


def test_a_loader_that_begins_its_epoch_again_repeats_and_skips() -> None:
    finding = only(findings(run(begins_again)))
    assert (finding.attempt, finding.evidence["epoch"]) == (2, 2)
    assert finding.evidence["repeated_count"] == finding.evidence["skipped_count"] == 15
    assert set(finding.evidence["repeated"]) == {str(one) for batch in range(5) for one in usual(2, batch)}
    assert "epoch 2" in finding.message and "twice" in finding.message and "never" in finding.message


def test_a_batch_left_out_is_skipped() -> None:
    def ahead(epoch: int, batch: int) -> Sequence[int]:
        return usual(epoch, batch + 1) if epoch == 2 and batch < 9 else [] if epoch == 2 else usual(epoch, batch)

    finding = only(findings(run(ahead)))
    assert finding.evidence["skipped"] == sorted((str(one) for one in usual(2, 5)), key=int)
    assert finding.evidence["repeated"] == []


def test_a_rest_of_an_epoch_that_is_skipped_is_told() -> None:
    story = Run(interrupt="step=18")
    with story.attempt() as attempt:
        train(attempt, 1, 19)
        attempt.trigger()
        attempt.kill()
    with story.attempt() as attempt:  # from step 15 in epoch 1, with the start of epoch 2
        for step in range(16, 36):
            attempt.wait(1)
            attempt.log(f"step={step} loss={1 / step:.5f}")
            attempt.add(
                Kind.SAMPLES,
                epoch=2 + (step - 16) // STEPS,
                step=step,
                ids=[str(one) for one in usual(2 + (step - 16) // STEPS, (step - 16) % STEPS)],
                source="log",
            )
        attempt.exit()
    finding = only(findings(story))
    assert (finding.evidence["epoch"], finding.evidence["skipped_count"]) == (1, 15)
    assert finding.evidence["repeated"] == []
    assert finding.evidence["resumed_at"] == {"epoch": 2, "step": 16}


def test_steps_that_begin_again_in_each_epoch_are_told_with_it() -> None:
    def within(story: Run) -> Run:
        story.events = [
            type(event)(event.at, event.kind, event.attempt, {**event.data, "step": (event.data["step"] - 1) % STEPS})
            if event.kind is Kind.SAMPLES
            else event
            for event in story.events
        ]
        return story

    assert findings(within(run())) == []
    assert only(findings(within(run(begins_again)))).evidence["repeated_count"] == 15


def test_lines_that_the_kill_took_along_are_not_called_skipped() -> None:
    story = Run(interrupt="step=28")
    with story.attempt() as attempt:
        train(attempt, 1, 23)
        train(attempt, 23, 29, told=False)  # still in the output's buffer
        attempt.trigger()
        attempt.kill()
    with story.attempt() as attempt:
        train(attempt, 26, 41)
        attempt.exit()
    assert findings(story) == []


def test_sampling_with_replacement_owes_nothing() -> None:
    def replacing(epoch: int, batch: int) -> Sequence[int]:
        return [(epoch * 5 + batch * batch + place) % 9 for place in range(SIZE)]

    assert findings(run(lambda epoch, batch: replacing(epoch + 1, batch), first=replacing)) == []


def test_an_incomplete_last_batch_that_is_dropped_is_not_skipped() -> None:
    def dropping(seed: int) -> Chosen:
        return lambda epoch, batch: [(7 * (epoch + seed) + SIZE * batch + place) % 31 for place in range(SIZE)]

    def same_then_other(epoch: int, batch: int) -> Sequence[int]:
        return dropping(0)(epoch, batch) if epoch <= 2 else dropping(9)(epoch, batch)

    assert findings(run(same_then_other, first=dropping(0)), alone(dropping(0)), alone(dropping(0))) == []


def test_an_epoch_that_the_job_ends_in_skips_nothing() -> None:
    assert findings(run(stop=29)) == []


def test_without_a_whole_epoch_nothing_is_known() -> None:
    def one_epoch(epoch: int, batch: int) -> Sequence[int]:
        return [SIZE * (STEPS * epoch + batch) + place for place in range(SIZE)]

    def again(epoch: int, batch: int) -> Sequence[int]:
        return one_epoch(epoch, batch - 5)

    story = Run(interrupt="step=7")
    with story.attempt() as attempt:
        train(attempt, 1, 9, one_epoch)
        attempt.trigger()
        attempt.kill()
    with story.attempt() as attempt:
        train(attempt, 6, 11, again)
        attempt.exit()
    assert findings(story) == []
    finding = only(findings(story, alone(one_epoch, 11), alone(one_epoch, 11)))
    assert finding.evidence["repeated_count"] == 15


def test_a_second_restart_is_told_with_its_own_attempt() -> None:
    story = Run("step=13", "step=28")
    with story.attempt() as attempt:
        train(attempt, 1, 14)
        attempt.trigger()
        attempt.kill()
    with story.attempt() as attempt:
        train(attempt, 11, 29)
        attempt.trigger()
        attempt.kill()
    with story.attempt() as attempt:
        train(attempt, 26, 41, begins_again)
        attempt.exit()
    assert only(findings(story)).attempt == 3


def test_a_ledger_that_is_not_whole_convicts_nobody() -> None:
    story = run(begins_again)
    story.add(Kind.SAMPLES, 2, truncated="more than 1000000 sample ids")
    assert findings(story) == []


def test_ids_told_in_the_log_and_in_a_file_count_once() -> None:
    story = run()
    story.events += [
        type(event)(event.at + 0.01, event.kind, event.attempt, {**event.data, "source": "sidecar"})
        for event in story.events
        if event.kind is Kind.SAMPLES
    ]
    assert findings(story) == []


def test_a_script_that_tells_no_samples_is_not_judged() -> None:
    story = Run(interrupt="step=28")
    with story.attempt() as attempt:
        train(attempt, 1, 29, told=False)
        attempt.trigger()
        attempt.kill()
    with story.attempt() as attempt:
        train(attempt, 26, 41, told=False)
        attempt.exit()
    assert findings(story) == []
