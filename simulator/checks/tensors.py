"""What a tensor is for, by its name or its form: weights, optimizer slots, random states, … Hints, never proofs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Role(StrEnum):
    """What a part of a state is for. `unnamed`: its name and form tell nothing."""

    WEIGHTS = "weights"
    OPTIMIZER = "optimizer slots"
    UPDATES = "the optimizer's count of updates"
    RATE = "learning rate"
    RANDOM = "random state"
    POSITION = "position"
    METRIC = "metric"
    UNNAMED = "unnamed"


_NAMED = (
    (Role.METRIC, re.compile(r"(^|[/._])metrics?([/._]|\d|$)|(^|[/._])history([/._]|$)")),
    (Role.RANDOM, re.compile(r"rng|random|(^|[/._])seed|mt19937|generator|prng")),
    (Role.RATE, re.compile(r"(^|[/._])(lr|learning_?rate|base_lrs?|last_lr)([/._]|$)|schedul")),
    (
        Role.UPDATES,
        re.compile(r"(^|[/._])(iterations?|num_updates|update_count)$|optim.*[/._](steps?|t)$|adam.*[/._]t$"),
    ),
    (
        Role.POSITION,
        re.compile(
            r"(^|[/._])(global_?step|steps?|epochs?|last_epoch|batch|position|cursor|round|order|perm(utation)?|indices)"
            r"([/._]|\d|$)|sampler|shuffle|steps_per_epoch"
        ),
    ),
    (
        Role.OPTIMIZER,
        re.compile(
            r"optim|adam|momentum|velocit|exp_avg|slots?([/._]|$)|rmsprop|adagrad|"
            r"(^|[/._])(m|v|mu|nu|opt|vel|mom)([/._]|_?\d|$)"
        ),
    ),
)
_NUMBERED = re.compile(r"^(variables?|vars?|arr|arrays?|params?|tensors?|leaf|leaves)?[_./-]?\d+$")


def role_of(name: str, facts: Mapping[str, Any]) -> Role:
    """A tensor's role, from its name where that says anything, or else from its form."""
    lowered = name.lower().replace("/_", "/")
    role = next((role for role, pattern in _NAMED if pattern.search(lowered)), None)
    shape, dtype = list(facts.get("shape", ())), str(facts.get("dtype", ""))
    whole = "int" in dtype and facts.get("value") is not None
    if role is Role.OPTIMIZER and whole:
        return Role.UPDATES
    if role is not None:
        return role
    if not _NUMBERED.search(lowered):
        return Role.WEIGHTS
    if dtype in ("uint32", "int64") and shape == [2]:
        return Role.RANDOM  # seed and counter of a generator, as Keras keeps them (int64 on TensorFlow) and JAX
    return Role.UPDATES if dtype == "int64" and whole else Role.UNNAMED
