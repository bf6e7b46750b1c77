"""SPOT008 diverged: since it was restored, the run's metrics are not the uninterrupted run's any more.

Promise: convicts only where two uninterrupted runs agree, the interrupted one agreed with them until it was restored,
and the difference stays to the end and is not disproved by an equal model or last checkpoint. Limit: a script that does
not repeat itself cannot be told apart from one that restores badly; then nothing is said here, and the verdict names
tier 1 as not available.
"""

from __future__ import annotations

from simulator.checks.divergence import Cause, Diagnosis, diagnose
from simulator.checks.equivalence import Divergence, compare
from simulator.checks.evidence import Evidence
from simulator.checks.rule import Finding, Rule, Severity


def check(evidence: Evidence) -> list[Finding]:
    """One finding at most: the first step that differs, and the likely cause."""
    if len(evidence.baselines) < 2 or not evidence.reclaimed:
        return []
    divergence = compare(evidence).divergence
    if divergence is None or not divergence.beyond_noise:
        return []
    if divergence.equal_at_end or divergence.result_differs is False:
        return []  # what it logs began anew (a mean over the epoch), and not what it trains
    diagnosis = diagnose(evidence, divergence)
    first = divergence.first
    apart = f", {first.relative:.2g} of it apart" if first.relative is not None else ""
    until = "" if divergence.stays else f", the last of them {divergence.last.where}"
    because = f", because {diagnosis.because[0]}" if diagnosis.because else ", since nothing that was read tells it"
    message = (
        f"{first.where} is {first.interrupted!r} instead of the uninterrupted run's {first.uninterrupted!r}{apart}; "
        f"{divergence.differing} of the {divergence.compared} places since attempt {first.attempt} was restored "
        f"differ{until}. Likely cause: {diagnosis.cause}{because}."
    )
    severity = Severity.ERROR if _is_certain(divergence) else Severity.WARNING
    return [
        RULE.finding(
            first.attempt,
            message,
            _facts(evidence, divergence, diagnosis),
            severity=severity,
            fix=_FIXES.get(diagnosis.cause),
        )
    ]


def _is_certain(divergence: Divergence) -> bool:
    """It stays, and the model or the last checkpoint shows it too; or where these cannot tell, it is more than a mean
    over one epoch that began anew."""
    if not divergence.stays or divergence.result_differs:
        return divergence.stays
    return divergence.beyond_one_epoch is True


def _restored_as_saved(evidence: Evidence, attempt: int) -> bool | None:
    """Whether what the attempt was given is what was in S3 when the instance before it went."""
    before = [number for number in evidence.reclaimed if number < attempt]
    restored = evidence.manifest("restored", attempt)
    kept = evidence.manifest("kill", before[-1]) if before else None
    if restored is None or kept is None:
        return None
    return all(path in restored and restored[path].get("digest") == facts.get("digest") for path, facts in kept.items())


def _facts(evidence: Evidence, divergence: Divergence, diagnosis: Diagnosis) -> dict[str, object]:
    return {
        "metric": divergence.first.name,
        "first_difference": divergence.first.where,
        "first_difference_at": divergence.first.place,
        "first_unequal": divergence.first_unequal.where,
        "interrupted": divergence.first.interrupted,
        "uninterrupted": divergence.first.uninterrupted,
        "last_difference": divergence.last.where,
        "places_that_differ": divergence.differing,
        "places_compared": divergence.compared,
        "tolerance": divergence.tolerance,
        "restored_as_saved": _restored_as_saved(evidence, divergence.first.attempt),
        "result_differs": divergence.result_differs,
        "likely_cause": diagnosis.cause.value,
        "because": list(diagnosis.because),
        "checkpoint_compared": diagnosis.compared,
    }


_FIXES = {
    Cause.WEIGHTS: (
        "Load the weights into the model that is trained, after it was built and before the optimizer was made:\n"
        "  + model.load_state_dict(state['model'])          # PyTorch\n"
        "  + checkpoint.restore(path).assert_consumed()     # TensorFlow: raises for what found no place"
    ),
    Cause.OPTIMIZER: (
        "Save and restore the optimizer with its slots and its count of updates, not the weights alone:\n"
        "  - save({'model': model.state_dict()})\n"
        "  + save({'model': model.state_dict(), 'optimizer': optimizer.state_dict()})\n"
        "With Keras: model.save(…), not model.save_weights(…); or tf.train.Checkpoint(model=…, optimizer=…)."
    ),
    Cause.RATE: (
        "Make the learning rate a function of the step that was restored, or save the schedule's state:\n"
        "  - scheduler = CosineSchedule(total)\n"
        "  + scheduler = CosineSchedule(total); scheduler.load_state_dict(state['scheduler'])\n"
        "With Keras: a LearningRateSchedule in the optimizer follows its restored iterations; a callback needs "
        "initial_epoch."
    ),
    Cause.RANDOM: (
        "Save and restore every generator that training draws from, or derive what is drawn from (seed, step):\n"
        "  + state['rng'] = {'python': random.getstate(), 'numpy': np.random.get_state(), 'torch': "
        "torch.get_rng_state()}\n"
        "With Keras: save the seed generators too (model.save does; dropout and augmentation keep theirs)."
    ),
    Cause.ORDER: (
        "Make the order of samples a function of seed and epoch, and go on in it where the checkpoint was:\n"
        "  - for batch in loader:\n"
        "  + order = np.random.default_rng([seed, epoch]).permutation(n)\n"
        "  + for start in range(batches_done * size, n, size):"
    ),
    Cause.POSITION: (
        "Save the number of the next step (or epoch), and begin with that one:\n"
        "  - save({'epoch': epoch, …})          # of the epoch that is done: it is done again\n"
        "  + save({'epoch': epoch + 1, …})"
    ),
    Cause.UNSAVED: (
        "Save and restore whatever else the loss or the model is made of, beside what the checkpoint holds:\n"
        "  + state['ema'] = ema; state['best'] = best; state['rng'] = rng.bit_generator.state"
    ),
    Cause.ORDER_OR_RANDOM: (
        "Make the order of samples and what is drawn a function of (seed, epoch, step), or save the generators' states "
        "and the position within the epoch:\n"
        "  + order = np.random.default_rng([seed, epoch]).permutation(n)[done:]\n"
        "To tell which it is, print `sample-ids epoch=E step=S: ID ID …` after each batch."
    ),
}

FAILS = """\
state = np.load(newest)  # weights come back, and the step
weights, step = state["weights"], int(state["step"])
velocity = np.zeros_like(weights)  # the optimizer's slots begin anew
"""

PASSES = """\
state = np.load(newest)
weights, step = state["weights"], int(state["step"])
velocity = state["velocity"]  # saved beside the weights, and brought back
order = np.random.default_rng([seed, step // steps_per_epoch]).permutation(n)  # no state to lose
"""

RULE = Rule(
    id="SPOT008",
    name="diverged",
    summary="the resumed run's metrics differ from the uninterrupted run's beyond the tier's tolerance",
    why="Weights alone are not the state of training: without the optimizer's slots, the schedule's position, the "
    "random states and the position in the data the run goes on, looks healthy, and is another training than the one "
    "that was paid for.",
    fails=FAILS,
    passes=PASSES,
    fix="Save and restore everything that the next step depends on: weights, optimizer (slots and count of updates), "
    "learning-rate schedule, random states, position in the data. Run with --baseline to see the first step that "
    "differs.",
    source="hi-ml #502 and yolov5 #292 (learning rate), ai2cm/ace #690 (random states), accelerate #4071 (data order); "
    "MosaicML Composer's test_resumption compares exactly",
    check=check,
)
